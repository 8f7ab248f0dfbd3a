"""Topic cloze: a story with its own ending, or with that of a story of another theme.

The two stories have the gender, the tense, the arc and the outcome in common, and their endings the
form and the manner, so that nothing but the topic tells them apart. They exchange their endings, so
that each ending is right once and wrong once: whoever hears only the endings, or counts their
length, gets half of the items right.
"""

import random
from typing import Any

import pyarrow as pa

from slamflow.corpora.generated import rows, scenes, templates, words
from slamflow.corpora.generated.themes import THEMES

SLACK = 3  # letters by which the endings of a pair may differ
SHARE = "evaluation"


def generate(source: dict[str, Any], heard: pa.Table | None = None) -> pa.Table:
    """`count` items, two rows each.

    Raises:
        ValueError: the count is odd, or the grammar cannot make so many.
    """
    count, seed = rows.counted(source, mirrored=True)
    rng = random.Random(f"topic cloze {seed}")
    made: list[rows.Row] = []
    used: set[str] = set()
    for _ in range(count * rows.PATIENCE):
        if len(made) == 2 * count:
            break
        one = scenes.draw(rng)
        themes = [theme for theme in THEMES if theme != one.theme]
        same = {name: getattr(one, name) for name in ("girl", "tense", "arc", "good")}
        other = scenes.draw(rng, theme=rng.choice(themes), **same)
        try:
            endings = _endings((one, other), rng)
            contexts = [" ".join(scenes.context(scene, rng, SHARE)) for scene in (one, other)]
        except scenes.Exhausted:
            continue
        if abs(len(endings[0]) - len(endings[1])) > SLACK or used & {*endings, *contexts}:
            continue
        used |= {*endings, *contexts}
        for context, right, wrong in zip(contexts, endings, endings[::-1], strict=True):
            item = f"topic-cloze-{len(made) // 2:06d}"
            made += rows.pair(item, "", f"{context} {right}", f"{context} {wrong}")
    if len(made) < 2 * count:
        raise rows.too_many("topic_cloze", count, len(made) // 2)
    return rows.table(made)


def _endings(pair: tuple[scenes.Scene, scenes.Scene], rng: random.Random) -> list[str]:
    """An ending of each story, of one form and manner."""
    template = rng.choice(templates.ARCS[pair[0].arc]["happy" if pair[0].good else "unhappy"])
    manner = {"gladly": rng.choice(words.GLADLY), "gloomily": rng.choice(words.GLOOMILY)}
    return [scenes.write((template,), scene, rng, SHARE, **manner) for scene in pair]
