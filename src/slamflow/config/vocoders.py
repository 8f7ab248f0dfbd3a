"""What vocoders are made of, what they speak, and which do not fit what they are to speak."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slamflow.config import questions
from slamflow.config.fields import settings_of
from slamflow.config.schema import Config
from slamflow.config.schema_models import NgramModel
from slamflow.config.schema_units import Tokeniser
from slamflow.config.schema_vocoders import (
    HifiganVocoder,
    MelVocoder,
    ReleasedVocoder,
    ShippedVocoder,
    Vocoder,
)

RESULTS = "results"
MEL_STEP = 128  # samples: `vocoder.spectra.STEP`
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
        if isinstance(vocoder, MelVocoder | HifiganVocoder):
            yield from _out_of_step(config, name, vocoder)
        if vocoder.quality:
            yield from _unmeasurable(config, name)
    for name, benchmark in config.benchmarks.items():
        if benchmark.vocoder and not benchmark.continued:
            yield ("benchmarks", name, "vocoder"), "has nothing to speak: add `sampling`"
    for place, model, name in _asked(config):
        vocoder_name = config.benchmarks[name].vocoder
        if vocoder_name and not _speaks(config, root, vocoder_name, model):
            problem = f"{vocoder_name}, which speaks {name}, does not speak the units of {model}"
            yield place, problem


def _asked(config: Config) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Where a model and a benchmark meet, and both."""
    for row, each in enumerate(config.evaluate):
        for name in each.benchmarks:
            for model in each.models:
                yield ("evaluate", str(row), "models"), model, name
    for question in config.questions:
        for model, name in questions.pairs(config, question):
            yield ("questions", question, "benchmarks"), model, name


def _out_of_step(
    config: Config, name: str, vocoder: MelVocoder | HifiganVocoder
) -> Iterator[Problem]:
    """A problem where frames of the units are no whole steps of the vocoder."""
    from slamflow.config.fitting_units import frame_rate

    tokeniser = config.tokenisers[vocoder.tokeniser]
    rate = frame_rate(config, tokeniser) if tokeniser.features in ("hubert", "mfcc") else None
    if rate is None:
        return
    hop, path = round(16_000 / rate), ("vocoders", name)
    frames = f"frames of {vocoder.tokeniser} have {hop} samples"
    if isinstance(vocoder, MelVocoder) and hop % MEL_STEP:
        problem = f"{frames}, and mels need a multiple of {MEL_STEP}: use kind: hifigan"
        yield (*path, "tokeniser"), problem
    if isinstance(vocoder, HifiganVocoder) and vocoder.architecture.hop != hop:
        problem = f"multiply to {vocoder.architecture.hop}, but {frames}"
        yield (*path, "architecture", "upsample_rates"), problem


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


def _speaks(config: Config, root: Path, name: str, model: str) -> bool:
    """Whether a vocoder may speak a model's units; of n-gram models there is nothing to speak."""
    from slamflow.config.inputs import Inputs

    inputs, vocoder = Inputs(config), config.vocoders[name]
    if isinstance(inputs.unaligned(model), NgramModel):
        return True
    ours, theirs = vocoder.tokeniser, inputs.tokeniser(model)
    if ours == theirs or not _reads_centroids(vocoder, root):
        return ours == theirs
    one, other = (_features(config.tokenisers[name]) for name in (ours, theirs))
    return one is not None and one == other


def _reads_centroids(vocoder: Vocoder, root: Path) -> bool:
    """Whether a vocoder speaks the units of all codebooks of its features; else its own only."""
    if not isinstance(vocoder, ShippedVocoder):
        return isinstance(vocoder, MelVocoder)
    try:
        described = (root / vocoder.path / "config.json").read_text(encoding="utf-8")
        return bool(json.loads(described)["model_type"] == "unit_mel")
    except (OSError, ValueError, KeyError, TypeError):
        return True  # it is missing, which is another problem, or no vocoder, which its job says


def _features(tokeniser: Tokeniser) -> Any:
    """What is clustered; None where nothing is."""
    found = tokeniser.kmeans
    if found is None:
        return None
    own = found.frame_rate if tokeniser.features == "mfcc" else None
    return tokeniser.features, tokeniser.hubert, found.layer, found.padding, own
