"""What follows from the kernels and strides of a HuBERT's convolutions, without torch."""

import math
from collections.abc import Sequence

SAMPLING_RATE = 16_000  # Hz, of every HuBERT
PREPROCESSOR = "preprocessor_config.json"  # beside a HuBERT's weights


def hop(strides: Sequence[int]) -> int:
    """Samples from frame to frame."""
    return math.prod(strides)


def receptive(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that a frame sees; frame t begins at t × hop."""
    size = 1
    for kernel, stride in reversed(list(zip(kernels, strides, strict=True))):
        size = (size - 1) * stride + kernel
    return size
