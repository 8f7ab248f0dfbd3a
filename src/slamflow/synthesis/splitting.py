"""Texts as pieces that a neural voice can speak at once."""

import functools
import re
from collections.abc import Iterator

from sentence_splitter import SentenceSplitter

PAUSE = 0.2  # s between two pieces


def split(text: str, longest: int) -> list[str]:
    """The sentences of a text on one line; of longer ones, parts of at most `longest` characters.

    Parts end at commas (and semicolons, colons and dashes) where they can, else at blanks, and
    within a word only if the word alone is too long.
    """
    pieces = [piece for piece in _sentences().split(text) if piece.strip()]
    return [part for piece in pieces for part in _parts(piece.strip(), longest)]


def bare(word: str) -> str:
    """A word without the punctuation around it."""
    return re.sub(r"^[^\w]+|[^\w]+$", "", word)


@functools.cache
def _sentences() -> SentenceSplitter:
    return SentenceSplitter(language="en")


def _parts(piece: str, longest: int) -> Iterator[str]:
    while len(piece) > longest:
        head = piece[: longest + 1]
        end = 1 + max(head[:longest].rfind(mark + " ") for mark in ",;:—–-")
        if end <= 0:
            end = head.rfind(" ")
        if end <= 0:
            end = longest
        yield piece[:end].rstrip()
        piece = piece[end:].lstrip()
    if piece:
        yield piece
