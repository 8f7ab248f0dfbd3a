"""The two ways of pretraining that `training.py` measures: our loop and the Trainer."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import reference
import torch

from slamflow import files
from slamflow.lm import architecture, pretraining_task, rows

DOCUMENTS = 8  # of a micro-batch of the Trainer


class Clock:
    """Notes when each step began, and how many tokens there were until then."""

    def __init__(self, device: str) -> None:
        self.device, self.tokens = device, 0
        self.begins: list[tuple[float, float, int]] = []

    def begin(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()
        self.begins.append((time.perf_counter(), time.process_time(), self.tokens))

    def write(self, job: Mapping[str, Any], model: Any, packed: rows.Rows) -> None:
        """Write what was measured.

        Tokens a second of the clock and of a core, peak memory (MB), FLOP a token, the limits.
        """
        (wall, core, tokens), end = self.begins[job["first"]], self.begins[-1]
        seconds, cores, count = end[0] - wall, end[1] - core, end[2] - tokens
        if self.device == "cpu":
            status = Path("/proc/self/status").read_text()
            memory = int(status.split("VmHWM:")[1].split()[0]) / 1e3
        else:
            memory = torch.cuda.max_memory_allocated() / 1e6
        found = {"wall": count / seconds, "core": count / cores, "memory": memory}
        found |= {"flop": _work(model, packed), "parameters": model.num_parameters()}
        limits = {
            f"{name} limit": reference.limit(self.device, name) for name in ("float32", "bfloat16")
        }
        files.write_json({**found, **limits}, Path(job["measured"]))


def ours(arguments: Mapping[str, Any], place: Any) -> Any:
    """The task of our loop, which notes the time of each step."""

    class Measured(pretraining_task.Pretraining):
        clock = Clock(place.device)

        def micro_batches(self, step: int) -> Any:
            self.clock.begin()
            found = super().micro_batches(step)
            self.clock.tokens += sum(int((self.rows.tokens[part] != 0).sum()) for part in found)
            return found

        def export(self, module: Any, log: pa.Table) -> None:
            self.clock.write(arguments, module, self.rows)
            super().export(module, log)

    packed, folder = Path(arguments["packed"]), Path(arguments["folder"])
    return Measured(arguments["config"], packed, folder, place)


def trainer(path: Path) -> None:
    """One turn of the Trainer, in its own process."""
    from transformers import Trainer, TrainingArguments

    job = json.loads(path.read_text())
    training, machine = job["config"]["training"], job["machine"]
    torch.set_num_threads(machine["threads"])
    packed, _, metadata = rows.read(Path(job["packed"]))
    documents = [{"input_ids": piece.tolist()} for piece in _documents(packed)]
    tokens = training["batch_tokens"] * np.mean(packed.tokens != 0)  # of a step
    wanted = tokens / np.mean([len(document["input_ids"]) for document in documents])
    accumulated = max(1, round(wanted / DOCUMENTS))
    clock = Clock(machine["device"])

    class Measured(Trainer):
        def training_step(self, model: Any, inputs: Any, *more: Any, **settings: Any) -> Any:
            if self.state.global_step == len(clock.begins):
                clock.begin()
            clock.tokens += int(inputs["attention_mask"].sum())  # slamkit counts them here, too
            return super().training_step(model, inputs, *more, **settings)

    def padded(batch: list[dict[str, list[int]]]) -> dict[str, Any]:
        found = [torch.tensor(document["input_ids"], dtype=torch.long) for document in batch]
        pad = torch.nn.utils.rnn.pad_sequence
        mask = pad([torch.ones_like(document) for document in found], True)
        return {
            "input_ids": pad(found, True),
            "attention_mask": mask,
            "labels": pad(found, True, -100),
        }

    made = Measured(
        model=architecture.build(
            job["config"]["init"], int(metadata["vocabulary"]), int(metadata["context"])
        ),
        args=TrainingArguments(
            output_dir=str(path.parent),
            max_steps=training["budget"]["steps"],
            per_device_train_batch_size=max(1, round(wanted / accumulated)),
            gradient_accumulation_steps=accumulated,
            train_sampling_strategy="group_by_length" if job["grouped"] else "random",
            learning_rate=training["learning_rate"],
            lr_scheduler_type="cosine_with_min_lr",
            lr_scheduler_kwargs={"min_lr": training["learning_rate"] * training["floor"]},
            warmup_steps=training["warmup"],
            max_grad_norm=training["clip"],
            bf16=training["precision"] == "bfloat16",
            dataloader_num_workers=0 if machine["device"] == "cpu" else 4,
            save_strategy="no",
            report_to=[],
            use_cpu=machine["device"] == "cpu",
            disable_tqdm=True,
        ),
        data_collator=padded,
        train_dataset=documents,
    )
    made.train()
    clock.write(job, made.model, packed)


def _documents(packed: rows.Rows) -> list[np.ndarray]:
    """The tokens of each document or piece, without padding."""
    return [
        row[(numbers == number) & (row != 0)]
        for row, numbers in zip(packed.tokens, packed.documents, strict=True)
        for number in range(int(numbers.max()) + 1)
    ]


def _work(model: Any, packed: rows.Rows) -> float:
    """FLOP a token, forwards and backwards, with causal attention within documents only.

    A matrix's weight takes 6 FLOP a token. A document of n tokens takes 6 n² FLOP of attention a
    layer and dimension: half of the 4 n² forwards, and twice that backwards.
    """
    weights = sum(p.numel() for p in model.parameters() if p.ndim == 2)
    if not model.config.tie_word_embeddings:
        weights -= model.get_input_embeddings().weight.numel()  # looked up, not multiplied
    lengths = np.array([len(piece) for piece in _documents(packed)], dtype=float)
    width = model.config.num_hidden_layers * model.config.hidden_size
    return float(6 * weights + 6 * width * (lengths**2).sum() / lengths.sum())


if __name__ == "__main__":
    trainer(Path(sys.argv[1]))
