"""What models begin with and read, and which differ in nothing but their seeds."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from slamflow.config.schema import Config
from slamflow.config.schema_models import (
    AlignedModel,
    NgramModel,
    PretrainedModel,
    PublishedModel,
)
from slamflow.provenance import canonical_json


def start(config: Config, model: str) -> str | None:
    """The model of this config that a model begins with: its base, or TWIST's text model."""
    found = config.models[model]
    if isinstance(found, AlignedModel):
        return found.base
    return found.twist.base if isinstance(found, PretrainedModel) and found.twist else None


def unaligned(config: Config, model: str) -> PretrainedModel | NgramModel | PublishedModel:
    """A model itself or, if it is aligned, the one that its bases begin with."""
    found = config.models[model]
    return unaligned(config, found.base) if isinstance(found, AlignedModel) else found


def tokeniser(config: Config, model: str) -> str:
    """The tokeniser whose units a model reads."""
    found = unaligned(config, model)
    if isinstance(found, PublishedModel):
        return found.tokeniser
    return config.mixtures[found.mixture].tokeniser


def seeds(config: Config, models: Iterable[str]) -> set[str]:
    """Those of the models that another of them differs from in nothing but seeds."""
    alike = {name: canonical_json(_seedless(config, name)) for name in models}
    counts = Counter(alike.values())
    return {name for name, settings in alike.items() if counts[settings] > 1}


def _seedless(config: Config, model: str) -> list[Any]:
    """A model's settings without its seeds, then those of what it begins with."""
    begins = start(config, model)
    own = _without(config.models[model].model_dump(mode="json"), ("seed", "base"))
    return [own, *(_seedless(config, begins) if begins else [])]


def _without(values: Any, keys: tuple[str, ...]) -> Any:
    if not isinstance(values, dict):
        return values
    return {key: _without(value, keys) for key, value in values.items() if key not in keys}
