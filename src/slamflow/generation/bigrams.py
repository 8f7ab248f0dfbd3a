"""A bigram model of words, as an ARPA file.

Interpolated absolute discounting (Ney, Essen and Kneser 1994), as in `slamflow.lm.ngram`:
p(b | a) = max(c(ab) − D, 0) / c(a) + D · t(a) / c(a) · p(b), where c counts, t(a) is the number of
different words seen after a, p(b) is the share of b, and D = n1 / (n1 + 2 n2) with the numbers n1
and n2 of bigrams seen once and twice. What was not seen after a has the last term alone, so that
D · t(a) / c(a) is the back-off weight of a.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from slamflow import files

START, END = "<s>", "</s>"
IMPOSSIBLE = -99.0  # what ARPA files have for log10 of 0


def write(texts: Iterable[Sequence[str]], path: Path) -> None:
    """Write the ARPA file of texts, each a list of words; its order is that of the alphabet.

    Raises:
        ValueError: no text has a word.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    for text in texts:
        if text:
            pairs.update(itertools.pairwise([START, *text, END]))
    if not pairs:
        raise ValueError("no text has a word: no language model can be counted")
    before, after, kinds = _sums(pairs)
    once, twice = (sum(count == n for count in pairs.values()) for n in (1, 2))
    discount = once / (once + 2 * twice) if once else 0.5
    total = sum(after.values())
    share = {word: count / total for word, count in after.items()}
    spared = {word: discount * kinds[word] / count for word, count in before.items()}
    with files.replacing(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write(f"\\data\\\nngram 1={len(share) + 1}\nngram 2={len(pairs)}\n\n\\1-grams:\n")
        for word in sorted([START, *share]):
            logs = _log(share.get(word, 0.0)), _log(spared.get(word, 1.0))
            stream.write(f"{logs[0]:.6f}\t{word}\t{logs[1]:.6f}\n")
        stream.write("\n\\2-grams:\n")
        for (a, b), count in sorted(pairs.items()):
            probability = max(count - discount, 0.0) / before[a] + spared[a] * share[b]
            stream.write(f"{_log(probability):.6f}\t{a} {b}\n")
        stream.write("\n\\end\\\n")


def _sums(pairs: Counter[tuple[str, str]]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """How often a word is a first and a second one, and how many different ones follow it."""
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for (a, b), count in pairs.items():
        before[a] += count
        after[b] += count
    return before, after, Counter(a for a, _ in pairs)


def _log(probability: float) -> float:
    return math.log10(probability) if probability > 0 else IMPOSSIBLE
