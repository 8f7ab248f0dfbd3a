"""What `report.html` is told of a config, and the files that it is made from."""

from pathlib import Path
from typing import Any

from slamflow.config import lineages, vocoders
from slamflow.config.schema import Config
from slamflow.config.schema_models import AlignedModel, NgramModel, PretrainedModel, PublishedModel

RESULTS = "results"
SETS = {"lexical": "sWUGGY", "syntactic": "sBLIMP"}  # of ZeroSpeech's tasks
CLOZES = {"spoken": "sSC", "topic": "tSC"}


def block(config: Config, evaluated: list[tuple[str, str]]) -> dict[str, Any]:
    """See `report.page.material.Material`."""
    names = models(config, evaluated)
    mixtures = dict.fromkeys(
        found.mixture
        for name in names
        if isinstance(found := config.models[name], PretrainedModel | NgramModel)
    )
    corpora = [corpus for name in mixtures for corpus in config.mixtures[name].corpora]
    aligned = [config.models[name] for name in names]
    corpora += [found.corpus for found in aligned if isinstance(found, AlignedModel)]
    benchmarks = dict.fromkeys(benchmark for _, benchmark in evaluated)
    corpora += [config.benchmarks[name].corpus for name in benchmarks]
    tokenisers = [lineages.tokeniser(config, name) for name in names]
    tokenisers += [text for name in mixtures if (text := config.mixtures[name].text)]
    # what has an order is a list: params are JSON whose keys are sorted
    return {
        "recipe": config.recipe,
        "models": [{"name": name, **_model(config, name)} for name in names],
        "official": [
            {"benchmark": name, **known}
            for name in benchmarks
            if (known := _official(config, name)) is not None
        ],
        "generated": [name for name in benchmarks if _as_published(config, name, evaluated)],
        "spoken": spoken(config, evaluated),
        "mixtures": list(mixtures),
        "corpora": [[name, config.corpora[name].shards] for name in dict.fromkeys(corpora)],
        "tokenisers": list(dict.fromkeys(tokenisers)),
    }


def files(config: Config, evaluated: list[tuple[str, str]]) -> list[str]:
    """The logs and cards of models, and speech of vocoders; the tables come beside them."""
    found = []
    for name in models(config, evaluated):
        if not isinstance(config.models[name], NgramModel):
            folder = f"{RESULTS}/models/{name}"
            found += [f"{folder}/training.parquet", f"{folder}/card.md"]
    for it in spoken(config, evaluated):
        found.append(f"{RESULTS}/voices/{it['vocoder']}/{it['model']}/{it['benchmark']}.parquet")
        found += [f"{it['weights']}/model.safetensors", it["codebook"]]
        if config.benchmarks[it["benchmark"]].transcribed:
            place = f"{it['vocoder']}/{it['model']}/{it['benchmark']}"
            found.append(f"{RESULTS}/transcripts/{place}.parquet")
    return list(dict.fromkeys(found))


def models(config: Config, evaluated: list[tuple[str, str]]) -> list[str]:
    """The models that are evaluated, each before what it starts from."""
    found: dict[str, None] = {}
    for name, _ in evaluated:
        start: str | None = name
        while start is not None:
            found[start] = None
            start = lineages.start(config, start)
    return list(found)


def spoken(config: Config, evaluated: list[tuple[str, str]]) -> list[dict[str, str]]:
    """The continuations that a vocoder speaks."""
    found = []
    for model, name in evaluated:
        benchmark = config.benchmarks[name]
        if benchmark.vocoder and not isinstance(config.models[model], NgramModel):
            tokeniser = lineages.tokeniser(config, model)
            known = {"vocoder": benchmark.vocoder, "model": model, "benchmark": name}
            known |= {"corpus": benchmark.corpus, "tokeniser": tokeniser}
            known["weights"] = str(Path(vocoders.weights(config, benchmark.vocoder)).parent)
            known["codebook"] = f"{RESULTS}/tokenisers/{tokeniser}/kmeans.safetensors"
            found.append(known)
    return found


def _model(config: Config, name: str) -> dict[str, Any]:
    found, start = config.models[name], lineages.start(config, name)
    if isinstance(found, AlignedModel):
        return {"kind": "aligned", "start": start, "trained_on": found.corpus}
    if isinstance(found, PublishedModel):
        return {"kind": "published", "start": None, "trained_on": ""}
    mixture = config.mixtures[found.mixture]
    kind = {"phones": "topline", "bpe": "text"}.get(
        config.tokenisers[mixture.tokeniser].features, "trained"
    )
    if isinstance(found, NgramModel):
        kind = "n-gram"
    elif found.training.budget.steps == 0:
        kind = "untrained"
    elif start is None and found.twist:
        start = found.twist.model or found.twist.download or found.twist.path
    return {"kind": kind, "start": start, "trained_on": found.mixture}


def _as_published(config: Config, benchmark: str, evaluated: list[tuple[str, str]]) -> bool:
    """Whether GenPPL is taken as the Slam paper takes it, on the official Spoken StoryCloze.

    Its penalty is 1.1 after DPO, and 1 before: a benchmark of models of both kinds is not its own.
    """
    found = config.benchmarks[benchmark]
    sampling, heard, read = found.sampling, found.transcription, found.perplexity
    official = _official(config, benchmark) == {"set": "sSC", "split": ""}
    if not (official and sampling and heard and read) or heard.engine != "whisper":
        return False
    drawn = (sampling.seconds, sampling.new_tokens, sampling.temperature, sampling.top_k)
    models = [config.models[model] for model, name in evaluated if name == benchmark]
    penalties = {1.1 if isinstance(model, AlignedModel) else 1.0 for model in models}
    by = [str(_repository(config, each)).lower() for each in (heard, read)]
    return (
        drawn == (3.0, 150, 0.8, 25)
        and (sampling.prompts, sampling.top_p) == (1000, 1.0)
        and penalties == {sampling.penalty}
        and heard.prompt == "counted"
        and by == ["openai/whisper-large-v3-turbo", "meta-llama/llama-3.2-1b"]
    )


def _repository(config: Config, found: Any) -> str | None:
    """The hub's name of a model, also where a download has it."""
    if found.download:
        return getattr(config.downloads[found.download], "repository", None)
    return str(found.model) if found.model else None


def _official(config: Config, benchmark: str) -> dict[str, str] | None:
    """Which published set a benchmark is; StoryCloze is one only where its source says so."""
    source = config.corpora[config.benchmarks[benchmark].corpus].source
    if source.kind == "zerospeech":
        return {"set": SETS[source.task], "split": source.split}
    if source.kind == "salmon":
        return {"set": "SALMon", "split": ""}
    if source.kind == "storycloze" and source.published:
        return {"set": CLOZES[source.published], "split": ""}
    return None
