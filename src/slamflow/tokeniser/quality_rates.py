"""What units cost, without a look at what is said.

- `units_a_second`: without repeats; `repeats`: share of frames with the unit of the one before.
- `bitrate`: bits a second of units without repeats, if each is coded by itself: units a second ×
  the entropy of their distribution, as in the ZeroSpeech challenge of 2019 (Dunbar et al. 2019).
- `perplexity`: of the codebook, exp of the entropy of the units over frames (van den Oord et al.
  2017), between 1 and K; `used`: share of the codebook that occurs.
"""

from collections.abc import Sequence

import numpy as np

from slamflow.tokeniser import runs


def rates(found: Sequence[np.ndarray], seconds: float, clusters: int) -> dict[str, float]:
    """The measures above of units a frame, each [frames > 0], of utterances that last `seconds`."""
    single = [runs.runs(units)[0] for units in found]
    frames, kept = sum(map(len, found)), sum(map(len, single))
    over_frames = np.bincount(np.concatenate(found), minlength=clusters) / frames
    over_kept = np.bincount(np.concatenate(single), minlength=clusters) / kept
    return {
        "units_a_second": kept / seconds,
        "repeats": (frames - kept) / frames,
        "bitrate": kept / seconds * entropy(over_kept) / np.log(2),
        "perplexity": float(np.exp(entropy(over_frames))),
        "used": float((over_frames > 0).mean()),
    }


def entropy(shares: np.ndarray) -> float:
    """Of a distribution of any shape, in nats."""
    there = shares[shares > 0]
    return float(-(there * np.log(there)).sum())
