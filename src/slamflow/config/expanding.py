"""`like: <sibling>` and `seeds: [1, 2, 3]`, written out."""

from typing import Any

from slamflow.config.merging import SECTIONS, Merged, without_nulls
from slamflow.config.reading import kind


def expand(merged: Merged) -> None:
    """Write out `like:` and `seeds:`, then leave out what `null` removes.

    Raises:
        ValueError: `like` names nothing or goes round in a circle, or `seeds` are no seeds.
    """
    for section in SECTIONS:
        things = merged.values.get(section) or {}
        for name in list(things):
            _resolve_like(merged, section, name, ())
        for name, thing in list(things.items()):
            if thing and thing.get("seeds") is not None:
                _spread_seeds(merged, section, name)
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


def _spread_seeds(merged: Merged, section: str, name: str) -> None:
    """`seeds: [1, 2]` of a model makes the models `{name}-s1` and `{name}-s2`."""
    things = merged.values[section]
    thing = things.pop(name)
    seeds = thing.pop("seeds")
    here = f"{merged.origin((section, name, 'seeds'))}: {section}.{name}.seeds"
    if section != "models" or thing.get("kind") == "ngram":
        raise ValueError(f"{here}: only models that are trained have seeds")
    numbers = isinstance(seeds, list) and all(str(seed).isdecimal() for seed in seeds)
    if not seeds or not numbers or len(set(map(int, seeds))) < len(seeds):
        raise ValueError(f"{here}: should be a list of different whole numbers")
    spread = [f"{name}-s{int(seed)}" for seed in seeds]
    for each, seed in zip(spread, seeds, strict=True):
        if each in things:
            raise ValueError(f"{here}: there is a {section}.{each} already")
        drawn = [block for block in ("init", "training") if isinstance(thing.get(block), dict)]
        things[each] = _overlaid(thing, {block: {"seed": int(seed)} for block in drawn})
        merged.spread[section, each] = (section, name)
    rows = merged.values.get("evaluate")
    for row in rows if isinstance(rows, list) else []:
        models = row.get("models") if isinstance(row, dict) else None
        if isinstance(models, list) and name in models:
            at = models.index(name)
            models[at : at + 1] = spread


def _overlaid(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    copy = Merged()
    copy.overlay(below, "")
    copy.overlay(above, "")
    return copy.values
