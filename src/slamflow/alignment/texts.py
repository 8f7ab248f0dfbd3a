"""The words of a text that an aligner looks for, and what the engines give back."""

import re
from collections.abc import Mapping
from typing import Any

Aligned = dict[str, Any]  # words, phones, score, reason
NO_TEXT = "no text"
NOTHING = "nothing to align"


def spoken(text: str) -> list[str]:
    """Tokens between blanks that hold a letter or digit, without the punctuation around them."""
    plain = re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text)
    bare = (re.sub(r"^[\W_]+|[\W_]+$", "", token) for token in plain.split())
    return [token for token in bare if token]


def given(text: str | None) -> bool:
    """Whether there is a text at all."""
    return bool(text and text.strip())


def refused(text: str | None, seconds: float, longest: float) -> str | None:
    """Why an utterance of this text and length need not be tried, if so."""
    if not given(text):
        return NO_TEXT
    if not spoken(text or ""):
        return NOTHING
    return too_long(seconds, longest)


def too_long(seconds: float, longest: float) -> str | None:
    """Why an utterance of this length cannot be tried, if so."""
    return f"too long ({seconds:.1f} s; at most {longest:g} s)" if seconds > longest else None


def failed(reason: str) -> Aligned:
    """The result of an utterance that cannot be aligned."""
    return {"words": None, "phones": None, "score": None, "reason": reason}


def aligned(
    words: list[dict[str, Any]] | None,
    phones: list[dict[str, Any]] | None,
    score: float,
    config: Mapping[str, Any],
) -> Aligned:
    """The result of an aligned utterance, unless its score is below `least_score`."""
    least = config.get("least_score")
    if least is not None and score < least:
        return failed(f"text does not fit the audio (score {score:.2f}, below {least:g})")
    return {"words": words, "phones": phones, "score": score, "reason": None}
