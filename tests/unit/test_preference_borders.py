"""Models that cannot read packed preferences are refused, and not aligned to something else."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
import training_job

from slamflow import files
from slamflow.lm import architecture, saved
from slamflow.preference import attention, borders, dpo_task, pairs, reading, references
from slamflow.tables import references as references_table
from slamflow.tables import units as units_table
from slamflow.training.rank import Place

VOCABULARY = training_job.CLUSTERS + 2
INIT = {k: v for k, v in training_job.INIT.items() if k != "kv_heads"}
MACHINE = {"threads": 1, "device": "cpu"}
READ = ["qwen2", "llama", "gpt2", "opt", "gpt_neox", "gemma3_text", "olmo2"]
REFUSED = [
    ("falcon", "does not keep the answers of a pair apart"),  # has an attention of its own
    ("gemma2", "its attention has softcap"),
    ("gpt_oss", "its attention has s_aux"),
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    roles = ["prompt", "chosen", "rejected"]
    units = training_job.units_of(training_job.documents(12), roles * 4)
    files.write_table(units, folder / "units.parquet", units_table.SCHEMA)
    pairs.build({}, [folder / "units.parquet"], folder / "pairs.parquet")
    return folder / "pairs.parquet"


def base(kind: str, folder: Path) -> Path:
    """A model of an architecture, away from small initial weights."""
    without = {"intermediate_size"} if kind == "falcon" else set()
    init: dict[str, Any] = {k: v for k, v in INIT.items() if k not in without}
    model = architecture.build({**init, "architecture": kind}, VOCABULARY, 128)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder / "base")
    return folder / "base"


@pytest.mark.parametrize(("kind", "message"), REFUSED)
def test_references_are_refused(kind: str, message: str, table: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"base: {kind} .*{message}.*") as failure:
        references.score(base(kind, tmp_path), table, tmp_path / "scores", MACHINE, "test")
    assert "\n" not in str(failure.value) and "architecture" in str(failure.value)
    assert not (tmp_path / "scores").exists()


@pytest.mark.parametrize(("kind", "message"), REFUSED[:1])
def test_training_is_refused(kind: str, message: str, table: Path, tmp_path: Path) -> None:
    ids = reading.read(table, VOCABULARY).ids
    scores = pa.table({"id": ids, "chosen": [-9.0] * 4, "rejected": [-9.0] * 4})
    files.write_table(scores, tmp_path / "scores", references_table.SCHEMA)
    config = {"training": {"pairs": 2, "budget": {"steps": 1}}}
    place = Place(0, 1, "cpu", None, {}, "test")
    with pytest.raises(ValueError, match=message):
        dpo_task.Alignment(
            config, base(kind, tmp_path), table, tmp_path / "scores", tmp_path / "out", place
        )


@pytest.mark.parametrize("kind", READ)
def test_others_are_read(kind: str, tmp_path: Path) -> None:
    model = saved.load(base(kind, tmp_path)).train()
    borders.by_blocks(model)
    assert model.config._attn_implementation == attention.NAME and model.training
