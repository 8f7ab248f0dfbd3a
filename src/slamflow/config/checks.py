"""Checks across things: names that point to nothing, circles, and shapes that do not fit."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from slamflow.config.fields import mark
from slamflow.config.merging import closest
from slamflow.config.schema import Config

Problem = tuple[tuple[str, ...], str]

PAIRS = {"topic_cloze", "story_cloze", "syntactic", "lexical"}


def problems(config: Config) -> Iterator[Problem]:
    """Every problem of a config whose keys are all valid: the key's path and what is wrong."""
    missing = list(_missing_names(config))
    yield from missing
    if missing:
        return
    circles = list(_circles(config))
    yield from circles
    if not circles:
        yield from _shapes(config)


def references(block: BaseModel, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, str]]:
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


def _missing_names(config: Config) -> Iterator[Problem]:
    for path, section, name in references(config, ()):
        known = getattr(config, section)
        if name not in known:
            yield path, f"there is no {section}.{name}.{closest(name, known)}"


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
    for name, benchmark in config.benchmarks.items():
        if getattr(config.corpora[benchmark.corpus].source, "content", "") not in PAIRS:
            yield (
                ("benchmarks", name, "corpus"),
                f"{benchmark.corpus} holds no pairs (positive and negative)",
            )
    for name, model in config.models.items():
        if model.kind == "align":
            source = config.corpora[model.corpus].source
            if getattr(source, "content", "") != "preferences":
                yield ("models", name, "corpus"), f"{model.corpus} holds no preferences"
            if config.models[model.base].kind == "ngram":
                yield ("models", name, "base"), f"{model.base} is an n-gram model: no DPO"
    for name, mixture in config.mixtures.items():
        for corpus in mixture.corpora:
            content = getattr(config.corpora[corpus].source, "content", "stories")
            if content != "stories":
                yield ("mixtures", name, "corpora"), f"{corpus} holds {content}, no documents"
    for name, tokeniser in config.tokenisers.items():
        if tokeniser.hubert and tokeniser.kmeans:
            training = config.huberts[tokeniser.hubert].training
            if training and tokeniser.kmeans.layer > training.architecture.layers:
                yield (
                    ("tokenisers", name, "kmeans", "layer"),
                    f"{tokeniser.hubert} has {training.architecture.layers} layers",
                )
    for name, corpus in config.corpora.items():
        source = corpus.source
        if source.kind == "generated" and source.heard_in and corpus.speech:
            voices = config.synthesisers[corpus.speech.synthesiser].voices
            accents = {voice.split("+")[0] for voice in voices}
            if unchecked := accents - set(source.accents or []):
                yield (
                    ("corpora", name, "source", "accents"),
                    f"lacks {', '.join(sorted(unchecked))}, in which {name} is spoken",
                )
    for name, model in config.models.items():
        for benchmark_row in config.evaluate:
            if name in benchmark_row.models and _tokeniser(config, name).features == "phones":
                for benchmark in benchmark_row.benchmarks:
                    corpus_name = config.benchmarks[benchmark].corpus
                    if config.corpora[corpus_name].speech is None:
                        yield (
                            ("evaluate",),
                            f"{name} reads phones, and those of {corpus_name} are not known",
                        )


def _tokeniser(config: Config, name: str) -> Any:
    model = config.models[name]
    while model.kind == "align":
        model = config.models[model.base]
    return config.tokenisers[config.mixtures[model.mixture].tokeniser]
