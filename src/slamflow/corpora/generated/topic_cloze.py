"""Topic cloze: a story with its own ending, or with that of a story of another theme.

Two stories of one gender and tense exchange their endings, so that each ending is right once and
wrong once: whoever hears only the endings, or counts their length, gets half of the items right.
"""

import random
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from slamflow.corpora.generated import rows, scenes

SLACK = 3  # letters by which the endings of a pair may differ


@dataclass(frozen=True)
class _Story:
    scene: scenes.Scene
    context: str
    ending: str


def generate(source: dict[str, Any], heard: pa.Table | None = None) -> pa.Table:
    """`count` items, two rows each.

    Raises:
        ValueError: the count is odd, or the grammar cannot make so many.
    """
    count, seed = rows.counted(source, mirrored=True)
    rng = random.Random(f"topic cloze {seed}")
    made: list[rows.Row] = []
    used: set[str] = set()
    waiting: list[_Story] = []  # for a partner
    for _ in range(count * rows.PATIENCE):
        if len(made) == 2 * count:
            break
        story = _story(rng)
        if story is None or used & {story.context, story.ending}:
            continue
        used |= {story.context, story.ending}
        partner = next((other for other in waiting if _fit(story, other)), None)
        if partner is None:
            waiting.append(story)
            continue
        waiting.remove(partner)
        for own, other in ((partner, story), (story, partner)):
            item = f"topic-cloze-{len(made) // 2:06d}"
            right, wrong = f"{own.context} {own.ending}", f"{own.context} {other.ending}"
            made += rows.pair(item, "", right, wrong)
    if len(made) < 2 * count:
        raise rows.too_many("topic_cloze", count, len(made) // 2)
    return rows.table(made)


def _story(rng: random.Random) -> _Story | None:
    scene = scenes.draw(rng)
    try:
        ending = scenes.ending(scene, rng, "evaluation")
        return _Story(scene, " ".join(scenes.context(scene, rng, "evaluation")), ending)
    except scenes.Exhausted:
        return None


def _fit(one: _Story, other: _Story) -> bool:
    """Whether two stories may exchange their endings."""
    return (
        one.scene.theme != other.scene.theme
        and one.scene.girl == other.scene.girl
        and one.scene.tense == other.scene.tense
        and abs(len(one.ending) - len(other.ending)) <= SLACK
    )
