"""`like: <sibling>`, `seeds: [1, 2, 3]`, and `layers: […]` and `clusters: […]`, written out."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from slamflow.config.merging import SECTIONS, Merged, without_nulls
from slamflow.config.reading import kind

SEEDED = ("init", "twist", "training")  # blocks of a model
SWEPT = {"layers": ("layer", "l"), "clusters": ("clusters", "k")}  # of a tokeniser's kmeans


def expand(merged: Merged) -> None:
    """Write out `like:` and what is spread, then leave out what `null` removes.

    Raises:
        ValueError: `like` names nothing or goes round in a circle, what is spread are no different
            whole numbers, or it is what cannot be spread.
    """
    for section in SECTIONS:
        for name in list(merged.values.get(section) or {}):
            _resolve_like(merged, section, name, ())
    for section in SECTIONS:
        things = merged.values.get(section) or {}
        seeded = {name for name, thing in things.items() if thing and thing.get("seeds")}
        for name, thing in list(things.items()):
            if thing and thing.get("seeds") is not None:
                _spread_seeds(merged, section, name, seeded)
            elif (
                thing
                and section == "tokenisers"
                and any(thing.get(key) is not None for key in SWEPT)
            ):
                _spread_sweep(merged, name)
    merged.values = without_nulls(merged.values)


def _resolve_like(merged: Merged, section: str, name: str, seen: tuple[str, ...]) -> None:
    things = merged.values[section]
    thing = things[name]
    if thing is None or thing.get("like") is None:
        return
    sibling = thing["like"]
    here = f"{merged.origin((section, name, 'like'))}: {section}.{name}.like"
    if not isinstance(sibling, str):
        raise ValueError(f"{here}: should be the name of a sibling, not {kind(sibling)}")
    if name in seen:
        raise ValueError(f"{here}: goes round in a circle ({' → '.join((*seen, name))})")
    if things.get(sibling) is None:
        raise ValueError(f"{here}: {merged.absent(section, sibling)}")
    _resolve_like(merged, section, sibling, (*seen, name))
    own = {key: value for key, value in thing.items() if key != "like"}
    things[name] = _overlaid(things[sibling], own)
    merged.siblings[section, name] = (section, sibling)


def _spread_seeds(merged: Merged, section: str, name: str, seeded: set[str]) -> None:
    """`seeds: [1, 2]` of a model makes the models `{name}-s1` and `{name}-s2`.

    One whose base has seeds, too, begins with that of its own seed.
    """
    things = merged.values[section]
    thing = things.pop(name)
    seeds = thing.pop("seeds")
    here = f"{merged.origin((section, name, 'seeds'))}: {section}.{name}.seeds"
    if section != "models" or thing.get("kind") in ("ngram", "published"):
        raise ValueError(f"{here}: only models that are trained have seeds")
    _check_numbers(here, seeds)
    spread = [f"{name}-s{int(seed)}" for seed in seeds]
    _check_new(here, merged, section, spread)
    for each, seed in zip(spread, seeds, strict=True):
        drawn = [block for block in SEEDED if isinstance(thing.get(block), dict)]
        things[each] = _overlaid(thing, {block: {"seed": int(seed)} for block in drawn})
        for place in (things[each], things[each].get("twist")):
            if isinstance(place, dict) and place.get("base") in seeded:
                place["base"] = f"{place['base']}-s{int(seed)}"
        merged.spread[section, each] = (section, name)
    for models in _lists_of_models(merged):
        if name in models:
            at = models.index(name)
            models[at : at + 1] = spread


def _lists_of_models(merged: Merged) -> Iterator[list[Any]]:
    """Those of `evaluate` and `questions`, where they are lists."""
    rows = merged.values.get("evaluate")
    rows = rows if isinstance(rows, list) else []
    found = [row.get("models") for row in rows if isinstance(row, dict)]
    for question in (merged.values.get("questions") or {}).values():
        arms = question.get("arms") if question else None
        found += arms.values() if isinstance(arms, dict) else []
    yield from (models for models in found if isinstance(models, list))


def _spread_sweep(merged: Merged, name: str) -> None:
    """`layers: [1, 2]`, `clusters: [50]` of a tokeniser make `{name}-l1-k50`, `{name}-l2-k50`."""
    things = merged.values["tokenisers"]
    swept = {key: things[name][key] for key in SWEPT if things[name].get(key) is not None}
    thing = {key: value for key, value in things.pop(name).items() if key not in SWEPT}
    here = f"{merged.origin(('tokenisers', name, next(iter(swept))))}: tokenisers.{name}"
    for key, numbers in swept.items():
        _check_numbers(f"{here}.{key}", numbers)
    if isinstance(thing.get("kmeans"), dict) and thing["kmeans"].get("file") is not None:
        raise ValueError(f"{here}.kmeans.file: is a codebook of one layer and one size: no sweep")
    for values in itertools.product(*swept.values()):
        chosen = dict(zip(swept, map(int, values), strict=True))
        each = "-".join([name, *(f"{SWEPT[key][1]}{value}" for key, value in chosen.items())])
        _check_new(here, merged, "tokenisers", [each])
        block = {SWEPT[key][0]: value for key, value in chosen.items()}
        things[each] = _overlaid(thing, {"kmeans": block})
        merged.spread["tokenisers", each] = ("tokenisers", name)


def _check_numbers(here: str, numbers: Any) -> None:
    whole = isinstance(numbers, list) and all(str(number).isdecimal() for number in numbers)
    if not numbers or not whole or len(set(map(int, numbers))) < len(numbers):
        raise ValueError(f"{here}: should be a list of different whole numbers")


def _check_new(here: str, merged: Merged, section: str, names: Sequence[str]) -> None:
    for name in names:
        if name in merged.values[section]:
            raise ValueError(f"{here}: there is a {section}.{name} already")


def _overlaid(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    copy = Merged()
    copy.overlay(below, "")
    copy.overlay(above, "")
    return copy.values
