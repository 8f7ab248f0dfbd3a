"""Which sentences may be trained on, evaluated, or used for preferences.

Every sentence belongs to one share by the hash of its text, whatever the seed and the recipe, so
that no evaluated sentence is ever in training or in preferences.
"""

import hashlib
import re

_SHARES = (("training", 70), ("evaluation", 90), ("preferences", 100))  # upper bounds, per cent


def split(text: str) -> list[str]:
    """The sentences of `text`; a sentence with direct speech inside is one sentence."""
    return re.split(r'(?<=[.!?"])\s+(?=[A-Z])', text)


def share(sentence: str) -> str:
    """`training`, `evaluation` or `preferences`."""
    letters = re.sub(r"[^a-z ]", "", sentence.lower())
    number = int.from_bytes(hashlib.sha256(letters.encode()).digest()[:4], "big") % 100
    return next(name for name, bound in _SHARES if number < bound)
