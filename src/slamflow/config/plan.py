"""What the rules ask of a config: names, files, blocks and machine settings."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from slamflow import provenance
from slamflow.config import blocks
from slamflow.config.fields import machine_of
from slamflow.config.schema import Config
from slamflow.config.schema_models import AlignedModel, NgramModel

RESULTS = "results"


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

    def weights(self, rule: str) -> Callable[[Any], list[str]]:
        """Input function: the list of the download that an engine's weights come from, if any."""

        def manifest(wildcards: Any) -> list[str]:
            download = getattr(blocks.engine(self.config, rule, wildcards), "download", None)
            return [f"{RESULTS}/downloads/{download}.parquet"] if download else []

        return manifest

    def speech(self, corpora: Iterable[str]) -> list[str]:
        """The speech of corpora, all shards."""
        return [
            f"{RESULTS}/speech/{corpus}/{shard}.parquet"
            for corpus in corpora
            for shard in self._shards(corpus)
        ]

    def alignments(self, corpora: Iterable[str]) -> list[str]:
        """The alignments of those corpora whose phones are found, all shards."""
        return [
            f"{RESULTS}/alignments/{corpus}/{shard}.parquet"
            for corpus in corpora
            if getattr(self.config.corpora[corpus].alignment, "knows_phones", False)
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
        """The weights of a tokeniser's HuBERT, or the list of the download that has them.

        None, where they come from the hub when they are needed.
        """
        name = self.config.tokenisers[tokeniser].hubert
        if name is None:
            return []
        found = self.config.huberts[name]
        if found.download:
            return [f"{RESULTS}/downloads/{found.download}.parquet"]
        if found.training:
            return [f"{RESULTS}/huberts/{name}/model.safetensors"]
        return [f"{found.path}/model.safetensors"] if found.path else []

    def converted(self, tokeniser: str) -> list[str]:
        """The list of the download that a codebook is converted from, if it is from one."""
        kmeans = self.config.tokenisers[tokeniser].kmeans
        download = kmeans.download if kmeans else None
        return [f"{RESULTS}/downloads/{download}.parquet"] if download else []

    def gate(self, tokeniser: str) -> list[str]:
        """The quality of a tokeniser, if it has to be good enough before others build on it."""
        quality = self.config.tokenisers[tokeniser].quality
        gated = quality is not None and quality.least_gain is not None
        return [f"{RESULTS}/tokenisers/{tokeniser}/quality.json"] if gated else []

    def initial(self, hubert: str) -> list[str]:
        """The weights that a HuBERT's training goes on from, if it does."""
        name = self.config.huberts[hubert].initial
        return [f"{RESULTS}/huberts/{name}/model.safetensors"] if name else []

    def targets(self, hubert: str) -> str:
        """The tokeniser whose units a HuBERT learns to predict."""
        return str(self.config.huberts[hubert].targets)

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
        return blocks.evaluated(self.config)

    def scores(self) -> list[str]:
        """The score tables behind eval.tsv."""
        return [
            f"{RESULTS}/scores/{model}/{benchmark}.parquet" for model, benchmark in self.evaluated()
        ]

    def qualities(self) -> list[str]:
        """The quality of each tokeniser that an evaluated model uses, where it is measured."""
        return self._qualities(self.tokeniser(model) for model, _ in self.evaluated())

    def all_qualities(self) -> list[str]:
        """The quality of each tokeniser that is measured."""
        return self._qualities(self.config.tokenisers)

    def _qualities(self, tokenisers: Iterable[str]) -> list[str]:
        return [
            f"{RESULTS}/tokenisers/{name}/quality.json"
            for name in dict.fromkeys(tokenisers)
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

        def found(wildcards: Any) -> int:
            engine = blocks.engine(self.config, rule, wildcards).engine
            return gpus(wildcards) if engine in blocks.NEURAL else 0

        return found

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
        return lambda wildcards: provenance.canonical_json(
            blocks.block(self.config, rule, wildcards)
        )

    def code(self, rule: str) -> Callable[[Any], str]:
        """Params function: the digest of the code that the rule's block runs."""
        script = self.root / "workflow_scripts" / f"{rule}.py"

        def digest(wildcards: Any) -> str:
            engines = blocks.engines(self.config, rule, wildcards)
            return provenance.code_digest(script, engines, self.root)

        return digest

    def machine(self, section: str = "", block: str = "") -> Callable[..., str]:
        """Params function: machine settings as JSON; Snakemake does not track it.

        It is a function of `threads` and `resources`, which is what keeps it out of the tracking.
        """

        def settings(wildcards: Any, threads: Any, resources: Any) -> str:
            found: dict[str, Any] = {
                "data_root": os.path.expanduser(self.config.data_root),
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
    if key == "measured":
        return str(thing.quality is not None)
    return str(getattr(thing, key))


def _named(wildcards: Any, section: str) -> str:
    return str(getattr(wildcards, {"corpora": "corpus"}.get(section, section.removesuffix("s"))))
