"""What every scorer shares: utterances as token sequences in, rows of the scores table out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from slamflow import files
from slamflow.lm.vocabulary import Layout
from slamflow.tables import scores as scores_table
from slamflow.tables import units as units_table

STARTS = ("bos",)  # names of the start tokens that a pass can have
MODALITIES = ("all", "units")  # the ids among which a pass takes probabilities
KEPT = ["id", "item", "role", "group", "speaker", "rendition"]


@dataclass(frozen=True)
class Utterances:
    """The utterances of a benchmark.

    Attributes:
        rows: the columns that go into the scores table as they are, a row an utterance.
        distinct: the different token sequences `<S> u1 … un <S>`, each int64 [n + 2], as the
            model's layout has them, sorted by length and then by tokens, so that their order does
            not depend on the files'.
        which: int64 [rows], the sequence of each row. Equal utterances share one sequence, so
            that they tie exactly whatever the batch.
    """

    rows: pa.Table
    distinct: list[np.ndarray]
    which: np.ndarray


@dataclass(frozen=True)
class Terms:
    """Negative log-likelihoods in nats, float64, an entry a sequence.

    Attributes:
        total: sum over all predicted tokens, the end token included.
        first: the first unit's term, NaN for a sequence without units.
        end: the end token's term.
    """

    total: np.ndarray
    first: np.ndarray
    end: np.ndarray


def check_start(config: dict) -> str:
    """The start token that a `scoring` block names (`bos` if it names none).

    Raises:
        ValueError: it names another one.
    """
    start = config.get("start", "bos")
    if start not in STARTS:
        raise ValueError(f"scoring: start is {start!r} and must be one of {', '.join(STARTS)}")
    return start


def check_modality(config: dict) -> str:
    """The modality that a `scoring` block names (`all` if it names none).

    Raises:
        ValueError: it names another one.
    """
    modality = config.get("modality", "all")
    if modality not in MODALITIES:
        known = ", ".join(MODALITIES)
        raise ValueError(f"scoring: modality is {modality!r} and must be one of {known}")
    return str(modality)


def read(paths: Sequence[Path], ids: Layout, model: str) -> Utterances:
    """Read the units tables of a benchmark.

    Args:
        ids: those of the model.
        model: its name, for errors.

    Raises:
        ValueError: a unit that the model has not, a row without a list of units, or two rows of
            one id; it names the file and the row.
    """
    tables, tokens = [], []
    seen: set[str] = set()
    for path in paths:
        table = files.read_table(path, units_table.SCHEMA)
        tables.append(table.select(KEPT))
        for row, (key, units) in enumerate(
            zip(table["id"].to_pylist(), lists_of(table["units"]), strict=True)
        ):
            if units is None:
                raise ValueError(f"{path}: row {row} (`{key}`) has no list of units; make it anew")
            if key in seen:
                raise ValueError(
                    f"{path}: row {row}: the id `{key}` occurs twice among the files of this "
                    "benchmark; give every utterance an id of its own"
                )
            seen.add(key)
            if len(units) and int(units.max()) >= ids.units:
                raise ValueError(
                    f"{path}: row {row} (`{key}`) has unit {int(units.max())}, but {model} knows "
                    f"only {ids.units} units; score it with units of the tokeniser "
                    "that it was trained on"
                )
            spoken = units.astype(np.int64) + ids.offset
            tokens.append(np.concatenate([[ids.start], spoken, [ids.end]]))
    if not tokens:
        names = ", ".join(str(path) for path in paths)
        raise ValueError(f"{names}: no utterances to score")
    by_content = {sequence.tobytes(): sequence for sequence in tokens}
    distinct = sorted(by_content.values(), key=lambda sequence: (len(sequence), sequence.tolist()))
    place = {sequence.tobytes(): index for index, sequence in enumerate(distinct)}
    which = np.array([place[sequence.tobytes()] for sequence in tokens], np.int64)
    return Utterances(pa.concat_tables(tables), distinct, which)


def lists_of(column: pa.ChunkedArray) -> list[np.ndarray | None]:
    """The entries of a list column as arrays, without a Python object a number."""
    entries: list[np.ndarray | None] = []
    for chunk in column.chunks:
        values = chunk.values.to_numpy(zero_copy_only=False)
        offsets = chunk.offsets.to_numpy()
        for index, present in enumerate(chunk.is_valid().to_numpy(zero_copy_only=False)):
            entries.append(values[offsets[index] : offsets[index + 1]] if present else None)
    return entries


def write(utterances: Utterances, terms: Terms, start: str, output: Path, model: str) -> None:
    """Write the scores table: the rows in the order in which they were read.

    Raises:
        ValueError: a likelihood is not finite; it names the model and the utterance.
    """
    total, first, end = (
        values[utterances.which] for values in (terms.total, terms.first, terms.end)
    )
    lengths = np.array([len(sequence) for sequence in utterances.distinct])[utterances.which]
    without_units = lengths == 2
    finite = np.isfinite(total) & np.isfinite(end) & (np.isfinite(first) | without_units)
    if not finite.all():
        key = utterances.rows["id"][int(np.argmin(finite))].as_py()
        raise ValueError(
            f"{model}: the likelihood of `{key}` is not finite ({int((~finite).sum())} of "
            f"{len(finite)} utterances); the weights are damaged or training diverged"
        )
    table = utterances.rows
    for name, values in (
        ("start", pa.array([start] * len(total), pa.string())),
        ("nll", pa.array(total)),
        ("tokens", pa.array((lengths - 1).astype(np.int32))),
        ("first_nll", pa.array(first, mask=without_units)),
        ("end_nll", pa.array(end)),
    ):
        table = table.append_column(name, values)
    files.write_table(table, output, scores_table.SCHEMA)
