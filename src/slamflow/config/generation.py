"""What is measured of continuations, and what cannot be."""

from collections.abc import Iterator
from typing import Any

from slamflow.config.schema import Benchmark, Config, Sampling
from slamflow.config.schema_generation import SphinxTranscription
from slamflow.config.schema_models import NgramModel

Pairs = list[tuple[str, str]]  # models and benchmarks
Problem = tuple[tuple[str, ...], str]


def measured(config: Config, evaluated: Pairs) -> Pairs:
    """Those of the pairs whose continuations are measured; n-gram models continue nothing."""
    return [
        (model, name)
        for model, name in evaluated
        if config.benchmarks[name].transcription
        and not isinstance(config.models[model], NgramModel)
    ]


def block(config: Config, benchmark: str) -> dict[str, Any]:
    """The block of the measures; a text model that is trained here is an input."""
    found = config.benchmarks[benchmark].perplexity
    if found is None or found.lm:
        return {"perplexity": None}
    place = f"downloads/{found.download}" if found.download else found.model
    return {"perplexity": {"model": place, "revision": found.revision}}


def conventions(config: Config, benchmark: str) -> dict[str, str]:
    """By which convention each metric of a benchmark is taken; others are not to be compared."""
    found = config.benchmarks[benchmark]
    assert found.sampling and found.transcription
    heard = found.transcription
    by = heard.model or heard.download if heard.engine == "whisper" else f"sphinx {heard.text}"
    common = ", ".join([f"prompt {heard.prompt}", *_sampled(found.sampling), str(by)])
    made = {"auto_bleu": common, "empty_transcripts": common}
    if found.perplexity:
        lm = found.perplexity.lm or found.perplexity.model or found.perplexity.download
        made["gen_ppl"] = f"{common}, {lm}"
    if found.judge:
        made["gpt_score"] = f"{common}, {found.judge.model}"
    return made


def _sampled(sampling: Sampling) -> list[str]:
    """The temperature, and what else is not as usual; which prompts are drawn is left out."""
    usual, said = Sampling(), [f"temperature {sampling.temperature:g}"]
    for key in ("penalty", "top_k", "top_p", "seconds", "new_tokens"):
        value = getattr(sampling, key)
        if value != getattr(usual, key):
            shown = "all" if value is None else f"{value:g}"
            said.append(f"{key.replace('_', '-')} {shown}")
    return said


def misfits(config: Config) -> Iterator[Problem]:
    """The key's path and what is wrong with what it names."""
    for name, benchmark in config.benchmarks.items():
        path = ("benchmarks", name)
        if benchmark.transcription and not benchmark.vocoder:
            yield (*path, "transcription"), "has nothing to hear: name a `vocoder`"
        for key in ("perplexity", "judge"):
            if getattr(benchmark, key) and not benchmark.transcription:
                yield (*path, key), "has nothing to read: add `transcription`"
        yield from _unreadable(config, name, benchmark)


def _unreadable(config: Config, name: str, benchmark: Benchmark) -> Iterator[Problem]:
    from slamflow.config.fitting_units import has_text
    from slamflow.config.inputs import Inputs

    path, heard = ("benchmarks", name), benchmark.transcription
    if isinstance(heard, SphinxTranscription) and not has_text(config.corpora[heard.text].source):
        yield (*path, "transcription", "text"), f"the text of {heard.text} is not known"
    asked = benchmark.judge.instructions if benchmark.judge else None
    if asked and "{prompt}" in asked and heard and heard.prompt == "counted":
        problem = "ask for {prompt}, which is only heard by itself with `prompt: given`"
        yield (*path, "judge", "instructions"), problem
    if benchmark.perplexity and (lm := benchmark.perplexity.lm):
        features = config.tokenisers[Inputs(config).tokeniser(lm)].features
        if isinstance(config.models[lm], NgramModel) or features != "bpe":
            problem = f"{lm} is no text model: name one that is trained on `features: bpe`"
            yield (*path, "perplexity", "lm"), problem
