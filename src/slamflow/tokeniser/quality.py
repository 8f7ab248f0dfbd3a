"""How well units tell phones, beside MFCC k-means.

From the joint distribution p(y, z) of phones y and units z over frames (Hsu et al. 2021, HuBERT,
section IV.C): PNMI = I(y; z) / H(y), phone purity = Σ_z max_y p(y, z), cluster purity =
Σ_y max_z p(y, z). A frame has the phone at its centre.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from slamflow import files, logs
from slamflow.tables import alignments as alignments_table
from slamflow.tokeniser import codebook, encoder, features, kmeans, units, utterances
from slamflow.tokeniser.phone_units import SILENCE

MEASURES = ("pnmi", "phone_purity", "cluster_purity")


def measure(
    config: Mapping[str, Any],
    codebook_path: Path,
    hubert: Path | None,
    speech: Sequence[Path],
    output: Path,
    machine: Mapping[str, Any],
    label: str = "measure_quality",
    alignments: Sequence[Path] = (),
) -> None:
    """Measure a tokeniser and MFCC k-means with as many clusters, fitted on the same utterances.

    Writes JSON: `tokeniser` and `mfcc` with MEASURES over frames of phones, `units_a_second`
    without repeats, and under `with_silence` MEASURES over all frames; `frames`, `utterances`,
    `clusters`, `frame_rate`. MEASURES are null where no phones are known.

    Args:
        config: `utterances` (measured at most, drawn by seed); `frames` and `seed` of k-means are
            taken from the codebook.
        codebook_path: kmeans.safetensors.
        hubert: model.safetensors; None for MFCC.
        speech: the speech tables that the codebook was fitted on.
        machine: see `encoder.open_encoder`; `data_root`.
        alignments: `{corpus}/{shard}.parquet` of some of the speech tables, which have the same
            last two names; their phones stand in for those that a speech table does not know.
    """
    aligned = {(path.parent.name, path.name): path for path in alignments}
    origin = codebook.read(codebook_path)[1]
    opened, centroids = units.open_tokeniser(codebook_path, hubert, machine)
    mfcc = encoder.open_encoder("mfcc", 0, None, machine)
    fitted = kmeans.collect(mfcc, speech, origin.frames, origin.seed, machine, f"{label} (MFCC)")
    baseline = torch.from_numpy(kmeans.cluster(fitted, origin.clusters, origin.seed))
    # drawn from the far end: as far as possible not those that k-means was fitted on
    drawn = utterances.drawn(speech, origin.seed)[-int(config["utterances"]) :]
    result: dict[str, Any] = {
        "clusters": origin.clusters,
        "frame_rate": origin.frame_rate,
        "utterances": len(drawn),
    }
    parts = {"tokeniser": (opened, centroids), "mfcc": (mfcc, baseline)}
    for name, (made, its_centroids) in parts.items():
        progress = logs.Progress(f"{label} ({name})", len(drawn), "utterances")
        pairs, lengths = [], []
        for table, path in enumerate(speech):
            chosen = {entry[2] for entry in drawn if entry[1] == table}
            if not chosen:
                continue
            known = _aligned(aligned.get((path.parent.name, path.name)), chosen)
            root = utterances.root(machine)
            columns = ("phones", "duration")
            read = utterances.read(path, features.SAMPLING_RATE, root, chosen, columns)
            for _, row, found in units.tokenise(made, its_centroids, read, path):
                if row["phones"] is None:
                    row["phones"] = known.get(row["id"])
                pairs.append((_phones(row["phones"], len(found), made), found))
                lengths.append((1 + np.count_nonzero(np.diff(found)), row["duration"]))
                progress.update(len(pairs))
        counts, seconds = np.array(lengths).sum(0)
        result[name] = {**_measures(pairs), "units_a_second": counts / seconds}
        result[name]["with_silence"] = _measures(pairs, silence=True)
        if name == "tokeniser":
            result["frames"] = sum(len(found) for phones, found in pairs if phones is not None)
    files.write_json(result, output)


def compare(phones: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """MEASURES of frames' phones (any labels) [n] and units (integers) [n], n > 0."""
    labels, index = np.unique(phones, return_inverse=True)
    joint = np.zeros((len(labels), int(found.max()) + 1))
    np.add.at(joint, (index, found), 1)
    joint /= joint.sum()
    of_phones, of_units = joint.sum(1), joint.sum(0)
    there = joint > 0
    ratio = joint[there] / np.outer(of_phones, of_units)[there]
    information = float((joint[there] * np.log(ratio)).sum())
    entropy = float(-(of_phones * np.log(of_phones)).sum())
    return {
        "pnmi": information / entropy if entropy > 0 else 0.0,
        "phone_purity": float(joint.max(0).sum()),
        "cluster_purity": float(joint.max(1).sum()),
    }


def _measures(
    pairs: Sequence[tuple[np.ndarray | None, np.ndarray]], silence: bool = False
) -> dict[str, float | None]:
    known = [(phones, found) for phones, found in pairs if phones is not None]
    if known:
        phones = np.concatenate([pair[0] for pair in known])
        found = np.concatenate([pair[1] for pair in known])
        counted = phones != "" if silence else (phones != "") & (phones != SILENCE)
        if counted.any():
            return dict(compare(phones[counted], found[counted]))
    return dict.fromkeys(MEASURES)


def _aligned(path: Path | None, chosen: set[str]) -> dict[str, Any]:
    """Phones of the chosen utterances in a table of alignments."""
    if path is None:
        return {}
    table = files.read_table(path, alignments_table.SCHEMA, ("id", "phones"))
    keep = pa.array([name in chosen for name in table["id"].to_pylist()], pa.bool_())
    return {row["id"]: row["phones"] for row in table.filter(keep).to_pylist()}


def _phones(
    intervals: Sequence[Mapping[str, Any]] | None, frames: int, made: encoder.Encoder
) -> np.ndarray | None:
    """The phone at the centre of each frame, [frames]; empty strings between phones."""
    if intervals is None:
        return None
    centres = (made.window / 2 + np.arange(frames) * made.hop) / features.SAMPLING_RATE
    starts = np.array([phone["start"] for phone in intervals])
    ends = np.array([phone["end"] for phone in intervals])
    labels = np.array([*(phone["label"] for phone in intervals), ""])
    index = np.searchsorted(starts, centres, side="right") - 1
    inside = (index >= 0) & (centres < ends[np.maximum(index, 0)])
    return labels[np.where(inside, index, len(intervals))]
