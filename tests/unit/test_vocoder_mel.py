"""The mel vocoder: its mels, its training as a stage, and the speech that it makes."""

import os
import re
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import speech_tables
import torch
import torchaudio
import training_job

from slamflow import audio, files
from slamflow.tables import continuations as continuations_table
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table
from slamflow.tables import voices as voices_table
from slamflow.tokeniser import codebook as codebook_file
from slamflow.tokeniser import units as units_stage
from slamflow.training.rank import Place
from slamflow.vocoder import error_rate, mel_data, mel_task, spectra, vocoding

HOP, CLUSTERS = 640, 8
RATIO = HOP // spectra.STEP
ONE = {"threads": 1, "device": "cpu"}
CONFIG: dict[str, Any] = {
    "kind": "mel",
    "voice": "s0",
    "hours": None,
    "held_out": 0.1,
    "architecture": {"size": 32, "layers": 2, "mel_layers": 1, "kernel": 3},
    "training": {
        "budget": {"steps": 60},
        "batch_seconds": 10.0,
        "learning_rate": 1.0e-2,
        "warmup": 0.1,
        "clip": 1.0,
        "seed": 1,
    },
}


def log_mel(wave: np.ndarray) -> np.ndarray:
    whole = wave[: len(wave) // spectra.STEP * spectra.STEP]
    return spectra.log_mel(torch.from_numpy(whole)).numpy()


@pytest.fixture(scope="module")
def units(trained_on: Path, targets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units of the speech that vocoders are trained on."""
    path = tmp_path_factory.mktemp("units") / "u.parquet"
    units_stage.extract({"features": "mfcc"}, targets, None, trained_on, path, ONE)
    return path


def prepare(
    folder: Path, units: Path, speech: Path, pace: Sequence[Path] = (), **changes: Any
) -> mel_data.Data:
    config = {**CONFIG, "seed": 1, **changes}
    mel_data.prepare(folder, config, [units], [speech], CLUSTERS, HOP, "a", ONE, "test", pace)
    return mel_data.Data.open(folder)


@pytest.fixture(scope="module")
def data(trained_on: Path, units: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "d"
    prepare(folder, units, trained_on)
    return folder


def make(data: Path, folder: Path, targets: Path, **machine: int) -> mel_task.UnitsToMels:
    place = Place(0, 1, "cpu", None, machine, "test")
    return mel_task.UnitsToMels(CONFIG, targets, data, folder, place)


@pytest.fixture(scope="module")
def trained(
    trained_on: Path, units: Path, targets: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a job that trained a vocoder."""
    folder = tmp_path_factory.mktemp("job")
    run(folder, ONE, units, trained_on, targets)
    return folder


def run(folder: Path, machine: dict[str, Any], units: Path, speech: Path, codebook: Path) -> str:
    paths = {"units": units, "speech": speech, "codebook": codebook}
    return training_job.run("vocoder_job:train", folder, machine, config=CONFIG, **paths)


def test_mels_are_torchaudios() -> None:
    wave = torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    transform = torchaudio.transforms.MelSpectrogram(
        *(spectra.SAMPLING_RATE, spectra.FFT, spectra.FFT, spectra.STEP),
        n_mels=spectra.MELS,
        power=1.0,
        norm="slaney",
        mel_scale="slaney",
    )
    expected = transform(wave).clamp(min=spectra.FLOOR).log().T[: 16_000 // spectra.STEP]
    torch.testing.assert_close(spectra.log_mel(wave), expected, rtol=0, atol=1e-4)


def test_griffin_lim_gives_speech_with_these_mels() -> None:
    spoken, _ = speech_tables.speak(list("aiuoa_iu"), 110.0, np.random.default_rng(0))
    samples = torch.from_numpy(spoken[: len(spoken) // spectra.STEP * spectra.STEP])
    wanted = spectra.log_mel(samples)
    torch.manual_seed(1)
    wave = spectra.wave(wanted)
    state = torch.random.get_rng_state()
    assert len(wave) == len(samples)
    assert torch.equal(spectra.wave(wanted), wave)  # whatever random numbers were drawn before
    assert torch.equal(torch.random.get_rng_state(), state)
    off = (spectra.log_mel(wave) - wanted).abs().mean()
    other = (spectra.log_mel(samples.flip(0)) - wanted).abs().mean()
    assert off < 0.5 and off < other / 3
    assert [len(spectra.wave(wanted[:size])) for size in (1, 2, 5)] == [
        spectra.STEP,
        2 * spectra.STEP,
        5 * spectra.STEP,
    ]


def test_data_are_the_voices_units_with_their_mels(
    trained_on: Path, units: Path, data: Path, tmp_path: Path
) -> None:
    found = mel_data.Data.open(data)
    rows = {
        row["id"]: row
        for row in pq.read_table(units).to_pylist()
        if row["speaker"] == CONFIG["voice"]
    }
    speech = {row["id"]: row for row in pq.read_table(trained_on).to_pylist()}
    assert len(found) == len(rows) > 5
    for index in range(len(found)):
        taken, counts, mels = found.utterance(index, RATIO)
        (row,) = (r for r in rows.values() if r["units"] == taken.tolist())
        assert row["durations"] == counts.tolist()
        wave = audio.read_audio(speech[row["id"]], None, 16_000)[: HOP * counts.sum()]
        expected = spectra.log_mel(
            torch.from_numpy(wave[: len(wave) // spectra.STEP * spectra.STEP])
        ).numpy()
        np.testing.assert_allclose(mels[: len(expected) - RATIO], expected[:-RATIO], atol=0.01)
    few = prepare(tmp_path / "few", units, trained_on, hours=5 / 3600)
    assert 0 < len(few) < len(found)
    assert few.utterance(0, RATIO)[0].tolist() == found.utterance(0, RATIO)[0].tolist()
    with pytest.raises(ValueError, match=r"voice: x speaks in none .* there are s0, s1"):
        prepare(tmp_path / "none", units, trained_on, voice="x")
    other = speech_tables.write(tmp_path / "other.parquet", 3, seed=5)
    with pytest.raises(ValueError, match=r"u.parquet: u0-...: is not spoken in .*other"):
        prepare(tmp_path / "none", units, other)


def test_what_other_voices_say_is_learnt_at_their_pace(
    trained_on: Path, units: Path, tmp_path: Path
) -> None:
    rng, rows = np.random.default_rng(1), pq.read_table(trained_on).to_pylist()
    twins = []
    for row in rows:  # the same phones, of other lengths and another pitch
        wave, phones = speech_tables.speak([p["label"] for p in row["phones"]], 150.0, rng)
        sound = {"bytes": audio.encode_flac(wave, 16_000), "path": None}
        said = {"phones": phones, "duration": len(wave) / 16_000, "speaker": "twin"}
        twins.append({**row, **said, "audio": sound})
    twin = tmp_path / "twin.parquet"

    def write() -> None:
        table = pa.Table.from_pylist(twins, schema=speech_table.SCHEMA)
        files.write_table(table, twin, speech_table.SCHEMA)

    write()
    found = prepare(tmp_path / "d", units, twin, voice="twin", pace=[trained_on])
    assert len(found) == len(rows)
    lengths = {tuple(row["units"]): row["id"] for row in pq.read_table(units).to_pylist()}
    seconds = spectra.STEP / 16_000
    for index in range(4):
        taken, _, mels = found.utterance(index, RATIO)
        [at] = [i for i, row in enumerate(rows) if row["id"] == lengths[tuple(taken.tolist())]]
        wave = audio.read_audio(twins[at], None, 16_000)
        theirs = spectra.log_mel(
            torch.from_numpy(wave[: len(wave) // spectra.STEP * spectra.STEP])
        ).numpy()
        for ours, their in zip(rows[at]["phones"][:-1], twins[at]["phones"][:-1], strict=True):
            middles = [round((p["start"] + p["end"]) / 2 / seconds) for p in (ours, their)]
            if ours["label"] != "_":
                off = np.abs(mels[middles[0]] - theirs[middles[1]]).mean()
                assert off < 0.35, (ours, off)
    twins[0]["phones"][0]["label"] = "x"
    write()
    with pytest.raises(ValueError, match=r"its phones are not those of .*twin.parquet; give the"):
        prepare(tmp_path / "e", units, twin, voice="twin", pace=[trained_on])


def test_loss_does_not_depend_on_micro_batches(data: Path, targets: Path, tmp_path: Path) -> None:
    sums = []
    for size in (1, 2, 5):
        task = make(data, tmp_path, targets, micro_batch=size)
        task.model.eval()  # without dropout
        parts = [task.forward(task.model, part) for part in task.micro_batches(3)]
        sums.append([sum(float(part[name].detach()) for part in parts) for name in task.measures])
    np.testing.assert_allclose(sums, np.tile(sums[0], (3, 1)), rtol=1e-5)
    lengths = [task.data.lengths[part].sum() for part in task.micro_batches(3)]
    assert task.weight(3) == sum(lengths)


def test_loss_is_the_mean_over_frames(data: Path, targets: Path, tmp_path: Path) -> None:
    task = make(data, tmp_path, targets)
    task.model.eval()
    measured = task.forward(task.model, np.array([0, 1]))
    far = late = 0.0
    for index in (0, 1):
        taken, counts, mels = task.data.utterance(index, RATIO)
        frames, sizes = (torch.tensor([n]) for n in (int(counts.sum()), len(taken)))
        frame_units = torch.from_numpy(np.repeat(taken, counts))[None]
        made, lasting = task.model(frame_units, frames, torch.from_numpy(taken)[None], sizes)
        far += np.abs(made[0].detach().numpy() - mels).mean() * int(frames)
        late += ((lasting[0].detach().numpy() - np.log(counts + 1)) ** 2).sum()
    assert float(measured["mel"].detach()) == pytest.approx(far, rel=1e-5)
    assert float(measured["duration"].detach()) == pytest.approx(late, rel=1e-5)
    assert float(measured["loss"].detach()) == pytest.approx(far + late, rel=1e-5)


def test_training_learns_the_voice(
    trained: Path, units: Path, targets: Path, tmp_path: Path
) -> None:
    folder = trained / "model"
    log = pq.read_table(folder / "training.parquet").to_pylist()
    for name in ("mel", "duration"):
        assert np.mean([row[name] for row in log[-5:]]) < 0.7 * log[0][name]
    card = (folder / "card.md").read_text()
    assert "held-out utterances" in card and f"tokenisers/{targets.parent.name}/kmeans" in card
    assert not (trained / "state" / "data").exists()
    vocoder = vocoding.load(folder, targets)
    assert (vocoder.units, vocoder.config.hop, vocoder.config.voice) == (8, HOP, "s0")
    spoken, again = tmp_path / "s.parquet", tmp_path / "u.parquet"
    vocoding.vocode_table({}, folder, targets, [units], spoken, {**ONE, "micro_batch": 3})
    rows, table = (
        pq.read_table(spoken, schema=speech_table.SCHEMA).to_pylist(),
        pq.read_table(units),
    )
    assert [row["id"] for row in rows] == table["id"].to_pylist()
    assert {row["speaker"] for row in rows} == {"s0"}
    frames = [sum(counts) for counts in table["durations"].to_pylist()]
    assert [row["duration"] for row in rows] == [n * HOP / 16_000 for n in frames]
    units_stage.extract({"features": "mfcc"}, targets, None, spoken, again, ONE)
    original, found = (pq.read_table(p)["units"].to_pylist() for p in (units, again))
    pairs = [(np.array(a), np.array(b)) for a, b in zip(original, found, strict=True)]
    shifted = [(a, b) for (a, _), (_, b) in zip(pairs, [*pairs[1:], pairs[0]], strict=True)]
    assert error_rate.unit_error_rate(pairs) < 0.6 * error_rate.unit_error_rate(shifted)


def test_the_same_units_give_the_same_speech_in_any_batch(
    trained: Path, units: Path, targets: Path, tmp_path: Path
) -> None:
    made, few = [], tmp_path / "few.parquet"
    files.write_table(pq.read_table(units).slice(0, 8), few, units_table.SCHEMA)
    for size in (1, 8):
        path = tmp_path / f"{size}.parquet"
        machine = {**ONE, "micro_batch": size}
        config = {"durations": "predicted"}
        vocoding.vocode_table(config, trained / "model", targets, [few], path, machine)
        made.append(files.sha256(path))
    assert made[0] == made[1]


def test_continuations_are_spoken_whole(trained: Path, targets: Path, tmp_path: Path) -> None:
    rows = [
        {"id": "a", "speaker": "s1", "prompt": [1, 2, 3], "continuation": [3, 4, 4, 5]},
        {"id": "b", "speaker": "s1", "prompt": [7], "continuation": []},
    ]
    table = pa.Table.from_pylist(
        [{**row, "finished": True, "seed": 0} for row in rows], schema=continuations_table.SCHEMA
    )
    path, spoken = tmp_path / "c.parquet", tmp_path / "s.parquet"
    files.write_table(table, path, continuations_table.SCHEMA)
    vocoding.vocode_table({}, trained / "model", targets, [path], spoken, ONE)
    expected = vocoding.vocode(
        vocoding.load(trained / "model", targets), [np.array([1, 2, 3, 4, 5]), np.array([7])]
    )
    found = files.read_table(spoken, voices_table.SCHEMA).to_pylist()
    # the second is a prompt that nothing follows
    assert 0 < found[0]["prompt_end"] < found[0]["duration"]
    assert found[1]["prompt_end"] == pytest.approx(found[1]["duration"], abs=1e-9)
    for row, wave in zip(found, expected, strict=True):
        read = audio.read_audio(row, None, 16_000)
        np.testing.assert_allclose(read, np.clip(wave, -1, 1), atol=1e-4)
    assert [row["role"] for row in found] == ["document", "document"]


def test_an_utterance_without_units_is_silent_and_ends_nothing(
    trained: Path, targets: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    same = {"speaker": "s1", "continuation": [], "finished": True, "seed": 0}
    rows = [
        {"id": n, "prompt": said, **same} for n, said in zip("abc", ([], [3, 1], []), strict=True)
    ]
    path, spoken = tmp_path / "c.parquet", tmp_path / "s.parquet"
    schema = continuations_table.SCHEMA
    files.write_table(pa.Table.from_pylist(rows, schema=schema), path, schema)
    vocoding.vocode_table({}, trained / "model", targets, [path], spoken, ONE, "test")
    assert "test: 2 of 3 utterances have no units and are silent" in capfd.readouterr().err
    found = files.read_table(spoken, voices_table.SCHEMA).to_pylist()
    assert [row["id"] for row in found] == ["a", "b", "c"]
    for row, heard in zip(found, (False, True, False), strict=True):
        wave = audio.read_audio(row, None, 16_000)
        assert (bool(np.abs(wave).max() > 0), row["prompt_end"] > 0) == (heard, heard)
        assert heard or len(wave) == HOP


def test_the_units_of_another_codebook_are_spoken(
    trained: Path, units: Path, trained_on: Path, tmp_path: Path
) -> None:
    """With 12 centroids of the same features instead of the 8 that it was trained with."""
    from slamflow.tokeniser import kmeans

    config = {"features": "mfcc", "layer": 0, "frames": 1000, "seed": 2, "clusters": 12}
    codebook, few, spoken, again = (tmp_path / name for name in ("c", "few", "spoken", "again"))
    kmeans.fit(config, None, [trained_on], codebook, ONE)
    units_stage.extract({"features": "mfcc"}, codebook, None, trained_on, few, ONE)
    table = pq.read_table(few)
    assert max(max(row) for row in table["units"].to_pylist()) == 11
    files.write_table(table.slice(0, 10), few, units_table.SCHEMA)
    vocoding.vocode_table({}, trained / "model", codebook, [few], spoken, ONE)
    units_stage.extract({"features": "mfcc"}, codebook, None, spoken, again, ONE)
    original, found = (pq.read_table(p)["units"].to_pylist() for p in (few, again))
    pairs = [(np.array(a), np.array(b)) for a, b in zip(original, found, strict=True)]
    shifted = [(a, b) for (a, _), (_, b) in zip(pairs, [*pairs[1:], pairs[0]], strict=True)]
    assert error_rate.unit_error_rate(pairs) < 0.7 * error_rate.unit_error_rate(shifted)


def test_units_of_other_features(trained: Path, targets: Path, units: Path, tmp_path: Path) -> None:
    centroids, origin = codebook_file.read(targets)
    other = tmp_path / "c.safetensors"
    for change, said in (
        ({"layer": 3}, "layer 0, but those of .*c.safetensors are of layer 3"),
        ({"features": "hubert", "hubert": 64 * "a"}, "features mfcc, but .* of features hubert"),
    ):
        codebook_file.write(centroids, replace(origin, **change), other)
        with pytest.raises(ValueError, match=f"model: speaks units of {said}; give a vocoder of"):
            vocoding.load(trained / "model", other)
    with pytest.raises(ValueError, match="speaks the units of any codebook; give the codebook"):
        vocoding.load(trained / "model")
    table = pq.read_table(units).slice(0, 1).to_pylist()
    table[0]["units"][0] = 8
    strange = tmp_path / "u.parquet"
    files.write_table(
        pa.Table.from_pylist(table, schema=units_table.SCHEMA), strange, units_table.SCHEMA
    )
    with pytest.raises(
        ValueError, match=r"u.parquet: u0-000 has unit 8; the vocoder knows units 0 to 7"
    ):
        vocoding.vocode_table({}, trained / "model", targets, [strange], tmp_path / "s", ONE)
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_killed_and_resumed_training_ends_in_the_same_weights(
    trained: Path, units: Path, trained_on: Path, targets: Path, tmp_path: Path
) -> None:
    paths = {"units": units, "speech": trained_on, "codebook": targets}
    machine = {**ONE, "checkpoint_steps": 10}
    job = training_job.start("vocoder_job:train", tmp_path, machine, config=CONFIG, **paths)
    while job.poll() is None and not list((tmp_path / "state" / "checkpoints").glob("0*")):
        time.sleep(0.02)
    os.kill(job.pid, signal.SIGKILL)
    job.communicate()
    run(tmp_path, machine, units, trained_on, targets)
    done = re.findall(r"goes on after step (\d+) of 60", (tmp_path / "log.txt").read_text())
    assert 0 < int(done[0]) < 60
    weights = [files.sha256(f / "model" / "model.safetensors") for f in (trained, tmp_path)]
    assert weights[0] == weights[1]
