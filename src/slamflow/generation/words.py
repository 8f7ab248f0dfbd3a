"""Words of transcripts, and how far a transcript is from what was said."""

import re
from collections.abc import Iterable

import numpy as np

from slamflow.alignment import texts
from slamflow.tokeniser.edits import edit_distance

INSIDE = r"[-–—/]+"  # part words that a recogniser hears as two


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation; `well-known` is two."""
    plain = text.lower().replace("’", "'")
    parted = re.sub(INSIDE, " ", plain)
    return texts.spoken(parted)


def word_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Word edits of all (reference, transcript), by the number of words of the references.

    Raises:
        ValueError: the references have no words.
    """
    edits = said = 0
    for reference, transcript in pairs:
        both = [words(reference), words(transcript)]
        number = {word: index for index, word in enumerate(dict.fromkeys(both[0] + both[1]))}
        one, other = (np.array([number[word] for word in each], dtype=np.int64) for each in both)
        edits += edit_distance(one, other)
        said += len(one)
    if not said:
        raise ValueError("there are no words to compare transcripts with")
    return edits / said
