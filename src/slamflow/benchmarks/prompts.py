"""Where the prompt of an item ends: where the words of its two members begin to differ.

The units of a prompt may differ between members all the same: an encoder looks both ways.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slamflow import files
from slamflow.tables import speech as speech_table

COLUMNS = ("id", "item", "role", "rendition", "words")


def boundaries(speech: Sequence[Path]) -> dict[str, float]:
    """When what is an utterance's own begins (s), by its id.

    That is the beginning of its first word that its partner does not have there, or the end of its
    last word. Utterances whose words are not known, or that have not one partner, are left out.

    Args:
        speech: the speech tables of a corpus of pairs.
    """
    members: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for path in speech:
        for row in files.read_table(path, speech_table.SCHEMA, COLUMNS).to_pylist():
            members.setdefault((row["item"], row["rendition"]), []).append(row)
    found = {}
    for pair in members.values():
        if len(pair) != 2 or not all(row["words"] for row in pair):
            continue
        labels = ([word["label"] for word in row["words"]] for row in pair)
        same = itertools.takewhile(lambda both: both[0] == both[1], zip(*labels, strict=False))
        common = sum(1 for _ in same)
        for row in pair:
            own = row["words"][common:]
            found[row["id"]] = own[0]["start"] if own else row["words"][-1]["end"]
    return found


def units_before(seconds: float, durations: np.ndarray, duration: float) -> int:
    """How many units end before a time, to within half a frame.

    Args:
        durations: frames of each unit, which cover the utterance.
        duration: of the utterance (s).
    """
    ends = np.cumsum(durations, dtype=np.int64)
    return int((ends <= seconds * ends[-1] / duration + 0.5).sum()) if len(ends) else 0
