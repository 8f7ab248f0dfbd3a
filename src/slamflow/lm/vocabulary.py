"""The ids of language models: units come after padding and `<S>`, text and markers after units."""

from dataclasses import dataclass

PAD = 0
BOUNDARY = 1  # <S>: both the beginning and the end of an utterance
UNITS = 2  # unit i is id i + UNITS


@dataclass(frozen=True)
class Interleaved:
    """The ids of a model of speech and text.

    Attributes:
        units: K, of the speech tokeniser.
        entries: T, of the text tokeniser.
    """

    units: int
    entries: int

    @property
    def text(self) -> int:
        """Entry i of the text tokeniser is id i + `text`."""
        return self.units + UNITS

    @property
    def to_speech(self) -> int:
        """`<speech>`: what follows is units."""
        return self.text + self.entries

    @property
    def to_text(self) -> int:
        """`<text>`: what follows is text."""
        return self.to_speech + 1

    @property
    def size(self) -> int:
        """The number of ids."""
        return self.to_text + 1
