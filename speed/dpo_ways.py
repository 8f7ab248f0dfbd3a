"""The two ways of DPO that `dpo.py` measures: our loop and TRL's trainer."""

import json
import resource
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import reference

from slamflow import files
from slamflow.lm import architecture, saved
from slamflow.preference import dpo_task, likelihood, reading, references
from slamflow.tables import references as references_table

UNITS, FIRST = 500, 2  # units; steps of a turn that are not counted


def write_base(size: str, folder: str) -> None:
    """A base model with random weights."""
    architecture.build(reference.init(size), UNITS + 2, 1024).save_pretrained(folder)


class Clock:
    """Notes what the process had computed when each step began, and when the references did."""

    def __init__(self) -> None:
        self.begins: list[tuple[float, float]] = []
        self.references = 0.0

    def begin(self) -> None:
        self.begins.append((time.process_time(), time.perf_counter()))

    def write(self, path: str, model: Any, pairs: Any, batch: int) -> None:
        """Seconds a pair of a step, of a core and of the clock, and of its references; MB; FLOP."""
        counted = np.array(self.begins[FIRST:])
        core, wall = (counted[-1] - counted[0]) / (len(counted) - 1) / batch
        found = {"core": core, "wall": wall, "references": self.references / len(pairs)}
        found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        found["tokens"] = 1 + np.mean([len(p) for p in pairs.prompts]) + pairs.counted.sum(1).mean()
        found |= {
            "flop": likelihood.flops(model, pairs).mean(),
            "limit": reference.limit("cpu", "float32"),
        }
        found["parameters"] = model.num_parameters()
        files.write_json({name: float(value) for name, value in found.items()}, Path(path))


def ours(job: Mapping[str, Any], place: Any) -> Any:
    """The task of our loop, which notes when each step begins."""

    class Measured(dpo_task.Alignment):
        def micro_batches(self, step: int) -> Any:
            clock.begin()
            return super().micro_batches(step)

        def export(self, module: Any, log: pa.Table) -> None:
            clock.write(job["measured"], module, self.pairs, self.batch)
            super().export(module, log)

    clock, base = Clock(), Path(job["base"])
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

    job = json.loads((Path(folder) / "job.json").read_text())
    training, clock = job["config"]["training"], Clock()
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
