"""HuBERTs that are not there, and HuBERTs and tokenisers that do not fit what they are made of."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

from slamflow.config.inputs import Inputs
from slamflow.config.schema import Config
from slamflow.config.schema_corpora import Source
from slamflow.config.schema_units import Hubert, Tokeniser

Problem = tuple[tuple[str, ...], str]

# of an architecture: what one that goes on from another may change, as no kept weight depends on it
OWN = {"final_size", "dropout", "layer_drop"}


def huberts(config: Config, root: Path) -> Iterator[Problem]:
    """Problems of HuBERTs: the key's path and what is wrong with what it names."""
    for name, hubert in config.huberts.items():
        if hubert.path is not None:
            try:
                _checkpoint_layers(root, hubert.path)
            except ValueError as error:
                yield ("huberts", name, "path"), str(error)
        if hubert.targets:
            yield from _targets(config, name, hubert.targets)
        if hubert.initial:
            yield from _initial(config, name, hubert.initial)


def _targets(config: Config, name: str, targets: str) -> Iterator[Problem]:
    tokeniser, path = config.tokenisers[targets], ("huberts", name, "targets")
    if tokeniser.features == "phones":
        yield path, f"{targets} are true phones, which a HuBERT is to find by itself"
        return
    if tokeniser.features == "bpe":
        yield path, f"{targets} is text, which has no frames"
        return
    rate, wanted = frame_rate(config, tokeniser), _frame_rate(config.huberts[name])
    if rate not in (None, wanted):
        repair = "its kmeans.frame_rate" if tokeniser.features == "mfcc" else "a conv_stride"
        yield path, f"{targets} has {rate:g} frames a second, {name} has {wanted:g}: set {repair}"


def frame_rate(config: Config, tokeniser: Tokeniser) -> float | None:
    """Frames a second of a tokeniser; None where only the HuBERT's files tell."""
    if tokeniser.features == "mfcc":
        return tokeniser.kmeans.frame_rate if tokeniser.kmeans else None
    hubert = config.huberts[str(tokeniser.hubert)]
    return _frame_rate(hubert) if hubert.training else None


def _frame_rate(hubert: Hubert) -> float:
    assert hubert.training is not None
    return 16_000 / math.prod(hubert.training.architecture.conv_stride)


def _initial(config: Config, name: str, initial: str) -> Iterator[Problem]:
    path = ("huberts", name, "initial")
    ours, theirs = config.huberts[name].training, config.huberts[initial].training
    if theirs is None:
        yield path, f"{initial} is not trained here"
    elif ours is not None:
        mine, other = (each.architecture.model_dump(exclude=OWN) for each in (ours, theirs))
        if unlike := [key for key in mine if mine[key] != other[key]]:
            yield path, f"{initial} has another architecture: {', '.join(unlike)}"


def tokenisers(config: Config, root: Path) -> Iterator[Problem]:
    """Problems of tokenisers: the key's path and what is wrong with what it names."""
    for name, tokeniser in config.tokenisers.items():
        if name == "mfcc" and tokeniser.quality:
            problem = "is the name of what units are compared with in eval.tsv; give it another one"
            yield ("tokenisers", name), problem
        if tokeniser.hubert and tokeniser.kmeans:
            layers = _layers(config, root, tokeniser.hubert)
            if layers is not None and tokeniser.kmeans.layer > layers:
                problem = f"is {tokeniser.kmeans.layer}, and {tokeniser.hubert} has {layers} layers"
                yield ("tokenisers", name, "kmeans", "layer"), problem
        if tokeniser.features == "phones":
            yield from without_phones(config, "tokenisers", name, tokeniser.corpora or [])
        if tokeniser.features == "bpe":
            yield from _without_text(config, name)
        gated = tokeniser.quality and tokeniser.quality.least_gain is not None
        if gated and not any(_has_phones(config, corpus) for corpus in tokeniser.measured):
            problem = f"cannot be judged: the phones of {', '.join(tokeniser.measured)} are not"
            problem += " known; give one an `alignment` that finds phones, or measure other speech"
            yield ("tokenisers", name, "quality", "least_gain"), problem


def without_phones(
    config: Config, section: str, name: str, corpora: list[str]
) -> Iterator[Problem]:
    """A problem for each corpus whose true phones are to be units and are not known."""
    for corpus in corpora:
        speech = config.corpora[corpus].speech
        if speech is None or not config.synthesisers[speech.synthesiser].knows_phones:
            yield (section, name, "corpora"), f"the phones of {corpus} are not known"


def _without_text(config: Config, tokeniser: str) -> Iterator[Problem]:
    """A problem for each corpus whose text is to be units and is not known."""
    needed = [(("tokenisers", tokeniser, "corpora"), config.tokenisers[tokeniser].corpora or [])]
    for name, mixture in config.mixtures.items():
        if tokeniser in (mixture.tokeniser, mixture.text):
            needed.append((("mixtures", name, "corpora"), mixture.corpora))
    tokeniser_of = Inputs(config).tokeniser
    readers = {name for name in config.models if tokeniser_of(name) == tokeniser}
    for row, each in enumerate(config.evaluate):
        if not readers.isdisjoint(each.models):
            corpora = [config.benchmarks[benchmark].corpus for benchmark in each.benchmarks]
            needed.append((("evaluate", str(row), "benchmarks"), corpora))
    for path, corpora in needed:
        for corpus in corpora:
            if not has_text(config.corpora[corpus].source):
                yield path, f"the text of {corpus} is not known, which {tokeniser} makes units of"


def has_text(source: Source) -> bool:
    """Whether a corpus may have text; of some recordings only their files tell."""
    if source.kind == "audio":
        return bool(source.transcripts) or source.segments not in ("vad", "libri-light")
    return source.kind not in ("salmon", "slamkit")


def _has_phones(config: Config, corpus: str) -> bool:
    """Whether an alignment or the voice knows the phones of a corpus."""
    found = config.corpora[corpus]
    spoken = found.speech and config.synthesisers[found.speech.synthesiser].knows_phones
    return bool(spoken or getattr(found.alignment, "knows_phones", False))


def _layers(config: Config, root: Path, hubert: str) -> int | None:
    """The layers of a HuBERT; None where its checkpoint cannot be read."""
    found = config.huberts[hubert]
    if found.training:
        return found.training.architecture.layers
    if found.path is None:
        return None
    try:
        return _checkpoint_layers(root, found.path)
    except ValueError:
        return None


def _checkpoint_layers(root: Path, path: str) -> int:
    """The layers of a checkpoint in transformers' layout.

    Raises:
        ValueError: there is none at `path`.
    """
    folder = root / path
    if not folder.is_dir():
        raise ValueError(f"there is no folder {path}: mend the path, or put the HuBERT there")
    for file in ("config.json", "model.safetensors"):
        if not (folder / file).is_file():
            raise ValueError(f"{path} lacks {file}: copy the whole HuBERT there")
    try:
        layers = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return int(layers["num_hidden_layers"])
    except (ValueError, TypeError, KeyError):
        raise ValueError(
            f"{path}/config.json is none of a HuBERT: it has no num_hidden_layers"
        ) from None
