"""Our loop beside the Trainer of transformers: the same start, batches and settings."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import training_job
from safetensors.torch import load_file
from transformers import Trainer, TrainingArguments

from slamflow.lm import architecture, packing
from slamflow.training import order

VOCABULARY, CONTEXT, STEPS, ROWS = training_job.CLUSTERS + 2, 64, 50, 8
TRAINING = {
    "budget": {"steps": STEPS},
    "batch_tokens": ROWS * CONTEXT,
    "learning_rate": 1.0e-2,
    "schedule": "cosine",
    "warmup": 0.1,
    "floor": 0.05,
    "betas": [0.9, 0.99],
    "weight_decay": 0.1,
    "clip": 0.5,
    "seed": 3,
}


class FromTheSecondRate(Trainer):
    """A Trainer that leaves out the first learning rate of its schedule, which is 0."""

    def create_scheduler(self, *arguments: Any, **settings: Any) -> Any:
        made = super().create_scheduler(*arguments, **settings)
        made.step()
        return made


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_the_trainer_has_the_same_losses_and_weights(tmp_path: Path) -> None:
    """It gets each document in a padded row of its own, and each batch in two halves."""
    units = training_job.write_units(tmp_path / "units.parquet", 60)
    packed = tmp_path / "packed.parquet"
    packing.pack({"context": CONTEXT, "seed": 1}, [units], VOCABULARY, packed)
    config = {"init": training_job.INIT, "training": TRAINING}
    training_job.run("slamflow.lm.pretraining:pretrain", tmp_path, {}, config=config, packed=packed)
    ours = pq.read_table(tmp_path / "model" / "training.parquet")
    model = architecture.build(training_job.INIT, VOCABULARY, CONTEXT)
    trainer = FromTheSecondRate(
        model, _arguments(tmp_path), lambda batch: batch[0], _halves(packed)
    )
    trainer.train()
    entries = [entry for entry in trainer.state.log_history if "loss" in entry]
    theirs = {name: [entry[name] for entry in entries] for name in ("loss", "grad_norm")}
    assert len(entries) == ours.num_rows == STEPS
    np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours["grad_norm"], theirs["grad_norm"], rtol=1e-4)
    assert theirs["loss"][-1] < theirs["loss"][0] - 0.5
    assert min(theirs["grad_norm"]) < TRAINING["clip"] < max(theirs["grad_norm"])
    expected = dict(model.named_parameters())
    for name, tensor in load_file(tmp_path / "model" / "model.safetensors").items():
        torch.testing.assert_close(tensor, expected[name].data, atol=1e-4, rtol=0, msg=name)


def _arguments(folder: Path) -> TrainingArguments:
    rate = TRAINING["learning_rate"]
    return TrainingArguments(
        output_dir=str(folder / "trainer"),
        max_steps=STEPS,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=2,
        train_sampling_strategy="sequential",
        learning_rate=rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr": rate * TRAINING["floor"]},
        warmup_steps=round(STEPS * TRAINING["warmup"]),
        adam_beta1=TRAINING["betas"][0],
        adam_beta2=TRAINING["betas"][1],
        weight_decay=TRAINING["weight_decay"],
        max_grad_norm=TRAINING["clip"],
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )


def _halves(packed: Path) -> list[dict[str, torch.Tensor]]:
    """The documents of each half of each batch, padded; the Trainer takes a half at a time."""
    table = pq.read_table(packed).to_pylist()
    halves = []
    for step in range(STEPS):
        for half in np.split(order.batch(step, ROWS, len(table), TRAINING["seed"]), 2):
            documents = [
                torch.tensor(document[document != 0], dtype=torch.long)
                for row in half
                for document in np.split(np.array(table[row]["tokens"]), table[row]["borders"][1:])
            ]
            pad = torch.nn.utils.rnn.pad_sequence
            halves.append(
                {
                    "input_ids": pad(documents, True),
                    "attention_mask": pad([torch.ones_like(d) for d in documents], True),
                    "labels": pad(documents, True, -100),
                }
            )
    return halves
