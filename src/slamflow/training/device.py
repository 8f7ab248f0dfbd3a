"""The device, threads and precision of a stage; what a device can do."""

import resource
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from slamflow import logs

# Dense bfloat16 products, FLOP/s, from the makers' data sheets; the first name that fits counts.
PEAKS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "A100": 312e12,
    "A5000": 111e12,
}


def prepare(machine: Mapping[str, Any]) -> str:
    """Set the number of threads; returns the device, by default cuda where there is one.

    Args:
        machine: `threads`, `device` (auto, cpu or cuda).
    """
    if machine.get("threads"):
        torch.set_num_threads(int(machine["threads"]))
    device = str(machine.get("device") or "auto")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def compute_type(precision: str, device: str) -> torch.dtype:
    """The type of matrix products: bfloat16 only where the processor is made for it.

    Args:
        precision: float32 or bfloat16.
        device: cpu or cuda.

    Raises:
        ValueError: an unknown precision.
    """
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision: {precision!r} is neither float32 nor bfloat16")
    if precision == "bfloat16" and device == "cpu":
        able = torch.cpu.get_capabilities()
        if not (able.get("avx512_bf16") or able.get("amx_bf16")):
            logs.say("this processor has no instructions for bfloat16: float32 is used")
            return torch.float32
    return getattr(torch, precision)


def peak(device: str, dtype: torch.dtype) -> float | None:
    """FLOP/s of matrix products in bfloat16 on a GPU of a known name, else None."""
    if not device.startswith("cuda") or dtype != torch.bfloat16:
        return None
    name = torch.cuda.get_device_name(device)
    return next((most for part, most in PEAKS.items() if part in name), None)


def peak_memory(device: str) -> float:
    """The most memory so far (MiB): of a GPU's tensors, or else of this process."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def synchronise(device: str) -> None:
    """Wait until the device has done what it was told."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def send(array: np.ndarray, device: str) -> torch.Tensor:
    """An array as a tensor on the device, without waiting for what it does."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device != "cpu" else tensor
