"""Minimal pairs: a short sentence, right or with one mistake, in nine phenomena.

Pairs come mirrored: what is right in one is the mistake in the other, so that neither length nor
the frequency of words tells which is right. Sentences are built like those of stories.
"""

import random
import re
from typing import Any

import pyarrow as pa

from slamflow.corpora.generated import rows, scenes, shares, words
from slamflow.corpora.generated.phenomena import PHENOMENA, Frame

Pair = tuple[str, str]  # right, wrong
CLOSED = {"he", "him", "himself", "herself"}  # slots that go with every theme


def generate(source: dict[str, Any], heard: pa.Table | None = None) -> pa.Table:
    """`count` items, two rows each, as evenly over the phenomena (the groups) as can be.

    Raises:
        ValueError: the count is odd, or the grammar cannot make so many.
    """
    count, seed = rows.counted(source, mirrored=True)
    rng = random.Random(f"syntactic {seed}")
    made: list[rows.Row] = []
    used: set[str] = set()
    names = tuple(PHENOMENA)
    for number in range(count // 2):
        phenomenon = names[number % len(names)]
        frames = PHENOMENA[phenomenon]
        frame = frames[number // len(names) % len(frames)]
        for _ in range(50 * rows.PATIENCE):
            pairs = _mirrored(frame, rng)
            right = [pair[0] for pair in pairs]
            if used.isdisjoint(right) and all(shares.share(it) == "evaluation" for it in right):
                break
        else:
            raise rows.too_many("syntactic", count, 2 * number)
        used.update(right)
        for pair in pairs:
            made += rows.pair(f"syntactic-{len(made) // 2:06d}", phenomenon, *pair)
    return rows.table(made)


def _mirrored(frame: Frame, rng: random.Random) -> tuple[Pair, Pair]:
    """Both pairs of a frame; they share the words that their mistakes are made of."""
    tense, template, mirror = frame
    shared = set(re.findall(r"\{(\w+)\}", " ".join(re.findall("<[^>]*>", template + mirror))))
    first = scenes.draw(rng, **({"tense": tense} if tense else {}))
    second = scenes.draw(rng, girl=first.girl, tense=first.tense)
    if not shared <= CLOSED:
        second = scenes.draw(rng, girl=first.girl, tense=first.tense, theme=first.theme)
    slots, mirrored = _slots(first, rng), _slots(second, rng)
    mirrored |= {slot: slots[slot] for slot in shared}
    return _pair(template, slots, first.tense), _pair(mirror, mirrored, first.tense)


def _slots(scene: scenes.Scene, rng: random.Random) -> dict[str, str]:
    other = rng.choice(words.BOYS if scene.girl else words.GIRLS)
    herself = words.PRONOUNS["himself"][1 if scene.girl else 0]
    return scenes.slots(scene, rng) | {"other": other, "herself": herself}


def _pair(template: str, slots: dict[str, str], tense: str) -> Pair:
    right = re.sub(r"<(.*)~(.*)>", r"\1", template)
    wrong = re.sub(r"<(.*)~(.*)>", r"\2", template)
    return scenes.render(right, slots, tense), scenes.render(wrong, slots, tense)
