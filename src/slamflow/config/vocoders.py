"""What vocoders are made of, what they speak, and which do not fit what they are to speak."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slamflow.config.fields import settings_of
from slamflow.config.schema import Config
from slamflow.config.schema_models import NgramModel
from slamflow.config.schema_vocoders import (
    HifiganVocoder,
    MelVocoder,
    ReleasedVocoder,
    ShippedVocoder,
)

RESULTS = "results"
Problem = tuple[tuple[str, ...], str]


def weights(config: Config, name: str) -> str:
    """The weights of a vocoder."""
    found = config.vocoders[name]
    folder = found.path if isinstance(found, ShippedVocoder) else f"{RESULTS}/vocoders/{name}"
    return f"{folder}/model.safetensors"


def spoken(config: Config, name: str) -> list[str]:
    """The corpora whose waves a vocoder learns."""
    found = config.vocoders[name]
    assert isinstance(found, MelVocoder | HifiganVocoder)
    return getattr(found, "speech", None) or found.corpora


def pace(config: Config, name: str) -> list[str]:
    """The corpora whose units a vocoder reads, where it learns the waves of others."""
    found = config.vocoders[name]
    return found.corpora if isinstance(found, MelVocoder) and found.speech else []


def trained(config: Config, name: str) -> dict[str, Any]:
    """The block of a training."""
    return {
        key: value for key, value in settings_of(config.vocoders[name]).items() if key != "quality"
    }


def converted(config: Config, name: str) -> dict[str, Any]:
    """The block of a conversion: `weights` and `settings` are files below `data_root`."""
    found = config.vocoders[name]
    assert isinstance(found, ReleasedVocoder)
    folder = f"downloads/{found.download}" if found.download else found.folder
    files = {key: f"{folder}/{getattr(found, key)}" for key in ("weights", "settings")}
    return {**files, "voice": found.voice}


def misfits(config: Config, root: Path) -> Iterator[Problem]:
    """The key's path and what is wrong with what it names."""
    for name, vocoder in config.vocoders.items():
        path = ("vocoders", name)
        features = config.tokenisers[vocoder.tokeniser].features
        if features not in ("hubert", "mfcc"):
            yield (*path, "tokeniser"), f"{vocoder.tokeniser} has no units of speech"
        if isinstance(vocoder, ShippedVocoder):
            wanted = [f"{vocoder.path}/{file}" for file in ("config.json", "model.safetensors")]
            if missing := [file for file in wanted if not (root / file).is_file()]:
                problem = f"there is no {missing[0]}: mend the path, or put the vocoder there"
                yield (*path, "path"), problem
        if isinstance(vocoder, MelVocoder) and vocoder.speech:
            yield from _unlike(config, name, vocoder)
        if vocoder.quality:
            yield from _unmeasurable(config, name)
    for name, benchmark in config.benchmarks.items():
        if benchmark.vocoder and not benchmark.continued:
            yield ("benchmarks", name, "vocoder"), "has nothing to speak: add `sampling`"
    for row, each in enumerate(config.evaluate):
        for name in each.benchmarks:
            if vocoder_name := config.benchmarks[name].vocoder:
                for model in each.models:
                    if not _speaks(config, vocoder_name, model):
                        problem = f"{vocoder_name}, which speaks {name}, does not speak the units"
                        yield ("evaluate", str(row), "models"), f"{problem} of {model}"


def _unlike(config: Config, name: str, vocoder: MelVocoder) -> Iterator[Problem]:
    for ours, theirs in zip(vocoder.corpora, vocoder.speech or [], strict=True):
        one, other = (config.corpora[each] for each in (ours, theirs))
        if one.source != other.source:
            problem = f"{theirs} has another source than {ours}, and should say the same"
            yield ("vocoders", name, "speech"), problem
        elif one.shards != other.shards:
            problem = f"{theirs} has {other.shards} shards, and {ours} has {one.shards}"
            yield ("vocoders", name, "speech"), problem


def _unmeasurable(config: Config, name: str) -> Iterator[Problem]:
    quality = config.vocoders[name].quality
    assert quality is not None
    for key in ("corpora", "text"):
        for corpus in getattr(quality, key):
            if not _has_text(config, corpus):
                yield ("vocoders", name, "quality", key), f"the text of {corpus} is not known"


def _has_text(config: Config, corpus: str) -> bool:
    from slamflow.config.fitting_units import has_text

    return has_text(config.corpora[corpus].source)


def _speaks(config: Config, name: str, model: str) -> bool:
    """Whether a vocoder may speak a model's units; of n-gram models there is nothing to speak."""
    from slamflow.config.inputs import Inputs

    inputs, vocoder = Inputs(config), config.vocoders[name]
    if isinstance(inputs.unaligned(model), NgramModel):
        return True
    ours, theirs = vocoder.tokeniser, inputs.tokeniser(model)
    if ours == theirs or isinstance(vocoder, HifiganVocoder | ReleasedVocoder):
        return ours == theirs
    one, other = config.tokenisers[ours], config.tokenisers[theirs]
    if one.kmeans is None or other.kmeans is None or one.features != other.features:
        return False
    return (one.hubert, one.kmeans.layer) == (other.hubert, other.kmeans.layer)
