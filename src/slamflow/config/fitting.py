"""Things of the wrong kind for what is built from them, and HuBERTs that are not there."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

from slamflow.config.schema import Config
from slamflow.config.schema_units import Hubert

Problem = tuple[tuple[str, ...], str]


def misfits(config: Config, root: Path) -> Iterator[Problem]:
    """The key's path and what is wrong with the thing that it names."""
    yield from _corpora(config)
    yield from _huberts(config, root)
    yield from _tokenisers(config, root)
    yield from _mixtures(config)
    yield from _models(config)
    for name, benchmark in config.benchmarks.items():
        if config.corpora[benchmark.corpus].source.holds != "pairs":
            problem = f"{benchmark.corpus} holds no pairs (positive and negative)"
            yield ("benchmarks", name, "corpus"), problem
    if not config.evaluate:
        yield ("evaluate",), "is empty: list rows of models and benchmarks"


def _corpora(config: Config) -> Iterator[Problem]:
    for name, corpus in config.corpora.items():
        source, path = corpus.source, ("corpora", name)
        wanted = source.holds == "preferences"
        if wanted != (corpus.pairs is not None):
            problem = "preferences need a `pairs` block" if wanted else "only preferences have it"
            yield (*path, "pairs"), problem
        if corpus.alignment and not source.recorded:
            assert corpus.speech is not None
            if config.synthesisers[corpus.speech.synthesiser].knows_phones:
                yield (*path, "alignment"), "is not needed: its voice knows words and phones"
        texts = source.kind == "audio" and (
            source.transcripts or source.segments not in ("vad", "libri-light")
        )
        needed = corpus.alignment and corpus.alignment.needs_text
        if needed and source.kind == "audio" and not texts:
            problem = "needs texts: name `source.transcripts`, or a list of segments with text, or"
            problem += " take `engine: sphinx_phones`, which needs none"
            yield (*path, "alignment"), problem
        heard = getattr(source, "heard_in", None)
        if heard and config.corpora[heard].source.recorded:
            yield (*path, "source", "heard_in"), f"the words of {heard} are not known"
        accents = getattr(source, "accents", None)
        if accents and corpus.speech:  # a pseudo-word must be no word as spoken
            speaker = config.synthesisers[corpus.speech.synthesiser]
            if speaker.engine != "espeak":
                problem = f"is {speaker.engine}, and pseudo-words are espeak's phonemes"
                yield (*path, "speech", "synthesiser"), problem
                continue
            unchecked = {voice.split("+")[0] for voice in speaker.voices} - set(accents)
            if unchecked:
                problem = f"lacks {', '.join(sorted(unchecked))}, in which"
                yield (*path, "source", "accents"), f"{problem} {corpus.speech.synthesiser} speaks"


def _huberts(config: Config, root: Path) -> Iterator[Problem]:
    for name, hubert in config.huberts.items():
        if hubert.path is not None:
            try:
                _checkpoint_layers(root, hubert.path)
            except ValueError as error:
                yield ("huberts", name, "path"), str(error)
        if hubert.targets:
            yield from _targets(config, name, hubert.targets)
        if hubert.initial and not config.huberts[hubert.initial].training:
            problem = f"{hubert.initial} is not trained here"
            yield ("huberts", name, "initial"), problem


def _targets(config: Config, name: str, targets: str) -> Iterator[Problem]:
    tokeniser, path = config.tokenisers[targets], ("huberts", name, "targets")
    if tokeniser.features == "phones":
        yield path, f"{targets} are true phones, which a HuBERT is to find by itself"
    rate = _frame_rate(config.huberts[name])
    if tokeniser.features == "mfcc" and tokeniser.kmeans and tokeniser.kmeans.frame_rate != rate:
        problem = f"has {tokeniser.kmeans.frame_rate} frames a second, {name} has {rate:g}"
        yield path, f"{targets} {problem}: set its kmeans.frame_rate"


def _frame_rate(hubert: Hubert) -> float:
    assert hubert.training is not None
    return 16_000 / math.prod(hubert.training.architecture.conv_stride)


def _tokenisers(config: Config, root: Path) -> Iterator[Problem]:
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
            yield from _without_phones(config, "tokenisers", name, tokeniser.corpora or [])


def _mixtures(config: Config) -> Iterator[Problem]:
    for name, mixture in config.mixtures.items():
        for corpus in mixture.corpora:
            holds = config.corpora[corpus].source.holds
            if holds != "documents":
                problem = f"{corpus} holds {holds}, no documents"
                yield ("mixtures", name, "corpora"), problem
        if config.tokenisers[mixture.tokeniser].features == "phones":
            yield from _without_phones(config, "mixtures", name, mixture.corpora)


def _models(config: Config) -> Iterator[Problem]:
    for name, model in config.models.items():
        if model.kind == "align":
            if config.corpora[model.corpus].source.holds != "preferences":
                yield ("models", name, "corpus"), f"{model.corpus} holds no preferences"
            if config.models[model.base].kind == "ngram":
                yield ("models", name, "base"), f"{model.base} is an n-gram model: no DPO"


def _without_phones(
    config: Config, section: str, name: str, corpora: list[str]
) -> Iterator[Problem]:
    for corpus in corpora:
        speech = config.corpora[corpus].speech
        if speech is None or not config.synthesisers[speech.synthesiser].knows_phones:
            yield (section, name, "corpora"), f"the phones of {corpus} are not known"


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
