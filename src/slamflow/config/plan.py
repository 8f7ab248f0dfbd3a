"""What the rules ask of a config: names, machine settings and params; files are `inputs`'."""

import functools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from slamflow import devices, provenance
from slamflow.config import blocks
from slamflow.config.fields import machine_of
from slamflow.config.inputs import RESULTS
from slamflow.config.inputs_spoken import SpokenInputs
from slamflow.config.schema import Config


class Plan(SpokenInputs):
    """A config as the rules see it, in the checkout at `root`."""

    def __init__(self, config: Config, root: Path) -> None:
        super().__init__(config)
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

    # machine

    @staticmethod
    def half(cores: int | None) -> int:
        """The threads of a job that is short or scales badly, so that others run beside it.

        Half of the cores that Snakemake may use here, if it says how many, and at most 8.
        """
        return max(1, min(8, (cores or 16) // 2))

    def gpus(self, section: str = "") -> Callable[[Any], int]:
        """Resource function: the GPUs that a job of a neural network asks for.

        One, or, for the training of a thing in `section`, one for each of its `ranks`; on several
        nodes none, see `gres`.
        """
        if not self._has_gpus():
            return lambda wildcards: 0
        if not section:
            return lambda wildcards: 1
        return lambda wildcards: (
            self.ranks(section)(wildcards) if self.nodes(section)(wildcards) == 1 else 0
        )

    def ranks(self, section: str) -> Callable[[Any], int]:
        """The ranks that a training has on each of its nodes."""
        nodes = self.nodes(section)
        return lambda wildcards: (self._training(wildcards, section).ranks or 1) // nodes(wildcards)

    def nodes(self, section: str) -> Callable[[Any], int]:
        """Resource function: the nodes of Slurm that the ranks of a training are spread over."""
        return lambda wildcards: int(self._training(wildcards, section).nodes or 1)

    def tasks(self, section: str) -> Callable[[Any], int]:
        """Resource function: one for each of several nodes without GPUs, else as Slurm has it."""
        nodes = self.nodes(section)
        return lambda wildcards: (
            0 if self._has_gpus() or nodes(wildcards) == 1 else nodes(wildcards)
        )

    def gres(self, section: str) -> Callable[[Any], str]:
        """Resource function: the GPUs on each of several nodes, in Slurm's words."""
        ranks, nodes = self.ranks(section), self.nodes(section)
        return lambda wildcards: (
            f"gpu:{ranks(wildcards)}" if self._has_gpus() and nodes(wildcards) > 1 else ""
        )

    def _has_gpus(self) -> bool:
        device = self.config.device
        return device == "cuda" or (device == "auto" and devices.found())

    def _training(self, wildcards: Any, section: str) -> Any:
        return getattr(self.config, section)[_named(wildcards, section)].training

    def engine_gpus(self, rule: str) -> Callable[[Any], int]:
        """Resource function: the GPUs of a job whose engine may be a neural network."""
        gpus = self.gpus()

        def found(wildcards: Any) -> int:
            engine = blocks.engine(self.config, rule, wildcards).engine
            return gpus(wildcards) if engine in blocks.NEURAL else 0

        return found

    def templates(self, package: str) -> list[str]:
        """The files that a page is made from and that are no Python: no code digest has them."""
        folder = self.root / "src" / "slamflow" / package
        found = [path for path in folder.rglob("*.*") if path.suffix in (".html", ".css", ".tsv")]
        return sorted(str(path.relative_to(self.root)) for path in found)

    def sources(self) -> list[str]:
        """The files that say which jobs there are."""
        found = [self.root / "Snakefile", *(self.root / "rules").glob("*.smk")]
        found += (self.root / "src" / "slamflow" / "config").glob("*.py")
        return sorted(str(path.relative_to(self.root)) for path in found)

    def write_run_config(self) -> None:
        """Keep the merged config of this run: results/run_config.yaml."""
        path = self.root / RESULTS / "run_config.yaml"
        path.parent.mkdir(exist_ok=True)
        content = yaml.safe_dump(self.config.model_dump(mode="json"), sort_keys=False)
        temporary = path.with_name(f".{path.name}.tmp")  # that of a killed run is written over
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
        """Params function: the digest of the code that the rule's block runs.

        It is at most a second old: thousands of jobs ask at once, and a job that starts hours
        later asks again, since code may have been edited.
        """
        script = self.root / "workflow_scripts" / f"{rule}.py"

        @functools.lru_cache(maxsize=64)
        def digest(engines: tuple[str, ...], second: int) -> str:
            return provenance.code_digest(script, engines, self.root)

        def found(wildcards: Any) -> str:
            engines = blocks.engines(self.config, rule, wildcards)
            return digest(tuple(engines), int(time.monotonic()))

        return found

    @staticmethod
    def given(command_line: dict[str, Any]) -> Callable[..., str]:
        """Params function: what the command line says of the config, as JSON; it is not tracked."""
        return lambda wildcards, threads: json.dumps(command_line)

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
            elif found["device"] == "auto" and not getattr(resources, "gres", None):
                found["device"] = "cpu"  # another job may have the GPU that it would find
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
        return str(getattr(thing, "training", None) is not None)
    if key == "measured":
        return str(thing.quality is not None)
    return str(getattr(thing, key))


def _named(wildcards: Any, section: str) -> str:
    return str(getattr(wildcards, {"corpora": "corpus"}.get(section, section.removesuffix("s"))))
