"""The kinds of field that a config model is made of: settings, references and machine settings.

A *setting* belongs to the block that it stands in and so to what a stage depends on. A
*reference* names another thing of the config; what it names reaches a stage as a file (or, for a
synthesiser, by value), so the name itself is in no block. A *machine* setting changes where and how
fast a stage runs, never what it makes, and is in no block either. An *estimate* says how much there
will be of what is not here yet; only `results/plan.tsv` looks at it.
"""

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.fields import FieldInfo

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$")]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Share = Annotated[float, Field(ge=0, le=1)]
Part = Annotated[float, Field(ge=0, lt=1)]  # a share that leaves something
Positive = Annotated[int, Field(ge=1)]
Shards = Annotated[int, Field(ge=1, le=10_000)]  # their files have four digits


def _different(names: list[str]) -> list[str]:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ValueError(f"has {name} twice")
    return names


Names = Annotated[list[Name], Field(min_length=1), AfterValidator(_different)]


class Block(BaseModel):
    """A mapping of the config; keys that it does not declare are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


TAGS = ("kind", "engine")  # the key by which a union of blocks is told apart


def tag(block: type[BaseModel]) -> tuple[str, str] | None:
    """The key and value that choose a block in a union, as `("kind", "audio")`."""
    for key in TAGS:
        field = block.model_fields.get(key)
        if field is not None and get_origin(field.annotation) is Literal:
            return key, str(get_args(field.annotation)[0])
    return None


def setting(default: Any = ..., /, *, is_about: str, only: str | None = None, **bounds: Any) -> Any:
    """A field that is part of what a stage depends on.

    Args:
        only: where two stages share a block, the one of them that looks at the field, by the name
            that `settings_of` is asked with.
    """
    if only:
        bounds["json_schema_extra"] = {"only": only}
    return Field(default, description=is_about, **bounds)


def reference(section: str, default: Any = ..., /, *, is_about: str) -> Any:
    """A field that names one or several things of another section."""
    return Field(default, description=is_about, json_schema_extra={"reference": section})


def machine(default: Any, /, *, is_about: str, **bounds: Any) -> Any:
    """A field that changes where and how fast a stage runs, and nothing that it makes."""
    return Field(
        default,
        description=f"{is_about} (machine setting: changes no result, reruns nothing)",
        json_schema_extra={"machine": True},
        **bounds,
    )


def estimate(*, is_about: str) -> Any:
    """A field that says beforehand how much there will be of something, for the plan alone."""
    return Field(
        None,
        gt=0,
        description=f"{is_about}, as far as known (for results/plan.tsv alone; reruns nothing)",
        json_schema_extra={"estimate": True},
    )


def mark(field: FieldInfo, name: str) -> Any:
    """The value of a field's mark: `mark(field, "reference")` is a section's name or None."""
    extra = field.json_schema_extra
    return extra.get(name) if isinstance(extra, dict) else None


def settings_of(block: BaseModel, stage: str | None = None) -> dict[str, Any]:
    """The settings of a block as plain values: no references, machine settings and estimates.

    Args:
        stage: leave out what only another stage looks at.
    """

    def wanted(field: FieldInfo) -> bool:
        if any(mark(field, kind) for kind in ("reference", "machine", "estimate")):
            return False
        return stage is None or mark(field, "only") in (None, stage)

    return _pick(block, wanted)


def content_of(block: BaseModel) -> dict[str, Any]:
    """All of a block but machine settings, as plain values: what a plan of the work depends on."""
    return _pick(block, lambda field: not mark(field, "machine"))


def machine_of(block: BaseModel) -> dict[str, Any]:
    """The machine settings of a block as plain values."""
    return {
        name: getattr(block, name)
        for name, field in type(block).model_fields.items()
        if mark(field, "machine") and getattr(block, name) is not None
    }


def _pick(block: BaseModel, wanted: Any) -> dict[str, Any]:
    picked: dict[str, Any] = {}
    for name, field in type(block).model_fields.items():
        if wanted(field):
            value = getattr(block, name)
            picked[name] = _plain(value, wanted)
    return picked


def _plain(value: Any, wanted: Any) -> Any:
    if isinstance(value, BaseModel):
        return _pick(value, wanted)
    if isinstance(value, dict):
        return {key: _plain(each, wanted) for key, each in value.items()}
    return [_plain(each, wanted) for each in value] if isinstance(value, list) else value
