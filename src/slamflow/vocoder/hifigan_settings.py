"""The settings of a Code-HiFi-GAN that is trained here, as those of released ones are written."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from slamflow.tokeniser import convolutions

DROPOUT = 0.5  # of the duration predictor, as published


def check(shape: Mapping[str, Any], hop: int) -> None:
    """Refuse an `architecture` that makes no waves of frames of `hop` samples.

    Raises:
        ValueError: it does not.
    """
    rates, channels = shape["upsample_rates"], int(shape["channels"])
    if math.prod(rates) != hop:
        raise ValueError(
            f"architecture.upsample_rates: multiply to {math.prod(rates)}, but frames of the"
            f" tokeniser have {hop} samples"
        )
    if channels % 2 ** len(rates):
        raise ValueError(
            f"architecture.channels: {channels} cannot be halved {len(rates)} times, once for"
            " each of upsample_rates"
        )


def describe(
    config: Mapping[str, Any], units: int, hop: int, tokeniser: str, speakers: np.ndarray
) -> dict[str, Any]:
    """What `HifiganConfig` takes.

    Args:
        config: `architecture`; `voices`: many, for an embedding each; `voice`, with many the one
            that is spoken in unless another is asked for (None: the first by name).
        units: number of different ones.
        hop: samples a frame.
        tokeniser: SHA-256 of the units' codebook.
        speakers: of the utterances.

    Raises:
        ValueError: the architecture does not fit the tokeniser; the voice is none of many.
    """
    shape, voice = config["architecture"], config.get("voice")
    check(shape, hop)
    names = sorted(set(speakers.tolist())) if config.get("voices") == "many" else None
    if names and voice not in (None, *names):
        raise ValueError(f"voice: {voice} is none of those that speak: {', '.join(names[:10])}")
    size, rates, kernels = int(shape["embedding"]), shape["upsample_rates"], shape["kernels"]
    return {
        "units": units,
        "hop": hop,
        "tokeniser": tokeniser,
        "voice": voice or (names[0] if names else None),
        "voices": names,
        "sampling_rate": convolutions.SAMPLING_RATE,
        "num_embeddings": units,
        "embedding_dim": size,
        "model_in_dim": size,
        "upsample_initial_channel": int(shape["channels"]),
        "upsample_rates": list(rates),
        "upsample_kernel_sizes": [2 * rate + rate % 2 for rate in rates],  # as published
        "resblock_kernel_sizes": list(kernels),
        "resblock_dilation_sizes": [list(shape["dilations"])] * len(kernels),
        "dur_predictor_params": {
            "encoder_embed_dim": size,
            "var_pred_hidden_dim": size,
            "var_pred_kernel_size": 3,
            "var_pred_dropout": DROPOUT,
        },
    }
