"""Things of the wrong kind for what is built from them."""

from collections.abc import Iterator
from pathlib import Path

from slamflow.config import generation, questions, vocoders
from slamflow.config.fitting_benchmarks import benchmarks
from slamflow.config.fitting_units import Problem, has_text, huberts, tokenisers, without_phones
from slamflow.config.inputs import Inputs
from slamflow.config.schema import Config
from slamflow.config.schema_models import AlignedModel, PretrainedModel, PublishedModel


def misfits(config: Config, root: Path) -> Iterator[Problem]:
    """The key's path and what is wrong with the thing that it names."""
    yield from _corpora(config)
    yield from huberts(config, root)
    yield from tokenisers(config, root)
    yield from _mixtures(config)
    yield from _models(config)
    yield from vocoders.misfits(config, root)
    yield from generation.misfits(config)
    yield from benchmarks(config)
    yield from questions.problems(config)
    if not config.evaluate and not config.questions:
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
        needed = corpus.alignment and corpus.alignment.needs_text
        if needed and source.kind == "audio" and not has_text(source):
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


def _mixtures(config: Config) -> Iterator[Problem]:
    for name, mixture in config.mixtures.items():
        for corpus in mixture.corpora:
            holds = config.corpora[corpus].source.holds
            if holds != "documents":
                problem = f"{corpus} holds {holds}, no documents"
                yield ("mixtures", name, "corpora"), problem
        features = config.tokenisers[mixture.tokeniser].features
        if features == "phones":
            yield from without_phones(config, "mixtures", name, mixture.corpora)
        if mixture.text:
            if features not in ("hubert", "mfcc"):
                yield ("mixtures", name, "tokeniser"), f"{mixture.tokeniser} has no units of speech"
            if config.tokenisers[mixture.text].features != "bpe":
                yield ("mixtures", name, "text"), f"{mixture.text} is no tokeniser of text"
            turns = mixture.interleaving and mixture.interleaving.balance[2]
            if turns and not any(map(Inputs(config).has_words, mixture.corpora)):
                problem = f"it is not known when the words of {', '.join(mixture.corpora)} are"
                problem += " spoken; give one an `alignment` that finds words"
                yield ("mixtures", name, "interleaving"), problem


def _models(config: Config) -> Iterator[Problem]:
    for name, model in config.models.items():
        if model.kind == "pretrain" and model.twist and model.twist.base:
            yield from _start(config, name, model)
        if model.kind == "ngram" and config.mixtures[model.mixture].interleaved:
            yield ("models", name, "mixture"), f"{model.mixture} holds text, too: no n-grams"
        if model.kind == "published" and config.tokenisers[model.tokeniser].kmeans is None:
            yield ("models", name, "tokeniser"), f"{model.tokeniser} has no units of speech"
        if model.kind == "align":
            if config.corpora[model.corpus].source.holds != "preferences":
                yield ("models", name, "corpus"), f"{model.corpus} holds no preferences"
            if config.models[model.base].kind == "ngram":
                yield ("models", name, "base"), f"{model.base} is an n-gram model: no DPO"
            elif isinstance(start := Inputs(config).unaligned(name), PublishedModel):
                if start.layout != "slamkit":
                    problem = f"{model.base} has other ids than models trained here"
                    yield ("models", name, "base"), f"{problem} (layout {start.layout}): no DPO"
            else:
                yield from _too_long(config, name, model)


def _too_long(config: Config, name: str, model: AlignedModel) -> Iterator[Problem]:
    pairs = config.corpora[model.corpus].pairs
    context = config.mixtures[Inputs(config).mixture(name)].packing.context
    if pairs and pairs.length + 2 > context:
        problem = f"{model.corpus} has pairs of up to {pairs.length} units and two <S>, and"
        problem += f" {model.base} a context of {context}: set pairs.length to {context - 2}"
        yield ("models", name, "corpus"), problem


def _start(config: Config, name: str, model: PretrainedModel) -> Iterator[Problem]:
    assert model.twist and model.twist.base
    path, base = ("models", name, "twist", "base"), config.models[model.twist.base]
    if base.kind == "ngram":
        yield path, f"{model.twist.base} is an n-gram model: no weights to start from"
        return
    if isinstance(Inputs(config).unaligned(model.twist.base), PublishedModel):
        yield path, f"{model.twist.base} is a published model of units, no text model"
        return
    theirs = config.mixtures[Inputs(config).mixture(model.twist.base)]
    ours = config.mixtures[model.mixture]
    if ours.text and theirs.tokeniser != ours.text:
        problem = f"{model.twist.base} was trained on {theirs.tokeniser}, and"
        yield path, f"{problem} {model.mixture} has text of {ours.text}"
    entries, kmeans = (
        config.tokenisers[theirs.tokeniser].bpe,
        config.tokenisers[ours.tokeniser].kmeans,
    )
    needed = kmeans.clusters + 2 if kmeans else 0
    if entries and model.twist.table == "first" and entries.vocabulary < needed:
        problem = f"{theirs.tokeniser} has {entries.vocabulary} entries, and `table: first` needs"
        yield path, f"{problem} {needed}: set its bpe.vocabulary, or `table: mean`"
