"""What each rule depends on: its block of a named thing, and the engines that the block chooses."""

from collections.abc import Callable
from typing import Any

from slamflow.config import generation, lineages, questions, reported, vocoders
from slamflow.config.fields import content_of, settings_of
from slamflow.config.schema import Config
from slamflow.config.schema_models import AlignedModel, NgramModel, PretrainedModel

NEURAL = {"vits", "fastspeech2", "kokoro", "ctc", "whisper"}  # engines that a GPU speeds up


def block(config: Config, rule: str, wildcards: Any) -> dict[str, Any]:
    """The block of a rule's job as plain values."""
    return _BLOCKS[rule](config, wildcards)


def engines(config: Config, rule: str, wildcards: Any) -> list[str]:
    """The modules that a rule's script imports by names in its block."""
    found = _ENGINES.get(rule)
    return [f"slamflow.{found(config, wildcards)}"] if found else []


def engine(config: Config, rule: str, wildcards: Any) -> Any:
    """The block of the engine that aligns or speaks a corpus, or hears continuations."""
    if rule == "transcribe_speech":
        return config.benchmarks[wildcards.benchmark].transcription
    corpus = _corpus(config, wildcards)
    if rule == "align_speech":
        return corpus.alignment
    return config.synthesisers[corpus.speech.synthesiser]


def evaluated(config: Config) -> list[tuple[str, str]]:
    """Each (model, benchmark) of `evaluate`, then of `questions`, once, in their order."""
    pairs = [
        (model, benchmark)
        for row in config.evaluate
        for benchmark in row.benchmarks
        for model in row.models
    ]
    for question in config.questions:
        pairs += questions.pairs(config, question)
    return list(dict.fromkeys(pairs))


def compared(config: Config) -> list[tuple[str, str]]:
    """Those of `scored` whose models are compared with each other.

    They are those of `evaluate` alone, and no seeds: a study's questions compare those.
    """
    rows = config.evaluate
    named = dict.fromkeys(model for row in rows for model in row.models)
    asked = {(model, name) for row in rows for name in row.benchmarks for model in row.models}
    seeds = lineages.seeds(config, named)
    return [pair for pair in scored(config) if pair in asked and pair[0] not in seeds]


def scored(config: Config) -> list[tuple[str, str]]:
    """Those of `evaluated` whose pairs are scored."""

    def pairs(name: str) -> bool:
        found = config.benchmarks[name]
        return found.scored and config.corpora[found.corpus].source.holds == "pairs"

    return [(model, name) for model, name in evaluated(config) if pairs(name)]


def official(config: Config, task: str, split: str) -> str:
    """The benchmark that is a split of a task of ZeroSpeech.

    Raises:
        ValueError: there is none.
    """
    for name, benchmark in config.benchmarks.items():
        source = config.corpora[benchmark.corpus].source
        if source.kind == "zerospeech" and (source.task, source.split) == (task, split):
            return name
    raise ValueError(f"no benchmark is the {split} split of ZeroSpeech's {task}: add one")


def _corpus(config: Config, wildcards: Any) -> Any:
    return config.corpora[wildcards.corpus]


def _source(only: str) -> Callable[[Config, Any], dict[str, Any]]:
    """A corpus's source as one stage sees it; of files, their folder is that below `data_root`."""

    def found(config: Config, wildcards: Any) -> dict[str, Any]:
        source = _corpus(config, wildcards).source
        settings = settings_of(source, only)
        return settings | {"folder": source.place} if "folder" in settings else settings

    return found


def _engine(config: Config, rule: str, wildcards: Any) -> dict[str, Any]:
    """The settings of an engine; weights of a download are a folder below `data_root`."""
    return _located(engine(config, rule, wildcards))


def _located(block: Any) -> dict[str, Any]:
    weights = getattr(block, "download", None)
    return settings_of(block) | ({"model": f"downloads/{weights}"} if weights else {})


def _speech(config: Config, wildcards: Any) -> dict[str, Any]:
    speech = settings_of(_corpus(config, wildcards).speech)
    return {"speech": speech, "synthesiser": _engine(config, "synthesise_speech", wildcards)}


