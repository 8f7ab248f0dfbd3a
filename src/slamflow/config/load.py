"""Load the config: merge, validate, and say every problem in one line each."""

import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from slamflow.config.checks import problems
from slamflow.config.merging import Merged, closest, merge
from slamflow.config.schema import Config


def load(root: Path, command_line: dict[str, Any]) -> Config:
    """The validated config of the checkout at `root`.

    Args:
        command_line: what Snakemake got from `--configfile` and `--config`.

    Raises:
        ValueError: one line a problem, each with the file and the key's path.
    """
    merged = merge(root, command_line)
    try:
        config = Config.model_validate(merged.values)
    except ValidationError as error:
        lines = dict.fromkeys(_line(merged, each) for each in error.errors())
        raise ValueError("\n".join(lines)) from None
    lines = dict.fromkeys(_located(merged, *problem) for problem in problems(config))
    if lines:
        raise ValueError("\n".join(lines))
    return config


def _located(merged: Merged, path: tuple[str, ...], message: str) -> str:
    path = merged.written(path)
    return f"{merged.origin(path)}: {'.'.join(path)}: {message}"


def _line(merged: Merged, error: Any) -> str:
    path, model = _path_and_model(merged.values, error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        fields = model.model_fields if model else ()
        message = f"unknown key.{closest(path[-1], fields)}"
    elif error["type"] == "missing":
        field = model.model_fields.get(path[-1]) if model else None
        about = f" ({field.description})" if field and field.description else ""
        message = f"is missing{about}"
    elif error["type"] == "string_pattern_mismatch" and path[-1:] == ("[key]",):
        path, message = path[:-1], "names are small letters, digits, - and _, a letter first"
    elif not isinstance(error["input"], dict | list):
        message = f"{message}, not {error['input']!r}"
    return _located(merged, path, message)


def _path_and_model(values: Any, loc: Any) -> tuple[tuple[str, ...], type[BaseModel] | None]:
    """The key path of a pydantic location, less the tags of unions, and the model it stands in."""
    path: list[str] = []
    model: type[BaseModel] | None = Config
    annotation: Any = Config
    for index, step in enumerate(loc):
        inside = isinstance(values, dict) and step in values
        inside = inside or (isinstance(values, list) and isinstance(step, int))
        if not inside and index < len(loc) - 1:
            annotation = _member(annotation, step)
            continue
        model = _model(annotation)
        path.append(str(step))
        values = values[step] if inside else None
        field: FieldInfo | None = model.model_fields.get(str(step)) if model else None
        annotation = field.annotation if field else _item(annotation)
    return tuple(path), model


def _model(annotation: Any) -> type[BaseModel] | None:
    for each in (annotation, *typing.get_args(annotation)):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None


def _item(annotation: Any) -> Any:
    """The type of the values of a `dict[…, …]` or `list[…]`."""
    return typing.get_args(annotation)[-1] if typing.get_args(annotation) else None


def _member(annotation: Any, tag: Any) -> Any:
    """The member of a union of blocks that `kind: <tag>` chooses."""
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    for each in typing.get_args(annotation):
        field = getattr(each, "model_fields", {}).get("kind")
        if field is not None and tag in typing.get_args(field.annotation):
            return each
    return annotation
