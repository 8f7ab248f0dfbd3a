"""Load the config: merge, validate, and say every problem in one line each."""

import re
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from slamflow import logs
from slamflow.config.checks import Problem, problems
from slamflow.config.expanding import expand
from slamflow.config.fields import tag
from slamflow.config.merging import Merged, merge
from slamflow.config.reading import closest, kind
from slamflow.config.schema import Config


def load(root: Path, command_line: dict[str, Any]) -> Config:
    """The validated config of the checkout at `root`.

    Args:
        command_line: what Snakemake got from `--configfile` and `--config`.

    Raises:
        ValueError: one line a problem, each with the file and the key's path.
    """
    merged = merge(root, command_line)
    expand(merged)
    try:
        config = Config.model_validate(merged.values)
    except ValidationError as error:
        _refuse(merged, map(_problem, error.errors()))
        raise
    _refuse(merged, problems(config, root, merged.absent))
    return config


def _refuse(merged: Merged, found: Iterable[Problem]) -> None:
    lines = list(dict.fromkeys(_lines(merged, list(found))))
    if lines:
        raise ValueError("\n".join(map(logs.plain, lines))) from None


def _lines(merged: Merged, found: list[Problem]) -> Iterator[str]:
    """A line a problem; a thing does not repeat those of the sibling that it is like."""
    written = [(merged.written(path), message) for path, message in found]
    broken = {path for path, _ in written}
    for path, message in written:
        same = merged.inherited(path) or ()
        shared = {same[:length] for length in range(2, len(same))}
        if not merged.setters(path):
            shared.add(same)
        if (same, message) not in written and not shared & broken:
            yield f"{merged.origin(path)}: {'.'.join(path)}: {message}"


def _problem(error: Any) -> Problem:
    """The key's path and what is wrong, of an error of pydantic."""
    path, model = _path_and_model(error["loc"])
    value = error["input"]
    match error["type"]:
        case "extra_forbidden":
            return path, f"unknown key.{closest(path[-1], model.model_fields if model else ())}"
        case "missing":
            field = model.model_fields.get(path[-1]) if model else None
            about = f" ({field.description})" if field and field.description else ""
            return path, f"is missing{about}"
        case "union_tag_not_found":
            return (*path, _discriminator(error)), "is missing"
        case "union_tag_invalid":
            asked = error["ctx"]["tag"]
            known = re.findall(r"'([^']*)'", error["ctx"]["expected_tags"])
            said = f"there is no {asked}, only {', '.join(known)}.{closest(asked, known)}"
            return (*path, _discriminator(error)), said
        case "string_pattern_mismatch" if path[-1:] == ("[key]",):
            return path[:-1], "names are small letters, digits, - and _, a letter first"
        case "model_type" | "model_attributes_type" | "dict_type":
            return path, f"should hold keys and values, not {kind(value)}"
        case "list_type" | "tuple_type":
            return path, f"should be a list, not {kind(value)}"
        case "too_short":
            return path, "is empty"
        case "value_error":
            return path, error["msg"].removeprefix("Value error, ")
    said = "" if isinstance(value, dict | list) else f", not {value!r}"
    return path, error["msg"] + said


def _discriminator(error: Any) -> str:
    return str(error["ctx"]["discriminator"]).strip("'")


def _path_and_model(loc: Any) -> tuple[tuple[str, ...], type[BaseModel] | None]:
    """The key path of a pydantic location, less the tags of unions, and the model it stands in."""
    path: list[str] = []
    model: type[BaseModel] | None = None
    annotation: Any = Config
    for step in loc:
        members = _members(annotation)
        if step in members:
            annotation = model = members[step]
            continue
        model = _model(annotation)
        path.append(str(step))
        field = model.model_fields.get(str(step)) if model else None
        annotation = field.annotation if field else _item(annotation)
    return tuple(path), model


def _members(annotation: Any) -> dict[str, type[BaseModel]]:
    """The blocks of a union of which one is chosen by a key, by that key's value."""
    union = typing.get_origin(annotation) in (typing.Annotated, typing.Union, types.UnionType)
    found: dict[str, type[BaseModel]] = {}
    for part in typing.get_args(annotation) if union else ():
        chosen = tag(part) if isinstance(part, type) and issubclass(part, BaseModel) else None
        found |= {chosen[1]: part} if chosen else _members(part)
    return found


def _model(annotation: Any) -> type[BaseModel] | None:
    """A block, also one that may be null."""
    union = typing.get_origin(annotation) is types.UnionType
    for each in typing.get_args(annotation) if union else (annotation,):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None


def _item(annotation: Any) -> Any:
    """The type of the values of a `dict[…, …]` or `list[…]`."""
    return typing.get_args(annotation)[-1] if typing.get_args(annotation) else None