def _tokeniser(config: Config, wildcards: Any) -> Any:
    return config.tokenisers[wildcards.tokeniser]


def _hubert(config: Config, tokeniser: str) -> dict[str, Any]:
    """Where a tokeniser's HuBERT is to be had, unless it is a file of this workflow."""
    name = config.tokenisers[tokeniser].hubert
    if name is None or not (config.huberts[name].model or config.huberts[name].download):
        return {}
    found = _located(config.huberts[name])
    return {"hubert": {"model": found["model"], "revision": found["revision"]}}


def _kmeans(config: Config, wildcards: Any) -> dict[str, Any]:
    tokeniser = _tokeniser(config, wildcards)
    hubert = _hubert(config, wildcards.tokeniser)
    settings = settings_of(tokeniser.kmeans)
    if tokeniser.kmeans.download:
        settings["file"] = f"downloads/{tokeniser.kmeans.download}/{settings['file']}"
    return {"features": tokeniser.features, **settings, **hubert}


def _model(config: Config, wildcards: Any) -> Any:
    return config.models[wildcards.model]


def _init(model: PretrainedModel) -> dict[str, Any]:
    """Where a model starts: its shape, or how its token table is made of another model's."""
    if model.init:
        return settings_of(model.init)
    found = _located(model.twist)
    place = {key: found.pop(key) for key in ("model", "revision")}
    del found["path"]  # it is an input
    return found | ({"initial": place} if place["model"] else {})


def _published(config: Config, wildcards: Any) -> dict[str, Any]:
    found = _located(_model(config, wildcards))
    return {key: found[key] for key in ("layout", "model", "revision")}


def _mixture(config: Config, wildcards: Any) -> dict[str, Any]:
    mixture = config.mixtures[wildcards.mixture]
    shares = {name: settings_of(amount) for name, amount in mixture.shares.items()}
    return {**settings_of(mixture.packing), "shares": shares}


def _scoring(config: Config, wildcards: Any) -> dict[str, Any]:
    return settings_of(config.benchmarks[wildcards.benchmark].scoring, "scoring")


def _collected(config: Config, _: Any) -> dict[str, Any]:
    pairs = scored(config)
    used = dict.fromkeys(benchmark for _, benchmark in pairs)
    models = {name: config.models[name] for name in dict.fromkeys(model for model, _ in pairs)}
    return {
        "evaluate": [[*pair] for pair in pairs],
        "compared": [[*pair] for pair in compared(config)],
        "generated": [
            [model, benchmark, generation.conventions(config, benchmark)]
            for model, benchmark in generation.measured(config, evaluated(config))
        ],
        "benchmarks": {name: settings_of(config.benchmarks[name].metrics) for name in used},
        "aligned": {
            name: model.base for name, model in models.items() if isinstance(model, AlignedModel)
        },
        "orders": {
            name: model.order for name, model in models.items() if isinstance(model, NgramModel)
        },
        "untrained": [
            name
            for name, model in models.items()
            if isinstance(model, PretrainedModel) and model.training.budget.steps == 0
        ],
    }


