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
        tense=rng.choice(("past", "present")),
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


def slots(scene: Scene, rng: random.Random) -> dict[str, str]:
    """What templates can name: words of the scene, and words that are drawn anew each time."""
    theme = scene.theme
    thing = rng.choice([word for word in theme.objects if word != scene.object])
    creature = rng.choice([word for word in theme.animals if word != scene.animal])
    act = rng.choice(theme.activities * 6 + words.GOINGS)
    compared = rng.choice(words.COMPARED)
    return {
        "name": scene.name,
        "place": scene.place,
        "object": scene.object,
        "shape": scene.shape,
        "animal": scene.animal,
        "mood": scene.mood,
        "project": scene.project,
        "helper": scene.helper,
        "trouble": scene.trouble,
        "troubles": words.s_form(scene.trouble),
        "thing": thing,
        "things": words.s_form(thing),
        "creature": creature,
        "creatures": words.s_form(creature),
        "act": act,
        "acting": words.ing(act),
        "acted": words.past(act),
        "reflex": rng.choice(words.REFLEXIVE),
        "look": rng.choice(_looks(theme)),
        "kind": rng.choice(words.KINDS),
        "terror": rng.choice(words.TERRORS),
        "gladly": rng.choice(words.GLADLY),
        "gloomily": rng.choice(words.GLOOMILY),
        "racing": rng.choice(words.RACING),
        "comparative": words.comparative(compared),
        "superlative": words.superlative(compared),
        **{slot: pair[0 if scene.girl else 1] for slot, pair in words.PRONOUNS.items()},
    }


def render(template: str, slots: dict[str, str], tense: str) -> str:
    """A sentence: `template` with its slots filled and its verbs in `tense`."""
    sentence = re.sub(
        r"\[(\w+)(/s)?\]",
        lambda match: words.inflect(match[1], tense, plural=bool(match[2])),
        template.format_map(slots),
    )
    return words.tidy(sentence)


def write(choices: Sequence[str], scene: Scene, rng: random.Random, share: str, **more: str) -> str:
    """A sentence of `share` from one of the templates `choices`.

    Raises:
        Exhausted: none was found.
    """
    for _ in range(TRIES):
        sentence = render(rng.choice(choices), slots(scene, rng) | more, scene.tense)
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
