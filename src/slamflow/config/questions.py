"""What the questions of a study ask of the config's other things."""

from collections.abc import Iterator
from typing import Any

from slamflow.config import lineages
from slamflow.config.fields import settings_of
from slamflow.config.schema import Config
from slamflow.config.schema_models import AlignedModel


def models(config: Config, question: str) -> list[str]:
    """The models of a question's arms, each once."""
    arms = config.questions[question].arms
    return list(dict.fromkeys(model for arm in arms.values() for model in arm))


def pairs(config: Config, question: str) -> list[tuple[str, str]]:
    """Each (model, benchmark) whose scores a question needs."""
    benchmarks = config.questions[question].benchmarks
    return [(model, name) for name in benchmarks for model in models(config, question)]


def lineage(config: Config, model: str) -> list[str]:
    """A model, and those that it begins with, where trained here: its base, TWIST's text model."""
    if _untrained(config, model):
        return []
    start = lineages.start(config, model)
    return [model, *(lineage(config, start) if start else [])]


def trained(config: Config, question: str) -> list[str]:
    """All models trained here that a question's tokens and seconds are spent on, each once."""
    every = (each for model in models(config, question) for each in lineage(config, model))
    return list(dict.fromkeys(every))


def answer(config: Config, question: str) -> dict[str, Any]:
    """The block of `answer_question`."""
    found = config.questions[question]
    return {
        "arms": {
            arm: {model: _seed(config, model) for model in names}
            for arm, names in found.arms.items()
        },
        "baseline": found.baseline,
        "benchmarks": {
            name: settings_of(config.benchmarks[name].metrics) for name in found.benchmarks
        },
        "lineage": {name: lineage(config, name) for name in models(config, question)},
        "aligned": [
            name
            for name in trained(config, question)
            if isinstance(config.models[name], AlignedModel)
        ],
    }


def page(config: Config) -> dict[str, Any]:
    """The block of `draw_study`: what is asked, and in what order all is shown."""
    return {
        "questions": [
            {
                "name": name,
                "about": question.about,
                "arms": list(question.arms),
                "benchmarks": question.benchmarks,
            }
            for name, question in config.questions.items()
        ]
    }


def problems(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """The key's path and what is wrong with a question."""
    for name, question in config.questions.items():
        for benchmark in question.benchmarks:
            found = config.benchmarks[benchmark]
            if not found.scored or config.corpora[found.corpus].source.holds != "pairs":
                yield ("questions", name, "benchmarks"), f"{benchmark} is continued, not scored"
        for arm, names in question.arms.items():
            for model in names:
                if _untrained(config, model):
                    path = ("questions", name, "arms", arm)
                    yield path, f"{model} is not trained here: it has no tokens and no seconds"


def _untrained(config: Config, model: str) -> bool:
    return config.models[model].kind not in ("pretrain", "align")


def _seed(config: Config, model: str) -> int:
    return int(config.models[model].training.seed)  # type: ignore[union-attr]
