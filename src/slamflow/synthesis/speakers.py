"""The speakers of a neural voice's model."""

from collections.abc import Mapping
from typing import Any


def check(synthesiser: Mapping[str, Any], count: int) -> None:
    """Check `speakers` (a list of numbers, or None) against the number that the model has.

    Raises:
        ValueError: the model has no such speaker, or has several and none is named.
    """
    speakers = synthesiser.get("speakers")
    if count <= 1 and speakers:
        raise ValueError(f"synthesiser: {synthesiser['model']} has one voice; remove `speakers`")
    if count > 1 and not speakers:
        raise ValueError(
            f"synthesiser: {synthesiser['model']} has {count} voices; name some of 0 to"
            f" {count - 1} in `speakers`"
        )
    for number in speakers or []:
        if not 0 <= number < count:
            raise ValueError(f"synthesiser: speakers: {number} is none of 0 to {count - 1}")
