"""The device and the threads of a stage that works in its own process."""

from collections.abc import Mapping
from typing import Any

import torch


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
