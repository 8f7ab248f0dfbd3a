"""What the rules ask of a config: names, files, blocks and machine settings."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from slamflow import provenance
from slamflow.config.fields import machine_of, settings_of
from slamflow.config.schema import Config
from slamflow.config.schema_models import AlignedModel, NgramModel, PretrainedModel

RESULTS = "results"


class Plan:
    """A config as the rules see it. Paths are relative to the checkout at `root`."""

    def __init__(self, config: Config, root: Path) -> None:
        self.config = config
        self.root = root

    # names

    def names(self, section: str, **kind: str) -> str:
        """A pattern of the names in a section; with `key=value`, of those that have this value.

        `source="audio"` looks at `source.kind`. Where there are none: a pattern matching nothing.
        """
        found = [
            name
            for name, thing in getattr(self.config, section).items()
            if all(_trait(thing, key) in value.split("|") for key, value in kind.items())
        ]
        return "|".join(sorted(found, key=len, reverse=True)) or "(?!)"

    # files

    def speech(self, corpora: Iterable[str]) -> list[str]:
        """The speech of corpora, all shards."""
        return [
            f"{RESULTS}/speech/{corpus}/{shard}.parquet"
            for corpus in corpora
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
        found = self.config.corpora[corpus]
        count = found.speech.shards if found.speech else found.source.shards  # type: ignore[union-attr]
        return [f"{shard:04d}" for shard in range(count)]

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
    if key == "content":
        return str(getattr(thing.source, "content", ""))
    if key == "trained":
        return str(thing.training is not None)
    return str(getattr(thing, key))


def _named(wildcards: Any, section: str) -> str:
    return str(getattr(wildcards, {"corpora": "corpus"}.get(section, section.removesuffix("s"))))


def _corpus(plan: Plan, wildcards: Any) -> Any:
    return plan.config.corpora[wildcards.corpus]


def _listed(plan: Plan, wildcards: Any) -> dict[str, Any]:
    """What the list of a corpus's files depends on: not how they are read or cut."""
    source = settings_of(_corpus(plan, wildcards).source)
    listed = ("kind", "file", "folder", "pattern", "shards", "version")
    return {key: source[key] for key in listed if key in source}


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
    "generate_text": lambda plan, w: settings_of(_corpus(plan, w).source),
    "list_source": _listed,
    "read_text": lambda plan, w: settings_of(_corpus(plan, w).source),
    "cut_audio": lambda plan, w: settings_of(_corpus(plan, w).source),
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

_ENGINES: dict[str, Callable[[Plan, Any], list[str]]] = {
    "generate_text": lambda plan, w: [
        f"slamflow.corpora.generated.{_corpus(plan, w).source.content}"
    ],
    "synthesise_speech": lambda plan, w: [
        "slamflow.synthesis." + plan.config.synthesisers[_corpus(plan, w).speech.synthesiser].engine
    ],
}
