"""The device, threads and precision of a stage."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from slamflow import devices, logs


def prepare(machine: Mapping[str, Any]) -> str:
    """Set the number of threads; returns the device, by default cuda where there is one.

    What Snakemake has granted no other job of this host has until this process ends: it waits
    for that, and sees no other GPU. To be called before CUDA is initialised.

    Args:
        machine: `threads`, `device` (auto, cpu or cuda), `ranks` (GPUs granted).
    """
    if machine.get("threads"):
        torch.set_num_threads(int(machine["threads"]))
    device = str(machine.get("device") or "auto")
    if device != "cpu" and machine.get("ranks"):
        devices.keep(int(machine["ranks"]))
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


def synchronise(device: str) -> None:
    """Wait until the device has done what it was told."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def send(array: np.ndarray, device: str) -> torch.Tensor:
    """An array as a tensor on the device, without waiting for what it does."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device != "cpu" else tensor
