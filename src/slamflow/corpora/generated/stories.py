"""Training stories: character, setting, goal, obstacle, outcome, in five short sentences."""

import random
from typing import Any

import pyarrow as pa

from slamflow.corpora.generated import rows, scenes


def generate(source: dict[str, Any], heard: pa.Table | None = None) -> pa.Table:
    """`count` different stories as documents; the group is the theme.

    Raises:
        ValueError: the grammar cannot make so many.
    """
    count, seed = rows.counted(source)
    rng = random.Random(f"stories {seed}")
    made: dict[str, rows.Row] = {}
    for _ in range(count * rows.PATIENCE):
        if len(made) == count:
            break
        scene = scenes.draw(rng)
        try:
            sentences = scenes.context(scene, rng, "training")
            sentences.append(scenes.ending(scene, rng, "training"))
        except scenes.Exhausted:
            continue
        text = " ".join(sentences)
        identity = f"story-{len(made):06d}"
        made.setdefault(text, (identity, identity, "document", scene.theme.name, text, None))
    if len(made) < count:
        raise rows.too_many("stories", count, len(made))
    return rows.table(made.values())
