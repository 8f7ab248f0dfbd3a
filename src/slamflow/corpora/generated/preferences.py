"""Preferences: a sentence, then a next action that follows and one that does not.

The wrong action comes in the wrong order or needs another kind of thing (see `actions`). Items
come mirrored: each action is chosen once and rejected once.
"""

import random
from typing import Any

import pyarrow as pa

from slamflow.corpora.generated import rows, scenes
from slamflow.corpora.generated.actions import OBJECTS, ORDERS

KINDS = {"order": ORDERS, "object": OBJECTS}


def generate(source: dict[str, Any], heard: pa.Table | None = None) -> pa.Table:
    """`count` items of three rows: prompt, chosen, rejected; the group is `order` or `object`.

    Raises:
        ValueError: the count is odd, or the grammar cannot make so many.
    """
    count, seed = rows.counted(source, mirrored=True)
    rng = random.Random(f"preferences {seed}")
    chains = [(kind, chain) for kind, listed in KINDS.items() for chain in listed]
    made: list[rows.Row] = []
    used: set[str] = set()
    for number in range(count // 2):
        kind, chain = chains[number % len(chains)]
        for _ in range(rows.PATIENCE):
            scene = scenes.draw(rng)
            slots = scenes.slots(scene, rng)
            drawn = [scenes.render(template, slots, scene.tense) for template in chain]
            if used.isdisjoint(drawn):
                break
        else:
            raise rows.too_many("preferences", count, 2 * number)
        used.update(drawn)
        first, after_first, second, after_second = drawn
        for prompt, chosen, rejected in (
            (first, after_first, after_second),
            (second, after_second, after_first),
        ):
            item = f"preference-{len(made) // 3:06d}"
            for role, text in (("prompt", prompt), ("chosen", chosen), ("rejected", rejected)):
                made.append((f"{item}-{role}", item, role, kind, text, None))
    return rows.table(made)
