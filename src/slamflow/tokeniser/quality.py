"""The quality of a tokeniser's units, beside MFCC k-means of the same K, frames and data.

What is measured, and how it is defined, say `quality_phones`, `abx`, `quality_rates` and
`quality_steadiness`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slamflow import files, logs
from slamflow.tokeniser import (
    abx,
    codebook,
    encoder,
    features,
    kmeans,
    quality_encoding,
    quality_rates,
    quality_steadiness,
    tokenising,
    utterances,
)
from slamflow.tokeniser import quality_phones as by_phones

FRAMES = 100_000  # that MFCC k-means is fitted on, if the codebook was not fitted here
_SURE = 0.001  # s by which a table's duration may be off

Pieces = dict[int, torch.Tensor]  # features or units of ABX's tokens


def measure(
    config: Mapping[str, Any],
    codebook_path: Path,
    hubert: Path | None,
    speech: Sequence[Path],
    output: Path,
    machine: Mapping[str, Any],
    label: str = "measure_quality",
    alignments: Sequence[Path] = (),
    fitted: Sequence[Path] | None = None,
) -> np.ndarray:
    """Measure a tokeniser and MFCC k-means, and write both as JSON.

    `tokeniser` and `mfcc` have MEASURES of quality_phones over frames of phones, with `intervals`
    of 95 % (utterances are drawn with replacement), and under `with_silence` over silence, too;
    `abx` of `features` and `units`, `within` and `across` speakers; quality_rates.rates; and
    quality_steadiness's `noise` and `speed`. `gain` is the tokeniser's PNMI less that of MFCC, and
    the interval of the pairs. What needs phones or speakers is null where they are not known, and
    an interval where it would be of a single utterance or contrast.
    `frames` are those of utterances with phones, `unknown` those of them whose label is none of
    the set, `changed` the number of utterances that noise and speed were tried on.

    Args:
        config: `utterances` (measured at most, drawn by seed); `least_gain`, or null.
        codebook_path: kmeans.safetensors; `frames` and `seed` of MFCC k-means are its own.
        hubert: model.safetensors; None for MFCC.
        speech: the speech tables that are measured.
        machine: see `encoder.open_encoder`; `data_root`.
        alignments: `{corpus}/{shard}.parquet` of some of the speech tables, which have the same
            last two names; their phones stand in for those that a speech table does not know.
        fitted: the speech tables that MFCC k-means is fitted on; default `speech`.

    Returns:
        Frames of each phone of phone_set.PHONES and each unit, float64 [phones, K].

    Raises:
        ValueError: the gain is less than `least_gain`; nothing is written.
    """
    origin = codebook.read(codebook_path)[1]
    opened, centroids = tokenising.open_tokeniser(codebook_path, hubert, machine)
    mfcc = encoder.open_encoder(
        "mfcc", 0, None, machine, padding=opened.padding, hop=opened.hop, window=opened.window
    )
    wanted = origin.frames or max(FRAMES, origin.clusters)
    frames = kmeans.collect(mfcc, fitted or speech, wanted, origin.seed, machine, f"{label} (MFCC)")
    baseline = torch.as_tensor(kmeans.cluster(frames, origin.clusters, origin.seed))
    # drawn from the far end: as far as possible not those that k-means was fitted on
    drawn = utterances.drawn(speech, origin.seed)[-int(config["utterances"]) :]
    chosen = quality_encoding.known(speech, drawn, alignments)
    spoken = _tokens(opened, chosen)
    triples = {kind: abx.draw(spoken, kind, origin.seed) for kind in abx.KINDS}
    result: dict[str, Any] = {}
    found: dict[str, list[np.ndarray]] = {}
    parts = {"tokeniser": (opened, centroids), "mfcc": (mfcc, baseline)}
    for name, part in parts.items():
        progress = logs.Progress(f"{label} ({name})", len(chosen), "utterances")
        read = quality_encoding.encode(part, speech, dict(enumerate(chosen)), machine)
        found[name], pieces = _collect(read, spoken, triples, progress)
        seconds = sum(utterance.seconds for utterance in chosen)
        result[name] = quality_rates.rates(found[name], seconds, origin.clusters)
        result[name]["abx"] = {
            kind: {each: abx.error(of, triples[each], origin.seed) for each in abx.KINDS}
            for kind, of in pieces.items()
        }
    phones = {
        place: by_phones.of_frames(one.phones, opened.centres(len(found["tokeniser"][place])))
        for place, one in enumerate(chosen)
        if one.phones is not None
    }
    its_units = {name: [each[place] for place in phones] for name, each in found.items()}
    labels = list(phones.values())
    compared, gain = by_phones.compare(labels, its_units, origin.clusters, origin.seed)
    _check(compared, config.get("least_gain"), codebook_path)
    few = _few(chosen)
    for name, part in parts.items():
        steadiness = quality_steadiness.measure(part, speech, few, found[name], machine)
        result[name] |= compared[name] | steadiness
    result |= {
        "gain": gain,
        "features": origin.features,
        "hubert": origin.hubert,
        "layer": origin.layer,
        "clusters": origin.clusters,
        "frame_rate": origin.frame_rate,
        "utterances": len(chosen),
        "changed": len(few),
        "frames": sum(map(len, labels)),
        "unknown": sum(int((each == by_phones.UNKNOWN).sum()) for each in labels),
    }
    files.write_json(result, output, sealed=True)
    joint = by_phones.joint(labels, its_units["tokeniser"], origin.clusters)
    return by_phones.counts(joint)[: by_phones.SILENT]


def _tokens(made: encoder.Encoder, chosen: Sequence[quality_encoding.Utterance]) -> list[abx.Token]:
    found = []
    for place, one in enumerate(chosen):
        if one.phones is not None and one.speaker is not None:
            samples = int((one.seconds - _SURE) * features.SAMPLING_RATE)
            centres = made.centres(made.frames(samples))
            found += abx.tokens(place, one.speaker, one.phones, centres)
    return found


def _collect(
    read: Iterable[tuple[int, torch.Tensor, np.ndarray]],
    spoken: Sequence[abx.Token],
    triples: Mapping[str, abx.Triples],
    progress: logs.Progress,
) -> tuple[list[np.ndarray], dict[str, Pieces]]:
    """Units of each utterance; `features` and `units` of each token that is in a triple."""
    used: dict[int, list[int]] = defaultdict(list)
    for token in np.unique(np.concatenate([drawn.tokens.ravel() for drawn in triples.values()])):
        used[spoken[token].utterance].append(int(token))
    found: dict[int, np.ndarray] = {}
    pieces: dict[str, Pieces] = {"features": {}, "units": {}}
    for place, frames, its_units in read:
        found[place] = its_units
        for token in used[place]:
            part = slice(spoken[token].first, spoken[token].stop)
            pieces["features"][token] = frames[part]
            pieces["units"][token] = torch.from_numpy(its_units[part])
        progress.update(len(found))
    return [found[place] for place in sorted(found)], pieces


def _few(
    chosen: Sequence[quality_encoding.Utterance],
) -> dict[int, quality_encoding.Utterance]:
    """The first of them by place, quality_steadiness.SECONDS in all, but one at least."""
    before = np.cumsum([0.0, *(one.seconds for one in chosen)])[:-1]
    return {
        place: one for place, one in enumerate(chosen) if before[place] < quality_steadiness.SECONDS
    }


def _check(compared: Mapping[str, Any], least: float | None, path: Path) -> None:
    if least is None:
        return
    ours, theirs = (compared[name]["pnmi"] for name in ("tokeniser", "mfcc"))
    if ours is None:
        raise ValueError(
            f"{path}: least_gain {least:g} cannot be judged, no phones of the utterances measured"
            " are known; measure synthetic or aligned speech, or set `least_gain` to null"
        )
    if ours < theirs + least:
        raise ValueError(
            f"{path}: its units have PNMI {ours:.3f}, MFCC k-means {theirs:.3f}, a gain of"
            f" {ours - theirs:.3f}, less than least_gain {least:g}; train the HuBERT longer, tap"
            " another layer, or lower `least_gain`"
        )
