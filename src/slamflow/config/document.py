"""Write what is generated from the config models: recipes/schema.json and docs/config.md.

python -m slamflow.config.document
"""

import json
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from slamflow.config.fields import mark, tag
from slamflow.config.merging import SECTIONS
from slamflow.config.schema import Config

LIKE = {"type": "string", "description": "start from this sibling; the keys here differ"}
# what makes several things of one; see `expanding`
SPREAD = {
    "models": {"seeds": "of a model: makes {name}-s1, {name}-s2, … with these seeds"},
    "tokenisers": {
        "layers": "makes {name}-l1, {name}-l2, … of these layers",
        "clusters": "makes {name}-k50, {name}-k100, … of these numbers of units",
    },
}


def json_schema() -> str:
    """JSON schema of recipes and overrides: no key is required in a file that others complete."""
    schema = Config.model_json_schema()
    for thing in (schema, *schema["$defs"].values()):
        thing.pop("required", None)
        for key, value in thing.get("properties", {}).items():
            if "oneOf" in value:
                value["anyOf"] = value.pop("oneOf")
                value.pop("discriminator", None)
            _nullable(thing["properties"], key)
    for section in SECTIONS:
        found = schema["properties"].get(section)
        if found:
            mapping = next(each for each in found["anyOf"] if each.get("type") == "object")
            things = mapping.get("additionalProperties") or next(
                iter(mapping["patternProperties"].values())
            )
            for each in things.get("oneOf", [things]):
                properties = schema["$defs"][each["$ref"].rsplit("/", 1)[-1]]["properties"]
                properties["like"] = LIKE
                for key, about in SPREAD.get(section, {}).items():
                    numbers = {"type": "array", "items": {"type": "integer"}}
                    properties[key] = {**numbers, "description": about}
            choices = things.pop("oneOf", None) or [{"$ref": things.pop("$ref")}]
            things.pop("discriminator", None)
            things["anyOf"] = [*choices, {"type": "null"}]  # removes what the recipe has
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _nullable(properties: dict[str, Any], key: str) -> None:
    value = properties[key]
    about = {name: value.pop(name) for name in ("description", "title") if name in value}
    value.pop("default", None)
    choices = value["anyOf"] if set(value) == {"anyOf"} else [value]
    if {"type": "null"} not in choices:
        choices = [*choices, {"type": "null"}]
    properties[key] = {**about, "anyOf": choices}


def markdown() -> str:
    """docs/config.md: every section and every key with its meaning and default."""
    lines = [
        "# The config",
        "",
        "Generated from `src/slamflow/config/schema*.py` by `python -m slamflow.config.document`.",
        "",
        "A config names things, and each thing is built from other named things. `config.yaml`",
        "overrides the recipe that it names, key by key: mappings merge, lists and scalars",
        "replace (a `budget` and `arms` do, too), `null` removes. A new thing may begin with",
        "`like: <sibling>`; a model may have `seeds: [1, 2, 3]`, which makes `{name}-s1`,",
        "`{name}-s2`, `{name}-s3`, and a tokeniser `layers: [1, 2]` and `clusters: [50]`, which",
        "make `{name}-l1-k50`, `{name}-l2-k50`.",
        "",
        "A *machine* key changes where and how fast a stage runs and nothing that it makes, so",
        "changing it reruns nothing. Every other key belongs to the stage of its block, which runs",
        "again when it changes, with what follows from it. → marks the name of another thing.",
        "",
    ]
    seen: set[type[BaseModel]] = set()
    for name, field in Config.model_fields.items():
        models = _models(field.annotation)
        if not models:
            lines += [f"- `{name}` ({_default(field)}): {field.description}"]
    for name, field in Config.model_fields.items():
        if models := _models(field.annotation):
            lines += ["", f"## {name}", "", f"{str(field.description).capitalize()}."]
            for model in models:
                _describe(model, lines, seen, name)
    return "\n".join(lines) + "\n"


def _describe(model: type[BaseModel], lines: list[str], seen: set[type], where: str) -> None:
    seen.add(model)
    chosen = tag(model)
    shown = f", `{chosen[0]}: {chosen[1]}`" if chosen else ""
    title = f"### `{where}.{{name}}`" if where in SECTIONS else f"### `{where}`"
    if where == "evaluate":
        title = "### a row of `evaluate`"
    lines += ["", title + shown, "", " ".join(str(model.__doc__).split()), ""]
    lines += ["| key | default | meaning |", "|---|---|---|"]
    nested = []
    for key, field in model.model_fields.items():
        if chosen and key == chosen[0]:
            continue
        arrow = f" → {mark(field, 'reference')}" if mark(field, "reference") else ""
        about = str(field.description).replace("|", "\\|")
        if choices := _choices(field.annotation):
            about += f" ({', '.join(f'`{choice}`' for choice in choices)})"
        lines.append(f"| `{key}` | {_default(field)} | {about}{arrow} |")
        nested += [(key, each) for each in _models(field.annotation)]
    for key, each in nested:
        if each not in seen:
            _describe(
                each,
                lines,
                seen,
                f"{where}.{{name}}.{key}" if where in SECTIONS else f"{where}.{key}",
            )


def _default(field: Any) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None:
        return "none"
    if isinstance(field.default, BaseModel) or field.default in ({}, []):
        return "–"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{json.dumps(value)}`"


def _choices(annotation: Any) -> list[str]:
    """The words that a field may be, if it is one of several."""
    if typing.get_origin(annotation) is typing.Literal:
        return [str(choice) for choice in typing.get_args(annotation)]
    return [choice for part in typing.get_args(annotation) for choice in _choices(part)]


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found = [model for part in typing.get_args(annotation) for model in _models(part)]
    return list(dict.fromkeys(found))


def main() -> None:
    """Write both files into the checkout that this module lies in."""
    root = Path(__file__).parents[3]
    (root / "recipes" / "schema.json").write_text(json_schema(), encoding="utf-8")
    (root / "docs" / "config.md").write_text(markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
