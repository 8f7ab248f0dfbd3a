"""Checks across things: names that point to nothing, circles, and shapes that do not fit."""

from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel

from slamflow.config.fields import mark
from slamflow.config.schema import Config
from slamflow.config.schema_corpora import Corpus

Problem = tuple[tuple[str, ...], str]

PAIRS = {"topic_cloze", "story_cloze", "syntactic", "lexical"}
DOCUMENTS = {"stories", "text", "audio"}


def problems(config: Config, absent: Callable[[str, str], str]) -> Iterator[Problem]:
    """Every problem of a config whose keys are all valid: the key's path and what is wrong.

    Args:
        absent: says what is wrong with a section's name that points to nothing.
    """
    missing = list(_missing_names(config, absent))
    yield from missing
    if missing:
        return
    circles = list(_circles(config))
    yield from circles
    if not circles:
        yield from _shapes(config)


def references(
    block: BaseModel, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Each reference below `block`: its path, the section it names and the name."""
    for key, field in type(block).model_fields.items():
        value: Any = getattr(block, key)
        section = mark(field, "reference")
        if section and value is not None:
            for name in [value] if isinstance(value, str) else value:
                yield (*path, key), section, name
        else:
            yield from _below(value, (*path, key))


def _below(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    if isinstance(value, BaseModel):
        yield from references(value, path)
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _below(child, (*path, str(key)))
    elif isinstance(value, list):
        for child in value:
            yield from _below(child, path)


def _missing_names(config: Config, absent: Callable[[str, str], str]) -> Iterator[Problem]:
    for path, section, name in references(config, ()):
        if name not in getattr(config, section):
            yield path, absent(section, name)


def _circles(config: Config) -> Iterator[Problem]:
    """Things that are built from themselves."""
    built_from: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for path, section, name in references(config, ()):
        if path[0] != "evaluate":
            built_from.setdefault((path[0], path[1]), []).append((section, name))
    done: set[tuple[str, str]] = set()

    def visit(thing: tuple[str, str], trail: tuple[tuple[str, str], ...]) -> Iterator[Problem]:
        if thing in trail:
            circle = [*trail[trail.index(thing) :], thing]
            yield thing, "is built from itself: " + " → ".join(".".join(each) for each in circle)
        elif thing not in done:
            for part in built_from.get(thing, []):
                yield from visit(part, (*trail, thing))
            done.add(thing)

    for thing in list(built_from):
        yield from visit(thing, ())


def _shapes(config: Config) -> Iterator[Problem]:
    """Things of the wrong kind for what is built from them."""
    for name, benchmark in config.benchmarks.items():
        if _content(config, benchmark.corpus) not in PAIRS:
            problem = f"{benchmark.corpus} holds no pairs (positive and negative)"
            yield ("benchmarks", name, "corpus"), problem
    for name, model in config.models.items():
        if model.kind == "align":
            if _content(config, model.corpus) != "preferences":
                yield ("models", name, "corpus"), f"{model.corpus} holds no preferences"
            if config.models[model.base].kind == "ngram":
                yield ("models", name, "base"), f"{model.base} is an n-gram model: no DPO"
    for name, mixture in config.mixtures.items():
        for corpus in mixture.corpora:
            if _content(config, corpus) not in DOCUMENTS:
                problem = f"{corpus} holds {_content(config, corpus)}, no documents"
                yield ("mixtures", name, "corpora"), problem
        if config.tokenisers[mixture.tokeniser].features == "phones":
            for corpus in mixture.corpora:
                if config.corpora[corpus].speech is None:
                    yield ("mixtures", name, "corpora"), f"the phones of {corpus} are not known"
    for name, tokeniser in config.tokenisers.items():
        training = config.huberts[tokeniser.hubert].training if tokeniser.hubert else None
        if training and tokeniser.kmeans and tokeniser.kmeans.layer > training.architecture.layers:
            problem = f"{tokeniser.hubert} has {training.architecture.layers} layers"
            yield ("tokenisers", name, "kmeans", "layer"), problem
    for name, corpus_ in config.corpora.items():
        yield from _pairs_block(name, corpus_)
        yield from _accents(config, name, corpus_)


def _content(config: Config, corpus: str) -> str:
    source = config.corpora[corpus].source
    return source.content if source.kind == "generated" else source.kind


def _pairs_block(name: str, corpus: Corpus) -> Iterator[Problem]:
    wanted = getattr(corpus.source, "content", "") == "preferences"
    if wanted != (corpus.pairs is not None):
        problem = "preferences need a `pairs` block" if wanted else "only preferences have it"
        yield ("corpora", name, "pairs"), problem


def _accents(config: Config, name: str, corpus: Corpus) -> Iterator[Problem]:
    """A pseudo-word must be no word in the accents that it is spoken in."""
    if corpus.source.kind == "generated" and corpus.source.accents and corpus.speech:
        voices = config.synthesisers[corpus.speech.synthesiser].voices
        unchecked = {voice.split("+")[0] for voice in voices} - set(corpus.source.accents)
        if unchecked:
            problem = f"lacks {', '.join(sorted(unchecked))}, in which they are spoken"
            yield ("corpora", name, "source", "accents"), problem
