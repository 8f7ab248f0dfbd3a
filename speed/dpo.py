"""Measure DPO beside TRL's DPOTrainer: the same base model, pairs, steps and machine.

    python speed/dpo.py --pairs results/preferences/hubert/preferences.parquet
    python speed/dpo.py --size small            # pairs made up, as long as SpokenSwag's

TRL is set as slamkit sets it, but that nothing is computed twice to save memory and that the
precision is asked for: both answers with their prompts, padded to the longest of the batch. `trl`
has the reference model beside the policy; `precomputed` takes its log-probabilities first, as ours
does. Each turn is a process of its own, the ways take turns, and the medians count. What a step
takes is the seconds that its process computed, whatever else ran on the machine.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from slamflow import files, provenance, runstate
from slamflow.tables import preferences as preferences_table
from slamflow.tables import references as references_table
from slamflow.training import launch

SIZES = {  # hidden, intermediate, layers, heads, heads of keys
    "pocket": (192, 512, 3, 3, 3),
    "small": (512, 1408, 9, 8, 8),
    "slam": (896, 4864, 24, 14, 2),  # Qwen2.5-0.5B
}
WAYS = ("ours", "trl", "precomputed")
UNITS, FIRST = 500, 2  # units; steps of a turn that are not counted


def main() -> None:
    args = _arguments()
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # ranks import this file
    turns: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        _run(args, f"dpo.write_base({args.size!r}, {str(base)!r})")
        pairs = args.pairs or _made_up(Path(folder) / "pairs.parquet")
        for turn in range(args.turns):
            for way in WAYS:
                place = Path(folder) / f"{way}{turn}"
                place.mkdir()
                turns[way].append(_turn(way, args, base, pairs, place))
                print(way, turns[way][-1], file=sys.stderr, flush=True)
    _show(args, turns)


def _turn(
    way: str, args: argparse.Namespace, base: Path, pairs: Path, folder: Path
) -> dict[str, float]:
    """A training in its own process, and what `_Clock.write` says of it."""
    training = {
        "budget": {"steps": args.steps + FIRST + 1},
        "pairs": args.step_pairs,
        "learning_rate": 5e-5,
        "schedule": "inverse_sqrt",
        "warmup": 0.1,
        "clip": 0.5,
        "precision": args.precision,
    }
    job = {"config": {"training": training}, "base": str(base), "pairs": str(pairs), "way": way}
    job |= {"folder": str(folder / "model"), "measured": str(folder / "measured.json")}
    machine = {"threads": args.threads, "device": "cpu", "ranks": 1}
    if way == "ours":
        inputs = [base / "model.safetensors", pairs]
        with runstate.RunState(folder / "state", job["config"], inputs, "speed") as state:
            made = launch.outputs(folder / "model", "generation_config.json")
            launch.train("dpo:ours", job, training, made, state, machine, way)
    else:
        files.write_json({**job, "batch": args.batch}, folder / "job.json")
        _run(args, f"dpo.trl({str(folder)!r})")
    return json.loads((folder / "measured.json").read_text())


def _run(args: argparse.Namespace, call: str) -> None:
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(files.__file__).parents[1])])
    threads = {"OMP_NUM_THREADS": str(args.threads), "OMP_WAIT_POLICY": "PASSIVE"}
    environment = {**os.environ, **threads, "PYTHONPATH": path, "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-c", f"import dpo; {call}"]
    subprocess.run(command, env=environment, check=True, stdout=sys.stderr)


def write_base(size: str, folder: str) -> None:
    """A base model with random weights."""
    from slamflow.lm import architecture

    names = ("hidden_size", "intermediate_size", "layers", "heads", "kv_heads")
    init = {**dict(zip(names, SIZES[size], strict=True)), "seed": 1}
    architecture.build(init, UNITS + 2, 1024).save_pretrained(folder)


def _made_up(path: Path) -> Path:
    """Pairs of random units, 19.5 a second; prompts of 1 to 7 s, answers of 1 to 6 s."""
    rng, rows = np.random.default_rng(0), []
    for index in range(800):
        prompt, chosen, rejected = (
            rng.integers(UNITS, size=int(19.5 * rng.uniform(1, most))) for most in (7, 6, 6)
        )
        same = rng.integers(10)  # both begin with the same words
        rejected[:same] = chosen[:same]
        row = {"id": str(index), "prompt": prompt, "chosen": chosen, "rejected": rejected}
        rows.append({**row, "chosen_cut": False, "rejected_cut": False})
    table = pa.Table.from_pylist(rows, preferences_table.SCHEMA)
    files.write_table(table, path, preferences_table.SCHEMA)
    return path


class _Clock:
    """Notes what the process had computed when each step began, and when the references did."""

    def __init__(self) -> None:
        self.begins: list[tuple[float, float]] = []
        self.references = 0.0

    def begin(self) -> None:
        self.begins.append((time.process_time(), time.perf_counter()))

    def write(self, path: str, model: Any, pairs: Any, batch: int) -> None:
        """Seconds a pair of a step, of a core and of the clock, and of its references; MB; FLOP."""
        from slamflow.preference import likelihood

        counted = np.array(self.begins[FIRST:])
        core, wall = (counted[-1] - counted[0]) / (len(counted) - 1) / batch
        found = {"core": core, "wall": wall, "references": self.references / len(pairs)}
        found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        found["tokens"] = 1 + np.mean([len(p) for p in pairs.prompts]) + pairs.counted.sum(1).mean()
        found |= {"flop": likelihood.flops(model, pairs).mean(), "limit": _limit()}
        found["parameters"] = model.num_parameters()
        files.write_json({name: float(value) for name, value in found.items()}, Path(path))


def ours(job: Mapping[str, Any], place: Any) -> Any:
    """The task of our loop, which notes when each step begins."""
    from slamflow.lm import saved
    from slamflow.preference import dpo_task, reading, references

    class Measured(dpo_task.Alignment):
        def micro_batches(self, step: int) -> Any:
            clock.begin()
            return super().micro_batches(step)

        def export(self, module: Any, log: pa.Table) -> None:
            clock.write(job["measured"], module, self.pairs, self.batch)
            super().export(module, log)

    clock, base = _Clock(), Path(job["base"])
    pairs, model = reading.read(Path(job["pairs"]), UNITS + 2), saved.load(base)
    before = time.process_time()
    found = references.of(model, pairs, "cpu", "references")
    clock.references = time.process_time() - before
    scores = pa.table({"id": pairs.ids, "chosen": found[:, 0], "rejected": found[:, 1]})
    path = Path(job["folder"]).with_name("references.parquet")
    files.write_table(scores, path, references_table.SCHEMA)
    folder = Path(job["folder"])
    return Measured(job["config"], base, Path(job["pairs"]), path, folder, place)


def trl(folder: str) -> None:
    """One turn of TRL's trainer."""
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, TrainerCallback
    from trl import DPOConfig, DPOTrainer

    from slamflow.preference import reading

    job = json.loads((Path(folder) / "job.json").read_text())
    training, clock = job["config"]["training"], _Clock()
    pairs = reading.read(Path(job["pairs"]), UNITS + 2)
    words = ["<PAD>", "<S>", *(f"u{unit}" for unit in range(UNITS))]
    split = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "<PAD>"))
    split.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"bos_token": "<S>", "eos_token": "<S>", "pad_token": "<PAD>"}
    texts = {
        "prompt": ["<S>" + _words(units) for units in pairs.prompts],
        "chosen": [_words(units) for units in pairs.chosen],
        "rejected": [_words(units) for units in pairs.rejected],
    }

    class Noting(TrainerCallback):
        def on_step_begin(self, *state: Any, **more: Any) -> None:
            clock.begin()

    class Measured(DPOTrainer):
        def _precompute_ref_logps(self, *arguments: Any) -> Any:
            before = time.process_time()
            found = super()._precompute_ref_logps(*arguments)
            clock.references = time.process_time() - before
            return found

    trainer = Measured(
        AutoModelForCausalLM.from_pretrained(job["base"]),
        args=DPOConfig(
            output_dir=folder,
            max_steps=training["budget"]["steps"],
            per_device_train_batch_size=job["batch"],
            gradient_accumulation_steps=training["pairs"] // job["batch"],
            precompute_ref_log_probs=job["way"] == "precomputed",
            learning_rate=training["learning_rate"],
            lr_scheduler_type="inverse_sqrt",
            warmup_steps=training["warmup"],
            max_grad_norm=training["clip"],
            bf16=training["precision"] == "bfloat16",
            activation_checkpointing=False,
            dataloader_pin_memory=False,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_dict(texts),
        processing_class=PreTrainedTokenizerFast(tokenizer_object=split, **special),
        callbacks=[Noting()],
    )
    trainer.train()
    clock.write(job["measured"], trainer.model, pairs, training["pairs"])


def _words(units: np.ndarray) -> str:
    return "".join(f" u{unit}" for unit in units)


def _limit() -> float:
    """FLOP a second of a core in square matrix products in float32."""
    import torch

    best = 0.0
    left, right = (torch.randn(1024, 1024) for _ in range(2))
    for _ in range(8):
        before = time.process_time()
        left @ right
        best = max(best, 2 * 1024**3 / (time.process_time() - before))
    return best


def _show(args: argparse.Namespace, turns: Mapping[str, list[dict[str, float]]]) -> None:
    every = [turn for found in turns.values() for turn in found]
    limit = max(turn["limit"] for turn in every)
    middle = {
        way: {key: statistics.median(turn[key] for turn in found) for key in found[0]}
        for way, found in turns.items()
    }
    print(f"\n{args.size}: {every[0]['parameters'] / 1e6:.1f}M parameters, {args.precision},")
    print(f"{args.threads} threads; {args.turns} turns of {args.steps} steps of", end=" ")
    print(f"{args.step_pairs} pairs of {every[0]['tokens']:.0f} tokens, prompts counted once;")
    print(f"square matrix products reach {limit / 1e9:.0f} GFLOP a core second in float32;")
    print(f"{provenance.versions()}\n")
    print("| | tokens a core second | of the limit | references, ms a pair | peak MB |", end=" ")
    print("ours is | with references |")
    print("|---|---|---|---|---|---|---|")
    for way, found in middle.items():
        ratios = [
            (theirs["core"] / own["core"], _epoch(theirs) / _epoch(own))
            for own, theirs in zip(turns["ours"], turns[way], strict=True)
        ]
        steps, epoch = (statistics.median(column) for column in zip(*ratios, strict=True))
        print(f"| {way} | {found['tokens'] / found['core']:,.0f} |", end=" ")
        print(f"{found['flop'] / found['core'] / limit:.0%} |", end=" ")
        print(f"{1e3 * found['references']:.2f} | {found['memory']:,.0f} |", end=" ")
        print(f"{steps:.2f} × as fast | {epoch:.2f} × |")
    print("\nwith references: those of a pair and its part of a step; later epochs take no more")


def _epoch(turn: Mapping[str, float]) -> float:
    return turn["core"] + turn["references"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="pocket")
    parser.add_argument("--pairs", type=Path, help="a preferences table; default: made up")
    parser.add_argument("--step-pairs", type=int, default=16, help="pairs of a step")
    parser.add_argument("--batch", type=int, default=16, help="TRL: pairs in memory at once")
    parser.add_argument("--steps", type=int, default=20, help="of a turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
