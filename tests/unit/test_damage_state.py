"""Damage to what a stage keeps of its work is noticed, and costs only work."""

from pathlib import Path

import damaging
import pytest

from slamflow import runstate
from slamflow.training import prepared


@pytest.mark.parametrize("name", ["weights.safetensors", "training.parquet", "deep/more"])
def test_a_damaged_checkpoint_is_named_and_passed_over(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    with runstate.RunState(tmp_path, {}, [], "code") as state:
        for step in (1, 2):
            with state.checkpoint_folder(step) as folder:
                for each in ("weights.safetensors", "training.parquet", "deep/more"):
                    (folder / each).parent.mkdir(exist_ok=True)
                    (folder / each).write_bytes(bytes(1000))
        latest = state.latest()
        assert latest and latest[0] == 2 and not capfd.readouterr().err
        with (latest[1] / name).open("r+b") as stream:
            stream.seek(500)
            stream.write(b"\1")
        second = state.latest()
        assert second and second[0] == 1
        told = f"{latest[1] / name}: damaged, so this checkpoint is not used\n"
        assert capfd.readouterr().err == told


@pytest.mark.parametrize("place", range(0, 100, 7))
def test_damaged_notes_of_a_state_start_it_anew(tmp_path: Path, place: int) -> None:
    """Whatever byte it is: nothing wrong is taken for finished, and nothing ends in a traceback."""
    block, output = {"training": {"steps": 3}}, {"out": tmp_path / "out"}
    for damaged in ("identity.json", "finished/manifest.json", None):
        with runstate.RunState(tmp_path / "state", block, [], "code") as state:
            state.restore(output)
            output["out"].write_text("made")
            state.finish(output)
        if damaged:
            path = tmp_path / "state" / damaged
            path.write_bytes(damaging.flipped(path.read_bytes(), place))
        output["out"].unlink()
        with runstate.RunState(tmp_path / "state", block, [], "code") as state:
            assert not state.restore(output) or output["out"].read_text() == "made"


@pytest.mark.parametrize("name", ["waves", "targets", prepared.FACTS])
@pytest.mark.parametrize("place", [0, 50, 99])
def test_damaged_data_of_a_training_are_made_anew(tmp_path: Path, name: str, place: int) -> None:
    facts = {"identity": "a" * 64, "hop": 320}
    folder = tmp_path / "data"
    assert not prepared.ready(folder, facts)
    for each in ("waves", "targets"):
        (folder / each).write_bytes(each.encode() * 100)
    assert not prepared.ready(folder, facts)  # not finished
    for each in ("waves", "targets"):
        (folder / each).write_bytes(each.encode() * 100)
    prepared.finish(folder, facts)
    assert prepared.ready(folder, facts)
    path = folder / name
    path.write_bytes(damaging.flipped(path.read_bytes(), place))
    if name != prepared.FACTS or place == 50:
        assert not prepared.ready(folder, facts) and not list(folder.iterdir())
    assert not prepared.ready(folder, {**facts, "hop": 160})
