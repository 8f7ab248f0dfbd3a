"""The ids of language models: units come after padding and `<S>`, text and markers after units."""

from dataclasses import dataclass
from typing import Any

PAD = 0
BOUNDARY = 1  # <S>: both the beginning and the end of an utterance
UNITS = 2  # unit i is id i + UNITS


@dataclass(frozen=True)
class Layout:
    """Where the ids of a model of units are; models of others have layouts of their own.

    Attributes:
        units: K.
        offset: unit i is id i + `offset`.
        start: begins an utterance.
        end: ends it.
        pad: fills rows up.
    """

    units: int
    offset: int = UNITS
    start: int = BOUNDARY
    end: int = BOUNDARY
    pad: int = PAD

    @property
    def size(self) -> int:
        """The number of ids up to the last of these; ids of text, if any, come after them."""
        return 1 + max(self.offset + self.units - 1, self.start, self.end, self.pad)


def layout(config: Any) -> Layout:
    """The ids of a model, from its config in transformers' layout (the object, not a mapping).

    Its keys `units`, `unit_offset`, `boundary` (the start token), `end` and `pad`; without them
    they are as the constants above say, and all ids after `<S>` are units.
    """
    offset = getattr(config, "unit_offset", UNITS)
    units = getattr(config, "units", None)
    return Layout(
        config.vocab_size - offset if units is None else units,
        offset,
        getattr(config, "boundary", BOUNDARY),
        getattr(config, "end", BOUNDARY),
        getattr(config, "pad", PAD),
    )


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
