"""DPO here and in TRL: the same ids, losses, rewards and gradients for the same batch."""

import numpy as np
import pytest
import torch
import training_job
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer

from slamflow import files
from slamflow.lm import architecture
from slamflow.preference import dpo_task, pairs, references
from slamflow.tables import units as units_table
from slamflow.training.rank import Place

BETA, PAIRS = 0.1, 12
VOCABULARY = training_job.CLUSTERS + 2
ROLES = ["prompt", "chosen", "rejected"]


def tokenizer() -> PreTrainedTokenizerFast:
    """Words as ids: `<PAD>` 0, `<S>` 1, unit i as `u<i>` i + 2."""
    words = ["<PAD>", "<S>", *(f"u{unit}" for unit in range(training_job.CLUSTERS))]
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "<PAD>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"bos_token": "<S>", "eos_token": "<S>", "pad_token": "<PAD>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **special)


def words(units: np.ndarray) -> str:
    return "".join(f" u{unit}" for unit in units)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> dpo_task.Alignment:
    """Ours, away from its base model."""
    folder = tmp_path_factory.mktemp("trl")
    table = training_job.units_of(training_job.documents(3 * PAIRS), ROLES * PAIRS)
    files.write_table(table, folder / "units.parquet", units_table.SCHEMA)
    pairs.build({}, [folder / "units.parquet"], folder / "pairs.parquet")
    architecture.build(training_job.INIT, VOCABULARY, 256).save_pretrained(folder / "base")
    base, table_of_pairs, scores = (folder / n for n in ("base", "pairs.parquet", "references"))
    references.score(base, table_of_pairs, scores, {"device": "cpu", "threads": 1}, "test")
    config = {"training": {"pairs": PAIRS, "beta": BETA, "budget": {"steps": 1}}}
    place = Place(0, 1, "cpu", None, {}, "test")
    made = dpo_task.Alignment(config, base, table_of_pairs, scores, folder / "aligned", place)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in made.model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return made


@pytest.fixture(scope="module")
def trainer(task: dpo_task.Alignment, tmp_path_factory: pytest.TempPathFactory) -> DPOTrainer:
    """TRL's, with our base model as its reference and our weights as its policy."""
    found = task.pairs
    base = task.folder.parent / "base"
    policy = AutoModelForCausalLM.from_pretrained(base)
    policy.load_state_dict(task.model.state_dict())
    dataset = {
        "prompt": [f"<S>{words(units)}" for units in found.prompts],
        "chosen": [words(units) for units in found.chosen],
        "rejected": [words(units) for units in found.rejected],
    }
    settings = DPOConfig(
        output_dir=str(tmp_path_factory.mktemp("out")),
        beta=BETA,
        max_length=1024,
        per_device_train_batch_size=PAIRS,
        use_cpu=True,
        bf16=False,
        activation_checkpointing=False,
        report_to=[],
    )
    return DPOTrainer(
        policy,
        AutoModelForCausalLM.from_pretrained(base),
        settings,
        train_dataset=Dataset.from_dict(dataset),
        processing_class=tokenizer(),
    )


def test_the_ids_are_the_same(task: dpo_task.Alignment, trainer: DPOTrainer) -> None:
    found = task.pairs
    for pair, row in enumerate(trainer.train_dataset):
        assert row["prompt_ids"] == [1, *(found.prompts[pair].astype(int) + 2)]
        assert row["chosen_ids"] == [*(found.chosen[pair].astype(int) + 2), 1]
        assert row["rejected_ids"] == [*(found.rejected[pair].astype(int) + 2), 1]


def test_loss_rewards_and_gradients_are_the_same(
    task: dpo_task.Alignment, trainer: DPOTrainer
) -> None:
    sums = dict.fromkeys(task.measures, 0.0)
    for micro_batch in task.micro_batches(0):
        measured = task.forward(task.model, micro_batch)
        (measured["loss"] / PAIRS).backward()
        sums = {name: sums[name] + measured[name].item() for name in sums}
    batch = trainer.data_collator(list(trainer.train_dataset))
    loss = trainer.compute_loss(trainer.model.train(), batch)
    loss.backward()

    means = {name: value / PAIRS for name, value in sums.items()}
    assert abs(means["loss"] - np.log(2)) > 0.01
    assert means["loss"] == pytest.approx(loss.item(), abs=1e-5)
    for ours, theirs in {
        "chosen": "rewards/chosen",
        "rejected": "rewards/rejected",
        "margin": "rewards/margins",
        "accuracy": "rewards/accuracies",
    }.items():
        assert means[ours] == pytest.approx(trainer._metrics["train"][theirs][-1], abs=1e-5), ours
    gradients = {name: found.grad for name, found in trainer.model.named_parameters()}
    for name, parameter in task.model.named_parameters():
        assert gradients[name].abs().max() > 1e-4
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-5, atol=1e-5)
