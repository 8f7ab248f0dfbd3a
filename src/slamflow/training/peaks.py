"""What devices can do, and what was asked of their memory: for the log of a training only."""

import resource

import torch

# Dense bfloat16 products, FLOP/s, from the makers' data sheets; the first name that fits counts.
PEAKS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "A100": 312e12,
    "A5000": 111e12,
}


def products(device: str, dtype: torch.dtype) -> float | None:
    """FLOP/s of matrix products in bfloat16 on a GPU of a known name, else None."""
    if not device.startswith("cuda") or dtype != torch.bfloat16:
        return None
    name = torch.cuda.get_device_name(device)
    return next((most for part, most in PEAKS.items() if part in name), None)


def memory(device: str) -> float:
    """The most memory so far (MiB): of a GPU's tensors, or else of this process."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
