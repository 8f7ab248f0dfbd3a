"""Which sentences of the grammar may be trained on, and which are kept for evaluation.

Every sentence belongs to one share by the hash of its text, whatever the seed and the recipe, so
that no evaluated sentence is ever in training. Preferences have templates of their own (`actions`)
and need no share.
"""

import hashlib
import re

EVALUATED = 25  # per cent of sentences


def split(text: str) -> list[str]:
    """The sentences of `text`; a sentence with direct speech inside is one sentence."""
    return re.split(r'(?<=[.!?"])\s+(?=[A-Z])', text)


def share(sentence: str) -> str:
    """`training` or `evaluation`; punctuation and capitals make no difference."""
    letters = re.sub(r"[^a-z ]", "", sentence.lower())
    number = int.from_bytes(hashlib.sha256(letters.encode()).digest()[:4], "big")
    return "evaluation" if number % 100 < EVALUATED else "training"
