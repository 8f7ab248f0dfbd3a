"""What several scripts measure with: sizes of language models, and the limit of the processor."""

import time
from typing import Any

SIZES = {  # hidden, intermediate, layers, heads, heads of keys
    "pocket": (192, 512, 3, 3, 3),
    "small": (512, 1408, 9, 8, 8),
    "slam": (896, 4864, 24, 14, 2),  # Qwen2.5-0.5B
}


def init(size: str) -> dict[str, Any]:
    """The `init` block of a model with random weights."""
    names = ("hidden_size", "intermediate_size", "layers", "heads", "kv_heads")
    return {**dict(zip(names, SIZES[size], strict=True)), "seed": 1}


def limit(device: str, precision: str) -> float:
    """FLOP a second of square matrix products: of a core, or of the GPU."""
    import torch  # the script that starts the others does without

    size, best = (1024 if device == "cpu" else 8192), 0.0
    dtype = getattr(torch, precision)
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    for _ in range(8):
        wall, core = time.perf_counter(), time.process_time()
        left @ right
        if device != "cpu":
            torch.cuda.synchronize()
        taken = time.process_time() - core if device == "cpu" else time.perf_counter() - wall
        best = max(best, 2 * size**3 / taken)
    return best
