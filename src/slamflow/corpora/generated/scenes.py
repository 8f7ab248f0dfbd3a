"""A scene (theme, character, things, tense) and how templates are filled from it."""

import dataclasses
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from slamflow.corpora.generated import shares, templates, words
from slamflow.corpora.generated.themes import THEMES, Theme

TRIES = 20  # fillings of a template's slots before the scene is given up


@dataclass(frozen=True)
class Scene:
    """What stays the same throughout a story."""

    theme: Theme
    girl: bool
    tense: str  # past or present
    arc: str
    good: bool  # whether the goal is reached
    name: str
    place: str
    object: str
    animal: str
    project: str
    helper: str
    trouble: str
    shape: str  # adjective of the object and the project
    mood: str  # adjective of the animal


class Exhausted(Exception):
    """A template found no filling in the wanted share."""


def _looks(theme: Theme) -> tuple[str, ...]:
    return theme.looks * 2 + words.COLOURS


def draw(rng: random.Random, **fixed: object) -> Scene:
    """A random scene, with the fields `fixed` as given."""
    theme = fixed.get("theme") or rng.choice(THEMES)
    girl = fixed.get("girl", rng.random() < 0.5)
    assert isinstance(theme, Theme)
    scene = Scene(
        theme=theme,
        girl=bool(girl),
        tense=rng.choice(("past", "past", "present")),
        arc=rng.choice(tuple(templates.ARCS)),
        good=rng.random() < 0.5,
        name=rng.choice(words.GIRLS if girl else words.BOYS),
        place=rng.choice(theme.places),
        object=rng.choice(theme.objects),
        animal=rng.choice(theme.animals),
        project=rng.choice(theme.projects),
        helper=rng.choice(theme.helpers),
        trouble=rng.choice(theme.troubles),
        shape=rng.choice(_looks(theme)),
        mood=rng.choice(words.KINDS),
    )
    return dataclasses.replace(scene, **fixed)  # type: ignore[arg-type]


def _free_slots(scene: Scene, rng: random.Random) -> dict[str, str]:
    """Slots that are drawn anew for each sentence."""
    theme = scene.theme
    thing = rng.choice([word for word in theme.objects if word != scene.object])
    creature = rng.choice([word for word in theme.animals if word != scene.animal])
    act = rng.choice(theme.activities * 4 + words.GOINGS)
    compared = rng.choice(words.COMPARED)
    return {
        "thing": thing,
        "things": words.s_form(thing),
        "creature": creature,
        "creatures": words.s_form(creature),
        "act": act,
        "acts": words.s_form(act),
        "acting": words.ing(act),
        "acted": words.past(act),
        "look": rng.choice(_looks(theme)),
        "kind": rng.choice(words.KINDS),
        "terror": rng.choice(words.TERRORS),
        "gladly": rng.choice(words.GLADLY),
        "gloomily": rng.choice(words.GLOOMILY),
        "racing": rng.choice(words.RACING),
        "comparative": words.comparative(compared),
        "superlative": words.superlative(compared),
    }


def fill(template: str, scene: Scene, rng: random.Random, **more: str) -> str:
    """A sentence: `template` filled from the scene, the slots `more` and random free slots."""
    slots = {
        "name": scene.name,
        "place": scene.place,
        "object": scene.object,
        "animal": scene.animal,
        "project": scene.project,
        "helper": scene.helper,
        "trouble": scene.trouble,
        "shape": scene.shape,
        "mood": scene.mood,
        "troubles": words.s_form(scene.trouble),
        **{slot: pair[0 if scene.girl else 1] for slot, pair in words.PRONOUNS.items()},
        **_free_slots(scene, rng),
        **more,
    }
    template = template.replace("[reflex]", f"[{rng.choice(words.REFLEXIVE)}]")
    sentence = template.format_map(slots)
    sentence = re.sub(
        r"\[(\w+)(/s)?\]",
        lambda match: words.inflect(match[1], scene.tense, plural=bool(match[2])),
        sentence,
    )
    return words.tidy(sentence)


def write(
    choices: Sequence[str], scene: Scene, rng: random.Random, share: str, **more: str
) -> str:
    """A sentence of `share` from one of the templates `choices`.

    Raises:
        Exhausted: none was found.
    """
    for _ in range(TRIES):
        sentence = fill(rng.choice(choices), scene, rng, **more)
        if shares.share(sentence) == share:
            return sentence
    raise Exhausted(f"no sentence of the share {share} for {scene}")


def context(scene: Scene, rng: random.Random, share: str) -> list[str]:
    """The story without its ending: opening, goal, obstacle and outcome."""
    arc = templates.ARCS[scene.arc]
    timed = rng.random() < templates.TIMED
    openings = templates.TIMES[scene.tense] if timed else templates.OPENINGS
    opening = write(openings, scene, rng, share)
    who = words.PRONOUNS["he"][0 if scene.girl else 1] if scene.name in opening else scene.name
    goals = arc["goal"]
    if timed and scene.tense == "present":
        goals = tuple(f"today {goal}" for goal in goals)
    return [
        opening,
        write(goals, scene, rng, share, who=who),
        write(templates.OBSTACLES, scene, rng, share),
        write(arc["good" if scene.good else "bad"], scene, rng, share),
    ]


def ending(scene: Scene, rng: random.Random, share: str, good: bool | None = None) -> str:
    """An ending that suits the scene, or the good or the bad one if `good` is given."""
    good = scene.good if good is None else good
    endings = templates.ARCS[scene.arc]["happy" if good else "unhappy"]
    return write(endings, scene, rng, share)
