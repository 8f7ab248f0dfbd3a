"""Where the prompt of an item ends: where the words of its two members begin to differ.

The units of a prompt may differ between members all the same: an encoder looks both ways.
"""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from slamflow import files
from slamflow.lm import spoken_words
from slamflow.lm.spoken_words import Words
from slamflow.tables import speech as speech_table

Items = dict[tuple[str, int], dict[str, Words | None]]  # by item and rendition, then by id


def read(speech: Sequence[Path], alignments: Sequence[Path] = ()) -> Items:
    """The words of the members of each item and rendition, None where they are not known.

    Args:
        speech: the speech tables of a corpus of pairs.
        alignments: its alignments, where it has them, under the same file names.
    """
    aligned = {Path(path).name: path for path in alignments}
    found: Items = {}
    for path in map(Path, speech):
        words = spoken_words.read(path, aligned.get(path.name))
        table = files.read_table(path, speech_table.SCHEMA, ("id", "item", "rendition"))
        columns = (table[name].to_pylist() for name in table.column_names)
        for key, item, rendition in zip(*columns, strict=True):
            found.setdefault((item, rendition), {})[key] = words.get(key)
    return found


def boundaries(speech: Sequence[Path], alignments: Sequence[Path] = ()) -> dict[str, float]:
    """When what is an utterance's own begins (s), by its id.

    That is the beginning of its first word that its partner does not have there, or the end of its
    last word. Utterances whose words are not known, or that have not one partner, are left out.

    Args:
        speech, alignments: see `read`.
    """
    ends = {}
    for members in read(speech, alignments).values():
        known = [words for words in members.values() if words is not None]
        if len(members) == len(known) == 2:
            shared = common(*known)
            for key, words in zip(members, known, strict=True):
                own = words.starts[shared:]
                ends[key] = float(own[0] if len(own) else words.ends[-1])
    return ends


def common(one: Words, other: Words) -> int:
    """How many words two utterances begin with together, whatever their case and punctuation."""
    labels = (
        [re.sub(r"\W", "", label.casefold()) for label in words.labels] for words in (one, other)
    )
    same = itertools.takewhile(lambda both: both[0] == both[1], zip(*labels, strict=False))
    return sum(1 for _ in same)


def units_before(seconds: float, durations: np.ndarray, duration: float) -> int:
    """How many units end before a time, to within half a frame.

    Args:
        durations: frames of each unit, which cover the utterance.
        duration: of the utterance (s).
    """
    ends = np.cumsum(durations, dtype=np.int64)
    return int((ends <= seconds * ends[-1] / duration + 0.5).sum()) if len(ends) else 0