_BLOCKS: dict[str, Callable[[Config, Any], dict[str, Any]]] = {
    "fetch_download": lambda config, w: settings_of(config.downloads[w.download]),
    "generate_text": _source("reading"),
    "list_source": _source("listing"),
    "read_text": _source("reading"),
    "cut_audio": _source("reading"),
    "align_speech": lambda config, w: _engine(config, "align_speech", w),
    "synthesise_speech": _speech,
    "train_hubert": lambda config, w: {
        **settings_of(config.huberts[w.hubert].training),  # type: ignore[arg-type]
        **_hubert(config, str(config.huberts[w.hubert].targets)),
    },
    "fit_kmeans": _kmeans,
    "convert_codebook": _kmeans,
    "extract_units": lambda config, w: {
        "features": _tokeniser(config, w).features,
        **settings_of(_tokeniser(config, w).units),
        **_hubert(config, w.tokeniser),
    },
    "measure_quality": lambda config, w: {
        **settings_of(_tokeniser(config, w).quality),
        **_hubert(config, w.tokeniser),
    },
    "collect_tokenisers": lambda config, w: {},
    "list_phones": lambda config, w: {},
    "extract_phones": lambda config, w: {},
    "train_bpe": lambda config, w: settings_of(_tokeniser(config, w).bpe),
    "extract_bpe": lambda config, w: {},
    "pack_mixture": _mixture,
    "interleave_mixture": lambda config, w: {
        **_mixture(config, w),
        "interleaving": settings_of(config.mixtures[w.mixture].interleaving),  # type: ignore[arg-type]
    },
    "pretrain_model": lambda config, w: {
        "init": _init(_model(config, w)),
        "training": settings_of(_model(config, w).training),
    },
    "convert_model": _published,
    "count_ngrams": lambda config, w: {"order": _model(config, w).order},
    "build_preferences": lambda config, w: settings_of(_corpus(config, w).pairs),
    "score_references": lambda config, w: {},
    "align_model": lambda config, w: {"training": settings_of(_model(config, w).training)},
    "score_benchmark": _scoring,
    "score_crossing": lambda config, w: settings_of(
        config.benchmarks[w.benchmark].scoring, "crossing"
    ),
    "continue_speech": lambda config, w: settings_of(
        config.benchmarks[w.benchmark].sampling  # type: ignore[arg-type]
    ),
    "score_ngrams": _scoring,
    "transcribe_speech": lambda config, w: _engine(config, "transcribe_speech", w),
    "judge_transcripts": lambda config, w: settings_of(
        config.benchmarks[w.benchmark].judge  # type: ignore[arg-type]
    ),
    "measure_generation": lambda config, w: generation.block(config, w.benchmark),
    "train_vocoder": lambda config, w: vocoders.trained(config, w.vocoder),
    "convert_vocoder": lambda config, w: vocoders.converted(config, w.vocoder),
    "vocode_units": lambda config, w: {"durations": "predicted"},
    "resynthesise_speech": lambda config, w: {"durations": "given"},
    "measure_vocoder": lambda config, w: {
        **settings_of(config.vocoders[w.vocoder].quality),  # type: ignore[arg-type]
        **_hubert(config, config.vocoders[w.vocoder].tokeniser),
    },
    "write_submission": lambda config, w: {
        "convention": config.benchmarks[official(config, w.task, w.split)].metrics.convention
    },
    "collect_scores": _collected,
    "answer_question": lambda config, w: questions.answer(config, w.question),
    "write_report": lambda config, w: reported.block(config, evaluated(config)),
    "write_plan": lambda config, w: content_of(config),
    "collect_study": lambda config, w: {},
    "draw_study": lambda config, w: questions.page(config),
}

_ENGINES: dict[str, Callable[[Config, Any], str]] = {
    "generate_text": lambda config, w: f"corpora.generated.{_corpus(config, w).source.content}",
    "list_source": lambda config, w: (
        f"corpora.listing.{_corpus(config, w).source.kind}"
        if _corpus(config, w).source.recorded
        else "corpora.listing.text"
    ),
    "read_text": lambda config, w: f"corpora.texts.{_corpus(config, w).source.kind}",
    # all but tables are a file an utterance, or a file to cut
    "cut_audio": lambda config, w: (
        "corpora.recorded.parquet"
        if _corpus(config, w).source.kind == "parquet"
        else "corpora.recorded.audio"
    ),
    "train_vocoder": lambda config, w: f"vocoder.{config.vocoders[w.vocoder].kind}_task",
    "align_speech": lambda config, w: f"alignment.{engine(config, 'align_speech', w).engine}",
    "transcribe_speech": lambda config, w: (
        f"generation.{engine(config, 'transcribe_speech', w).engine}"
    ),
    "synthesise_speech": lambda config, w: (
        f"synthesis.{engine(config, 'synthesise_speech', w).engine}"
    ),
}
