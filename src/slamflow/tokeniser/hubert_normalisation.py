"""Waves of mean 0 and variance 1, for a HuBERT whose preprocessor makes them so."""

import json
from pathlib import Path

import torch
from torch.nn import functional

from slamflow.tokeniser import convolutions

_PART = 1 << 20  # samples that are in float64 at a time


def wanted(folder: Path) -> bool:
    """Whether the HuBERT in `folder` has a preprocessor that normalises.

    Raises:
        ValueError: what should describe the preprocessor does not.
    """
    described = folder / convolutions.PREPROCESSOR
    if not described.exists():
        return False
    try:
        # transformers' preprocessor does so unless it is told not to
        return bool(json.loads(described.read_text(encoding="utf-8")).get("do_normalize", True))
    except (ValueError, AttributeError):
        raise ValueError(f"{described}: does not describe a preprocessor; fetch it anew") from None


def normalise(wave: torch.Tensor, padding: int) -> torch.Tensor:
    """What transformers' Wav2Vec2FeatureExtractor makes of a wave [samples].

    Args:
        padding: samples of zeros at both ends, which do not count and stay zeros.
    """
    inner = wave[padding : len(wave) - padding]
    parts = inner.split(_PART)
    mean = sum(float(part.double().sum()) for part in parts) / len(inner)
    squares = sum(float((part.double() - mean).square().sum()) for part in parts)
    deviation = (squares / len(inner) + 1e-7) ** 0.5
    return functional.pad((inner - mean) / deviation, (padding, padding))
