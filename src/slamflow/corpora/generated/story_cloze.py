"""Story cloze: a story with an ending that follows from its outcome, or one that contradicts it.

Two stories about the same things, one with a good and one with a bad outcome, share the same two
endings, so that each ending is right once and wrong once.
"""

import dataclasses
import random
from typing import Any

import pyarrow as pa

from slamflow.corpora.generated import rows, scenes, words


def generate(source: dict[str, Any], heard: pa.Table | None = None) -> pa.Table:
    """`count` items, two rows each.

    Raises:
        ValueError: the count is odd, or the grammar cannot make so many.
    """
    count, seed = rows.counted(source, mirrored=True)
    rng = random.Random(f"story cloze {seed}")
    made: list[rows.Row] = []
    used: set[str] = set()
    for _ in range(count * rows.PATIENCE):
        if len(made) == 2 * count:
            break
        lucky = scenes.draw(rng, good=True)
        try:
            happy = scenes.ending(lucky, rng, "evaluation")
            unhappy = scenes.ending(lucky, rng, "evaluation", good=False)
            fortune = _context(lucky, rng)
            misfortune = _context(_unlucky(lucky, rng), rng)
        except scenes.Exhausted:
            continue
        if used & {fortune, misfortune, happy + unhappy}:
            continue
        used |= {fortune, misfortune, happy + unhappy}
        for context, right, wrong in ((fortune, happy, unhappy), (misfortune, unhappy, happy)):
            item = f"story-cloze-{len(made) // 2:06d}"
            made += rows.pair(item, "", f"{context} {right}", f"{context} {wrong}")
    if len(made) < 2 * count:
        raise rows.too_many("story_cloze", count, len(made) // 2)
    return rows.table(made)


def _context(scene: scenes.Scene, rng: random.Random) -> str:
    return " ".join(scenes.context(scene, rng, "evaluation"))


def _unlucky(scene: scenes.Scene, rng: random.Random) -> scenes.Scene:
    """The same things happening to another character, without luck."""
    names = [name for name in (words.GIRLS if scene.girl else words.BOYS) if name != scene.name]
    trouble = rng.choice(scene.theme.troubles)
    return dataclasses.replace(scene, good=False, name=rng.choice(names), trouble=trouble)
