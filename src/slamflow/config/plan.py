"""What the rules ask of a config: names, files, blocks and machine settings."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from slamflow import provenance
from slamflow.config.fields import machine_of, settings_of
from slamflow.config.schema import Config
from slamflow.config.schema_models import AlignedModel, NgramModel, PretrainedModel
from slamflow.config.schema_sources import Files

RESULTS = "results"
NEURAL = {"vits", "fastspeech2", "kokoro", "ctc"}  # engines that a GPU speeds up
# Keys of sources that only listing looks at, and that only reading and cutting look at.
LISTED = ("pattern", "speaker", "transcripts", "shards", "version", "split", "layout", "parts")
READ = (
    "format", "count", "members", "minimum_words", "maximum_words", "rejected",
    "maximum_auto_bleu", "seed", "per_paradigm", "group", "minimum_heard", "accents",
    "minimum", "maximum", "segments", "content", "columns", "at_most",
)  # fmt: skip


class Plan:
    """A config as the rules see it. Paths are relative to the checkout at `root`."""

    def __init__(self, config: Config, root: Path) -> None:
        self.config = config
        self.root = root

    # names

    def file_corpora(self) -> str:
        """A pattern of the corpora that are made of files."""
        kinds = {corpus.source.kind for corpus in self.config.corpora.values()} - {"generated"}
        return self.names("corpora", source="|".join(kinds))

    def names(self, section: str, **kind: str) -> str:
        """A pattern of the names in a section; with `key=value`, of those that have this value.

        `source="audio"` looks at `source.kind`, `recorded="True"` at `source.recorded`. Where
        there are none: a pattern matching nothing.
        """
        found = [
            name
            for name, thing in getattr(self.config, section).items()
            if all(_trait(thing, key) in value.split("|") for key, value in kind.items())
        ]
        return "|".join(sorted(found, key=len, reverse=True)) or "(?!)"

    # files

    def manifest(self, corpus: str) -> list[str]:
        """The list of the files of a corpus's download, if it has one."""
        download = getattr(self.config.corpora[corpus].source, "download", None)
        return [f"{RESULTS}/downloads/{download}.parquet"] if download else []

    def folder(self, corpus: str) -> str:
        """The folder of a corpus's files, relative to `data_root`."""
        source = self.config.corpora[corpus].source
        assert isinstance(source, Files)
        parts = (
            ("downloads", source.download, source.folder) if source.download else (source.folder,)
        )
        return str(PurePosixPath(*parts))

    def speech(self, corpora: Iterable[str]) -> list[str]:
        """The speech of corpora, all shards."""
        return [
            f"{RESULTS}/speech/{corpus}/{shard}.parquet"
            for corpus in corpora
            for shard in self._shards(corpus)
        ]

    def alignments(self, corpora: Iterable[str]) -> list[str]:
        """The alignments of those corpora that have them made, all shards."""
        return [
            f"{RESULTS}/alignments/{corpus}/{shard}.parquet"
            for corpus in corpora
            if self.config.corpora[corpus].alignment
            for shard in self._shards(corpus)
        ]

    def units(self, tokeniser: str, corpora: Iterable[str]) -> list[str]:
        """The units of corpora, all shards."""
        return [
            f"{RESULTS}/units/{tokeniser}/{corpus}/{shard}.parquet"
            for corpus in corpora
            for shard in self._shards(corpus)
        ]

    def mixture_units(self, mixture: str) -> list[str]:
        """The units of a mixture's corpora, all shards."""
        found = self.config.mixtures[mixture]
        return self.units(found.tokeniser, found.corpora)

    def benchmark_units(self, model: str, benchmark: str) -> list[str]:
        """A benchmark's items as units that a model reads."""
        return self.units(self.tokeniser(model), [self.config.benchmarks[benchmark].corpus])

    def heard_in(self, corpus: str) -> list[str]:
        """The training text that a corpus's words are chosen from, if it is so chosen."""
        training = getattr(self.config.corpora[corpus].source, "heard_in", None)
        return [f"{RESULTS}/text/{training}.parquet"] if training else []

    def hubert(self, tokeniser: str) -> list[str]:
        """The weights of a tokeniser's HuBERT, if it has one."""
        name = self.config.tokenisers[tokeniser].hubert
        if name is None:
            return []
        path = self.config.huberts[name].path
        return [f"{path or f'{RESULTS}/huberts/{name}'}/model.safetensors"]

    def codebook(self, tokeniser: str) -> str:
        """What says which units a tokeniser has."""
        phones = self.config.tokenisers[tokeniser].features == "phones"
        file = "phones.json" if phones else "kmeans.safetensors"
        return f"{RESULTS}/tokenisers/{tokeniser}/{file}"

    def model(self, name: str) -> str:
        """The weights of a model."""
        return f"{RESULTS}/models/{name}/model.safetensors"

    def evaluated(self) -> list[tuple[str, str]]:
        """Each (model, benchmark) of `evaluate`, once, in its order."""
        pairs = [
            (model, benchmark)
            for row in self.config.evaluate
            for benchmark in row.benchmarks
            for model in row.models
        ]
        return list(dict.fromkeys(pairs))

    def scores(self) -> list[str]:
        """The score tables behind eval.tsv."""
        return [
            f"{RESULTS}/scores/{model}/{benchmark}.parquet" for model, benchmark in self.evaluated()
        ]

    def qualities(self) -> list[str]:
        """The quality of each tokeniser that an evaluated model uses, where it is measured."""
        used = dict.fromkeys(self.tokeniser(model) for model, _ in self.evaluated())
        return [
            f"{RESULTS}/tokenisers/{name}/quality.json"
            for name in used
            if self.config.tokenisers[name].quality
        ]

    def cards(self) -> list[str]:
        """The card of each evaluated model that is trained."""
        models = dict.fromkeys(model for model, _ in self.evaluated())
        return [
            f"{RESULTS}/models/{name}/card.md"
            for name in models
            if not isinstance(self.config.models[name], NgramModel)
        ]

    # what a thing is built from

    def base(self, model: str) -> str:
        """The model that an aligned model starts from."""
        found = self.config.models[model]
        assert isinstance(found, AlignedModel)
        return found.base

    def mixture(self, model: str) -> str:
        """The mixture that a model, or its base, is trained on."""
        found = self.config.models[model]
        return self.mixture(found.base) if isinstance(found, AlignedModel) else found.mixture

    def tokeniser(self, model: str) -> str:
        """The tokeniser whose units a model reads."""
        return self.config.mixtures[self.mixture(model)].tokeniser

    def preferences(self, model: str) -> str:
        """The corpus of preferences that an aligned model learns from."""
        found = self.config.models[model]
        assert isinstance(found, AlignedModel)
        return found.corpus

    def _shards(self, corpus: str) -> list[str]:
        return [f"{shard:04d}" for shard in range(self.config.corpora[corpus].shards)]

    # machine

    @staticmethod
    def half(cores: int | None) -> int:
        """The threads of a job that is short or scales badly, so that others run beside it.

        Half of the cores that Snakemake may use here, if it says how many, and at most 8.
        """
        return max(1, min(8, (cores or 16) // 2))

    def gpus(self, section: str = "") -> Callable[[Any], int]:
        """Resource function: the GPUs that a job of a neural network asks for.

        One, or, for the training of a thing in `section`, one for each of its `ranks`.
        """
        device = self.config.device
        if not (device == "cuda" or (device == "auto" and Path("/dev/nvidia0").exists())):
            return lambda wildcards: 0
        if not section:
            return lambda wildcards: 1
        things = getattr(self.config, section)
        return lambda wildcards: int(things[_named(wildcards, section)].training.ranks or 1)

    def engine_gpus(self, rule: str) -> Callable[[Any], int]:
        """Resource function: the GPUs of a job whose engine may be a neural network."""
        gpus = self.gpus()
        return lambda wildcards: gpus(wildcards) if _engine(self, wildcards, rule) in NEURAL else 0

    def write_run_config(self) -> None:
        """Keep the merged config of this run: results/run_config.yaml."""
        path = self.root / RESULTS / "run_config.yaml"
        path.parent.mkdir(exist_ok=True)
        content = yaml.safe_dump(self.config.model_dump(mode="json"), sort_keys=False)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_text(content, encoding="utf-8")
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    # params

    def block(self, rule: str) -> Callable[[Any], str]:
        """Params function: the rule's block of the named thing, as canonical JSON."""
        return lambda wildcards: provenance.canonical_json(_BLOCKS[rule](self, wildcards))

    def code(self, rule: str) -> Callable[[Any], str]:
        """Params function: the digest of the code that the rule's block runs."""
        script = self.root / "workflow_scripts" / f"{rule}.py"

        def digest(wildcards: Any) -> str:
            engines = _ENGINES[rule](self, wildcards) if rule in _ENGINES else []
            return provenance.code_digest(script, engines, self.root)

        return digest

    def machine(self, section: str = "", block: str = "") -> Callable[..., str]:
        """Params function: machine settings as JSON; Snakemake does not track it.

        It is a function of `threads` and `resources`, which is what keeps it out of the tracking.
        """

        def settings(wildcards: Any, threads: Any, resources: Any) -> str:
            found: dict[str, Any] = {
                "data_root": self.config.data_root,
                "device": self.config.device,
                "threads": int(threads),
            }
            if section:
                thing = getattr(self.config, section)[_named(wildcards, section)]
                owner = getattr(thing, block) if block else thing
                found |= machine_of(owner) if owner is not None else {}
            if gpus := int(getattr(resources, "gpu", 0)):
                found["ranks"] = gpus  # what Snakemake granted: it caps what is above its limit
            return json.dumps(found, sort_keys=True)

        return settings


def _trait(thing: Any, key: str) -> str:
    if key == "source":
        return str(thing.source.kind)
    if key in ("holds", "recorded"):
        return str(getattr(thing.source, key))
    if key == "aligned":
        return str(thing.alignment is not None)
    if key == "trained":
        return str(thing.training is not None)
    return str(getattr(thing, key))


def _named(wildcards: Any, section: str) -> str:
    return str(getattr(wildcards, {"corpora": "corpus"}.get(section, section.removesuffix("s"))))


def _corpus(plan: Plan, wildcards: Any) -> Any:
    return plan.config.corpora[wildcards.corpus]


def _engine(plan: Plan, wildcards: Any, rule: str) -> str:
    """The engine that aligns or speaks a corpus."""
    corpus = _corpus(plan, wildcards)
    if rule == "align_speech":
        return str(corpus.alignment.engine)
    return str(plan.config.synthesisers[corpus.speech.synthesiser].engine)


def _source(plan: Plan, wildcards: Any) -> dict[str, Any]:
    """A corpus's source; of files, their folder is that below `data_root`."""
    source = settings_of(_corpus(plan, wildcards).source)
    return source | {"folder": plan.folder(wildcards.corpus)} if "folder" in source else source


def _listed(plan: Plan, wildcards: Any) -> dict[str, Any]:
    """What the list of a corpus's files depends on: not how they are read or cut."""
    source = _source(plan, wildcards)
    return {key: source[key] for key in source if key not in READ}


def _read(plan: Plan, wildcards: Any) -> dict[str, Any]:
    """What reading or cutting a corpus's files depends on: not how they were listed."""
    source = _source(plan, wildcards)
    return {key: source[key] for key in source if key not in LISTED}


def _speech(plan: Plan, wildcards: Any) -> dict[str, Any]:
    speech = _corpus(plan, wildcards).speech
    synthesiser = plan.config.synthesisers[speech.synthesiser]
    return {"speech": settings_of(speech), "synthesiser": settings_of(synthesiser)}


def _tokeniser(plan: Plan, wildcards: Any) -> Any:
    return plan.config.tokenisers[wildcards.tokeniser]


def _model(plan: Plan, wildcards: Any) -> Any:
    return plan.config.models[wildcards.model]


def _collected(plan: Plan, _: Any) -> dict[str, Any]:
    config = plan.config
    used = dict.fromkeys(benchmark for _, benchmark in plan.evaluated())
    models = dict.fromkeys(model for model, _ in plan.evaluated())
    orders = {
        name: model.order for name in models if isinstance(model := config.models[name], NgramModel)
    }
    return {
        "evaluate": [[*pair] for pair in plan.evaluated()],
        "benchmarks": {name: settings_of(config.benchmarks[name].metrics) for name in used},
        "aligned": {
            name: plan.base(name)
            for name in models
            if isinstance(config.models[name], AlignedModel)
        },
        "orders": orders,
        "untrained": [
            name
            for name in models
            if isinstance(model := config.models[name], PretrainedModel)
            and model.training.steps == 0
        ],
    }


_BLOCKS: dict[str, Callable[[Plan, Any], dict[str, Any]]] = {
    "fetch_download": lambda plan, w: settings_of(plan.config.downloads[w.download]),
    "generate_text": _source,
    "list_source": _listed,
    "read_text": _read,
    "cut_audio": _read,
    "align_speech": lambda plan, w: settings_of(_corpus(plan, w).alignment),
    "synthesise_speech": _speech,
    "train_hubert": lambda plan, w: settings_of(plan.config.huberts[w.hubert].training),  # type: ignore[arg-type]
    "fit_kmeans": lambda plan, w: {
        "features": _tokeniser(plan, w).features,
        **settings_of(_tokeniser(plan, w).kmeans),
    },
    "extract_units": lambda plan, w: {"features": _tokeniser(plan, w).features},
    "measure_quality": lambda plan, w: settings_of(_tokeniser(plan, w).quality),
    "list_phones": lambda plan, w: {},
    "extract_phones": lambda plan, w: {},
    "pack_mixture": lambda plan, w: settings_of(plan.config.mixtures[w.mixture].packing),
    "pretrain_model": lambda plan, w: {
        "init": settings_of(_model(plan, w).init),
        "training": settings_of(_model(plan, w).training),
    },
    "count_ngrams": lambda plan, w: {"order": _model(plan, w).order},
    "build_preferences": lambda plan, w: settings_of(_corpus(plan, w).pairs),
    "score_references": lambda plan, w: {},
    "align_model": lambda plan, w: {"training": settings_of(_model(plan, w).training)},
    "score_benchmark": lambda plan, w: settings_of(plan.config.benchmarks[w.benchmark].scoring),
    "score_ngrams": lambda plan, w: settings_of(plan.config.benchmarks[w.benchmark].scoring),
    "collect_scores": _collected,
}

_RECORDED = {"parquet": "parquet"}  # every other kind is a file an utterance, or a file to cut

_ENGINES: dict[str, Callable[[Plan, Any], list[str]]] = {
    "generate_text": lambda plan, w: [
        f"slamflow.corpora.generated.{_corpus(plan, w).source.content}"
    ],
    "list_source": lambda plan, w: [
        f"slamflow.corpora.listing.{_corpus(plan, w).source.kind}"
        if _corpus(plan, w).source.recorded
        else "slamflow.corpora.listing.text"
    ],
    "read_text": lambda plan, w: [f"slamflow.corpora.texts.{_corpus(plan, w).source.kind}"],
    "cut_audio": lambda plan, w: [
        f"slamflow.corpora.recorded.{_RECORDED.get(_corpus(plan, w).source.kind, 'audio')}"
    ],
    "align_speech": lambda plan, w: [f"slamflow.alignment.{_engine(plan, w, 'align_speech')}"],
    "synthesise_speech": lambda plan, w: [
        f"slamflow.synthesis.{_engine(plan, w, 'synthesise_speech')}"
    ],
}
