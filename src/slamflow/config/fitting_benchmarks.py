"""Benchmarks whose scores cannot be had of their corpora or models."""

from collections.abc import Iterator

from slamflow.config import blocks
from slamflow.config.fitting_units import Problem
from slamflow.config.inputs import Inputs
from slamflow.config.schema import Benchmark, Config
from slamflow.config.schema_corpora import Source


def benchmarks(config: Config) -> Iterator[Problem]:
    """Problems of benchmarks: the key's path and what is wrong with what it names."""
    models: dict[str, list[str]] = {}
    for model, name in blocks.evaluated(config):
        models.setdefault(name, []).append(model)
    for name, benchmark in config.benchmarks.items():
        if config.corpora[benchmark.corpus].source.holds != "pairs":
            if not benchmark.continued:
                problem = f"{benchmark.corpus} holds no pairs (positive and negative)"
                yield ("benchmarks", name, "corpus"), problem
        elif benchmark.scored:
            yield from _convention(config, name, benchmark, models.get(name, []))
            if benchmark.crossed:
                yield from _crossing(config, name, benchmark, models.get(name, []))


def _convention(
    config: Config, name: str, benchmark: Benchmark, models: list[str]
) -> Iterator[Problem]:
    """A default convention that the scores cannot suit."""
    convention, start = benchmark.metrics.convention, benchmark.scoring.start
    path = ("benchmarks", name, "metrics", "convention")
    if convention.startswith("salmon") != (start == "none"):
        wanted = "none" if convention.startswith("salmon") else "bos or eos"
        yield path, f"is {convention}, which needs scoring.start {wanted}, and it is {start}"
    if not convention.startswith("conditional"):
        return
    needed = f"is {convention}, which needs"
    if _single_words(config.corpora[benchmark.corpus].source):
        yield path, f"{needed} prompts, and {benchmark.corpus} is single words"
    elif not Inputs(config).has_words(benchmark.corpus):
        yield path, f"{needed} words whose times are known, and those of {benchmark.corpus} are not"
    for model in models:
        if not benchmark.crossed and not _timed(config, model):
            yield path, f"{needed} units whose times are known, and those of {model} are not"


def _crossing(
    config: Config, name: str, benchmark: Benchmark, models: list[str]
) -> Iterator[Problem]:
    """Items that are text in part, without words, or for models that know no text."""
    path = ("benchmarks", name, "scoring")
    if _single_words(config.corpora[benchmark.corpus].source):
        yield path, f"needs a context of words, and {benchmark.corpus} is single words"
    elif not Inputs(config).has_words(benchmark.corpus):
        problem = f"needs the words of {benchmark.corpus}, and it is not known when these are"
        yield path, f"{problem} spoken; give it an `alignment` that finds words"
    for model in models:
        if not Inputs(config).text_tokeniser(model):
            yield path, f"has text, and {model} knows none: name models of an interleaved mixture"


def _single_words(source: Source) -> bool:
    kind = getattr(source, "content", None) or getattr(source, "task", None) or source.kind
    return kind in ("lexical", "words")


def _timed(config: Config, model: str) -> bool:
    return config.tokenisers[Inputs(config).tokeniser(model)].features in ("hubert", "mfcc")
