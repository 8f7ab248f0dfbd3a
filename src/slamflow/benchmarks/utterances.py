"""What every scorer shares: utterances as token sequences in, rows of the scores table out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from slamflow import files
from slamflow.benchmarks import prompts
from slamflow.lm.vocabulary import Layout
from slamflow.tables import scores as scores_table
from slamflow.tables import units as units_table
from slamflow.tables.lists import lists_of

STARTS = ("bos", "eos", "none")  # what a pass can begin with
MODALITIES = ("all", "units")  # the ids among which a pass takes probabilities
KEPT = ["id", "item", "role", "group", "speaker", "rendition"]
UNKNOWN = -1  # units of a prompt


@dataclass(frozen=True)
class Utterances:
    """The utterances of a benchmark.

    Attributes:
        rows: the columns that go into the scores table as they are, a row an utterance.
        distinct: the different token sequences, `<S> u1 … un <S>` if they are speech, each
            int64 [n + 2], as the model's layout has them, sorted by length and then by tokens, so
            that their order does not depend on the files'. With `start: none` they lack the first
            `<S>`.
        which: int64 [rows], the sequence of each row. Equal utterances share one sequence, so
            that they tie exactly whatever the batch.
        prompts: int64 [rows], tokens of each row's prompt after `<S>`, or UNKNOWN.
        start: the start token as the scores table names it.
    """

    rows: pa.Table
    distinct: list[np.ndarray]
    which: np.ndarray
    prompts: np.ndarray
    start: str


@dataclass(frozen=True)
class Terms:
    """−ln p of each predicted token in nats, a float64 array [tokens] a sequence."""

    tokens: list[np.ndarray]

    @property
    def total(self) -> np.ndarray:
        """The sum over all predicted tokens, the end token included, [sequences]."""
        return np.array([terms.sum() for terms in self.tokens])

    @property
    def first(self) -> np.ndarray:
        """The first unit's term, NaN for a sequence without units, [sequences]."""
        return np.array([terms[0] if len(terms) > 1 else np.nan for terms in self.tokens])

    @property
    def end(self) -> np.ndarray:
        """The end token's term, [sequences]."""
        return np.array([terms[-1] for terms in self.tokens])


def check_start(config: dict) -> str:
    """The start token that a `scoring` block names (`bos` if it names none).

    Raises:
        ValueError: it names another one.
    """
    return _named(config, "start", STARTS)


def check_modality(config: dict) -> str:
    """The modality that a `scoring` block names (`all` if it names none).

    Raises:
        ValueError: it names another one.
    """
    return _named(config, "modality", MODALITIES)


def _named(config: dict, key: str, known: Sequence[str]) -> str:
    """One of the values that are known, the first by default."""
    value = config.get(key, known[0])
    if value not in known:
        raise ValueError(f"scoring: {key} is {value!r} and must be one of {', '.join(known)}")
    return str(value)


def read(
    paths: Sequence[Path],
    ids: Layout,
    model: str,
    start: str = "bos",
    boundaries: Mapping[str, float] | None = None,
) -> Utterances:
    """Read the units tables of a benchmark.

    Args:
        ids: those of the model.
        model: its name, for errors.
        start: of STARTS.
        boundaries: from `prompts.boundaries`; used where units cover the time of an utterance,
            which phones, without silence, do not.

    Raises:
        ValueError: a unit that the model has not, a row without a list of units, without any where
            there is no start token, or two rows of one id; it names the file and the row.
    """
    tables, tokens, ends = [], [], []
    before = np.array({"bos": [ids.start], "eos": [ids.end], "none": []}[start], np.int64)
    seen: set[str] = set()
    for path in paths:
        table = files.read_table(path, units_table.SCHEMA)
        tables.append(table.select(KEPT))
        timed = b"precision" in (table.schema.metadata or {})
        columns = (table["id"].to_pylist(), table["duration"].to_pylist())
        lists = (lists_of(table[name]) for name in ("units", "durations"))
        for row, (key, duration, units, frames) in enumerate(zip(*columns, *lists, strict=True)):
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
            if not len(units) and not len(before):
                raise ValueError(
                    f"{path}: row {row} (`{key}`) has no units, so that without a start token "
                    "nothing is predicted; use `scoring: {start: bos}`"
                )
            spoken = units.astype(np.int64) + ids.offset
            tokens.append(np.concatenate([before, spoken, np.array([ids.end])]))
            at = boundaries.get(key) if boundaries and timed and frames is not None else None
            ends.append(UNKNOWN if at is None else prompts.units_before(at, frames, duration))
    if not tokens:
        names = ", ".join(str(path) for path in paths)
        raise ValueError(f"{names}: no utterances to score")
    same = start != "none" and ids.start == ids.end
    return gathered(pa.concat_tables(tables), tokens, ends, scores_table.BOTH if same else start)


def gathered(
    rows: pa.Table, tokens: Sequence[np.ndarray], prompts: Sequence[int], start: str
) -> Utterances:
    """Utterances of a row each, equal ones as one sequence."""
    by_content = {sequence.tobytes(): sequence for sequence in tokens}
    distinct = sorted(by_content.values(), key=lambda sequence: (len(sequence), sequence.tolist()))
    place = {sequence.tobytes(): index for index, sequence in enumerate(distinct)}
    which = np.array([place[sequence.tobytes()] for sequence in tokens], np.int64)
    return Utterances(rows, distinct, which, np.array(prompts, np.int64), start)


def write(utterances: Utterances, terms: Terms, modality: str, output: Path, model: str) -> None:
    """Write the scores table: the rows in the order in which they were read.

    Raises:
        ValueError: a likelihood is not finite; it names the model and the utterance.
    """
    which = utterances.which
    finite = np.array([np.isfinite(each).all() for each in terms.tokens])[which]
    if not finite.all():
        key = utterances.rows["id"][int(np.argmin(finite))].as_py()
        raise ValueError(
            f"{model}: the likelihood of `{key}` is not finite ({int((~finite).sum())} of "
            f"{len(finite)} utterances); the weights are damaged or training diverged"
        )
    counts = np.array(list(map(len, terms.tokens)))[which]
    none = utterances.start == "none"
    # the first unit is predicted from the start token, the first term is the second unit's else
    unknown = utterances.prompts == UNKNOWN
    predicted = np.maximum(utterances.prompts - none, 0)
    prompt = [terms.tokens[at][:end].sum() for at, end in zip(which, predicted, strict=True)]
    table = utterances.rows
    for name, values in (
        ("start", pa.array([utterances.start] * len(which), pa.string())),
        ("modality", pa.array([modality] * len(which), pa.string())),
        ("nll", pa.array(terms.total[which])),
        ("tokens", pa.array(counts.astype(np.int32))),
        ("first_nll", pa.array(terms.first[which], mask=(counts == 1) | none)),
        ("end_nll", pa.array(terms.end[which])),
        ("prompt_nll", pa.array(np.array(prompt), mask=unknown)),
        ("prompt_tokens", pa.array(predicted.astype(np.int32), mask=unknown)),
    ):
        table = table.append_column(name, values)
    files.write_table(table, output, scores_table.SCHEMA)
