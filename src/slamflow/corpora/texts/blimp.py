"""BLiMP's minimal pairs: an acceptable sentence and one that is not."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from slamflow.corpora.generated import rows
from slamflow.corpora.texts import inputs, outputs
from slamflow.tables import rejected as rejected_table
from slamflow.tables.gathered import Gathered

KEYS = ("UID", "pairID", "linguistics_term", "sentence_good", "sentence_bad")
# What BLiMP's authors count as one of their 12 phenomena under another term.
TERMS = {"s-selection": "argument_structure"}
SENTENCES = ("sentence_good", "sentence_bad")


class Pair(NamedTuple):
    """A minimal pair, in the order in which pairs are taken."""

    paradigm: str
    number: str
    good: str
    bad: str
    term: str
    source: str

    @property
    def item(self) -> str:
        """What names it, whatever file and line it stands in."""
        return f"{self.paradigm}-{self.number}"


def read(
    config: Mapping[str, Any],
    sources: pa.Table,
    data_root: Path,
    rejected: Gathered,
    heard: pa.Table | None = None,
) -> Iterator[list[rows.Row]]:
    """Two rows a pair, sorted by paradigm and number whatever the order of files and lines.

    Args:
        config: `folder`; `members` for zips; `group`: `paradigm` (`UID`) or `term`
            (`linguistics_term`, with the two of TERMS as one); `per_paradigm`: so many pairs are
            drawn of each paradigm by `seed`, null for all; `count`: the first so many of these,
            null for all.
        rejected: of the rejected schema, gets every line that is no pair, if all are asked for
            or none is one.

    Yields:
        The rows of each pair that was drawn.

    Raises:
        ValueError: a file cannot be read (see `inputs.parts`).
    """
    per_paradigm, count = config.get("per_paradigm"), config.get("count")
    left_out = Gathered(rejected_table.SCHEMA)
    found = sorted(_pairs(config, sources, data_root, left_out))
    drawn = _drawn(_once(found, left_out), per_paradigm, config["seed"])
    # where some are drawn, a line that is no pair is as one that was not
    if not drawn or not (per_paradigm or count):
        for row in left_out.table().to_pylist():
            rejected.add(row)
    for pair in drawn[:count]:
        group = pair.paradigm if config["group"] == "paradigm" else pair.term
        yield rows.pair(pair.item, group, pair.good, pair.bad)


def _pairs(
    config: Mapping[str, Any], sources: pa.Table, data_root: Path, rejected: Gathered
) -> Iterator[Pair]:
    for part in inputs.parts(config, sources, data_root):
        for number, record in inputs.json_lines(part):
            pair = _pair(record, part.source)
            if isinstance(pair, str):
                outputs.reject(rejected, f"{part.prefix}-{number:06d}", part.source, pair)
            else:
                yield pair


def _pair(record: dict[str, Any] | str, source: str) -> Pair | str:
    """A pair, or the reason why the record is none."""
    if isinstance(record, str):
        return record
    if missing := [key for key in KEYS if not str(record.get(key) or "").strip()
                   and record.get(key) != 0]:  # fmt: skip
        return f"no {'text' if missing[0] in SENTENCES else missing[0]}"
    paradigm, number, term, *sentences = (str(record[key]).strip() for key in KEYS)
    for text in (paradigm, number, term, *sentences):
        if reason := outputs.flaw(text, {}):
            return reason
    good, bad = (outputs.tidy(text) for text in sentences)
    if good == bad:
        return "identical sentences"
    return Pair(paradigm, number, good, bad, TERMS.get(term, term), source)


def _once(found: Iterable[Pair], rejected: Gathered) -> Iterator[Pair]:
    """Pairs whose item and sentences were not there before."""
    items: set[str] = set()
    texts: set[tuple[str, str, str]] = set()
    for pair in found:
        text = (pair.paradigm, pair.good, pair.bad)
        if pair.item in items or text in texts:
            reason = "duplicate id" if pair.item in items else "duplicate text"
            outputs.reject(rejected, pair.item, pair.source, reason)
            continue
        items.add(pair.item)
        texts.add(text)
        yield pair


def _drawn(pairs: Iterable[Pair], per_paradigm: int | None, seed: int) -> list[Pair]:
    """Pairs of each paradigm; which ones does not depend on what else is there."""
    paradigms: defaultdict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        paradigms[pair.paradigm].append(pair)

    def lot(pair: Pair) -> bytes:
        return hashlib.sha256(f"blimp {seed} {pair.item}".encode()).digest()

    return [
        pair
        for _, listed in sorted(paradigms.items())
        for pair in sorted(sorted(listed, key=lot)[:per_paradigm], key=_place)
    ]


def _place(pair: Pair) -> tuple[int, str]:
    return int(pair.number) if pair.number.isdecimal() else 0, pair.number
