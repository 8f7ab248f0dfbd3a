"""Checks across things: names that point to nothing, circles, and things that do not fit."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from slamflow.config.fields import mark
from slamflow.config.fitting import Problem, misfits
from slamflow.config.schema import Config


def problems(config: Config, root: Path, absent: Callable[[str, str], str]) -> Iterator[Problem]:
    """Every problem of a config whose keys are all valid: the key's path and what is wrong.

    Args:
        root: the checkout, which paths of HuBERTs are relative to.
        absent: says what is wrong with a section's name that points to nothing.
    """
    missing = list(_missing_names(config, absent))
    yield from missing
    if missing:
        return
    circles = list(_circles(config))
    yield from circles
    if not circles:
        yield from misfits(config, root)


def references(
    block: BaseModel, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Each reference below `block`: its path, the section it names and the name."""
    for key, field in type(block).model_fields.items():
        value: Any = getattr(block, key)
        section = mark(field, "reference")
        if section and value is not None:
            for place, name in _named(value, (*path, key)):
                yield place, section, name
        else:
            yield from _below(value, (*path, key))


def _named(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The names in a reference: one, a list, or lists by key."""
    if isinstance(value, dict):
        for key, names in value.items():
            yield from _named(names, (*path, str(key)))
    else:
        for name in [value] if isinstance(value, str) else value:
            yield path, name


def _below(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    if isinstance(value, BaseModel):
        yield from references(value, path)
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _below(child, (*path, str(key)))
    elif isinstance(value, list):
        for child in value:
            yield from _below(child, path)


def _missing_names(config: Config, absent: Callable[[str, str], str]) -> Iterator[Problem]:
    for path, section, name in references(config, ()):
        if name not in getattr(config, section):
            yield path, absent(section, name)


def _circles(config: Config) -> Iterator[Problem]:
    """Things that are built from themselves."""
    built_from: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for path, section, name in references(config, ()):
        if path[0] != "evaluate":
            built_from.setdefault((path[0], path[1]), []).append((section, name))
    done: set[tuple[str, str]] = set()

    def visit(thing: tuple[str, str], trail: tuple[tuple[str, str], ...]) -> Iterator[Problem]:
        if thing in trail:
            circle = [*trail[trail.index(thing) :], thing]
            yield thing, "is built from itself: " + " → ".join(".".join(each) for each in circle)
        elif thing not in done:
            for part in built_from.get(thing, []):
                yield from visit(part, (*trail, thing))
            done.add(thing)

    for thing in list(built_from):
        yield from visit(thing, ())
