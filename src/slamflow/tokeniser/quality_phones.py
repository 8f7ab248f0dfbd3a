"""How well units tell phones: PNMI and purities, with intervals.

From the joint distribution p(y, z) of phones y and units z over frames (Hsu et al. 2021, HuBERT,
section IV.C): PNMI = I(y; z) / H(y), phone purity = Σ_z max_y p(y, z), cluster purity =
Σ_y max_z p(y, z). A frame has the phone at its centre.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from slamflow.tokeniser import phone_set
from slamflow.tokeniser.quality_rates import entropy

MEASURES = ("pnmi", "phone_purity", "cluster_purity")
SILENT = len(phone_set.PHONES)  # behind the phones
OUTSIDE, UNKNOWN = -1, -2  # between two phones; a label that is none of the set
RESAMPLES = 1000
LEVEL = 0.95
TINY = 1e-9  # nats: an entropy that is none but for rounding
GAIN = ("pnmi", "interval")
_INDEX = {phone: index for index, phone in enumerate((*phone_set.PHONES, phone_set.SILENCE))}


class Joint(NamedTuple):
    """How often phones and units meet in each utterance; what does not meet is left out.

    Attributes:
        utterance: int64 [n], from 0.
        cell: int64 [n], phone × `clusters` + unit.
        frames: float64 [n], how often.
        utterances: how many, those without frames too.
        clusters: K.
    """

    utterance: np.ndarray
    cell: np.ndarray
    frames: np.ndarray
    utterances: int
    clusters: int


def indices(intervals: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Of each label of an utterance, int64 [n]: its place in PHONES, SILENT, or UNKNOWN."""
    found = phone_set.phones([phone["label"] for phone in intervals])
    known = [UNKNOWN if phone is None else _INDEX[phone] for phone in found]
    return np.array(known, dtype=np.int64)


def of_frames(intervals: Sequence[Mapping[str, Any]], centres: np.ndarray) -> np.ndarray:
    """The phone at each centre (s): int64 [frames], one of `indices` or OUTSIDE."""
    starts = np.array([phone["start"] for phone in intervals])
    ends = np.array([phone["end"] for phone in intervals])
    found = np.append(indices(intervals), OUTSIDE)
    index = np.searchsorted(starts, centres, side="right") - 1
    inside = index >= 0
    inside[inside] = centres[inside] < ends[index[inside]]
    return found[np.where(inside, index, len(intervals))]


def joint(
    phones: Sequence[np.ndarray], found: Sequence[np.ndarray], clusters: int, silence: bool = False
) -> Joint:
    """Count the phones (see `of_frames`) and units of each utterance's frames, each [frames].

    Args:
        silence: count it as a phone; else its frames are left out.
    """
    utterance = np.repeat(np.arange(len(phones)), [len(part) for part in phones])
    labels = np.concatenate([*phones, np.empty(0, np.int64)])
    units = np.concatenate([*found, np.empty(0, np.int64)])
    keep = (labels >= 0) & (labels < SILENT + silence)
    cells = (SILENT + 1) * clusters
    keys, count = np.unique(
        utterance[keep] * cells + labels[keep] * clusters + units[keep], return_counts=True
    )
    return Joint(keys // cells, keys % cells, count.astype(np.float64), len(phones), clusters)


def counts(of: Joint, times: np.ndarray | None = None) -> np.ndarray:
    """Frames of each phone and unit, float64 [phones with silence, K].

    Args:
        times: how often each utterance is counted, float64 [utterances]; default once.
    """
    weights = of.frames if times is None else of.frames * times[of.utterance]
    size = (SILENT + 1) * of.clusters
    return np.bincount(of.cell, weights, minlength=size).reshape(SILENT + 1, of.clusters)


def measures(counted: np.ndarray) -> dict[str, float]:
    """MEASURES of frames counted by phone and unit [phones, units]; of no frames, they are NaN.

    PNMI of one phone, of which nothing is to be told, is 0.
    """
    if not counted.any():
        return dict.fromkeys(MEASURES, np.nan)
    shares = counted / counted.sum()
    of_phones, of_units = shares.sum(1), shares.sum(0)
    of_phone = entropy(of_phones)
    information = of_phone + entropy(of_units) - entropy(shares)
    return {
        "pnmi": information / of_phone if of_phone > TINY else 0.0,
        "phone_purity": float(shares.max(0).sum()),
        "cluster_purity": float(shares.max(1).sum()),
    }


def compare(
    labels: Sequence[np.ndarray],
    found: Mapping[str, Sequence[np.ndarray]],
    clusters: int,
    seed: int,
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """MEASURES of several tokenisers' units of the same utterances.

    Args:
        labels: of each utterance, see `of_frames`.
        found: by tokeniser, units of each utterance, int64 [frames].
        seed: draws the utterances for the intervals.

    Returns:
        By tokeniser MEASURES without silence, `intervals` of them, and under `with_silence`
        MEASURES with it; and `gain`: `pnmi` of the first less that of the second, and `interval`,
        in which both meet the same draws. All are None where there are no frames of phones;
        intervals are where these are of a single utterance.
    """
    joints = [joint(labels, its_units, clusters) for its_units in found.values()]
    silent = [joint(labels, its_units, clusters, silence=True) for its_units in found.values()]
    if not joints[0].frames.any():
        nothing = {name: dict.fromkeys(MEASURES) for name in ("intervals", "with_silence")}
        return {name: {**dict.fromkeys(MEASURES), **nothing} for name in found}, dict.fromkeys(GAIN)
    drawn = resample(joints, seed)
    single = len(np.unique(joints[0].utterance)) == 1
    result: dict[str, dict[str, Any]] = {}
    for name, one, other, its_draws in zip(found, joints, silent, drawn, strict=True):
        values = measures(counts(one))
        intervals = {
            key: None if single else interval(values[key], its_draws[:, i])
            for i, key in enumerate(MEASURES)
        }
        result[name] = {**values, "intervals": intervals, "with_silence": measures(counts(other))}
    first, second, *_ = (part["pnmi"] for part in result.values())
    gain = first - second
    around = None if single else interval(gain, drawn[0, :, 0] - drawn[1, :, 0])
    return result, {"pnmi": gain, "interval": around}


def resample(joints: Sequence[Joint], seed: int) -> np.ndarray:
    """MEASURES where utterances are drawn with replacement, [joints, RESAMPLES, MEASURES].

    All joints are of the same utterances and meet the same draws, so that they can be paired.
    """
    generator, size = np.random.default_rng(seed), joints[0].utterances
    found = np.empty((len(joints), RESAMPLES, len(MEASURES)))
    for place in range(RESAMPLES):
        drawn = generator.integers(size, size=size)
        times = np.bincount(drawn, minlength=size).astype(np.float64)
        for number, one in enumerate(joints):
            found[number, place] = list(measures(counts(one, times)).values())
    return found


def interval(value: float, drawn: np.ndarray) -> list[float]:
    """The 95 % interval of a value by its resamples [n].

    A resample repeats utterances, and what is repeated looks surer: information in it is too high
    by about as much as the measured one is above the truth. So the percentiles are moved until the
    resamples' mean is the measured value.
    """
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = value + np.nanquantile(drawn, tails) - np.nanmean(drawn)
    return [float(low), float(high)]
