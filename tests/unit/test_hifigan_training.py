"""The training of a Code-HiFi-GAN: what it hears, its losses, and the vocoder that it makes."""

import copy
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
import torchaudio
import training_job
from torch.nn import functional

from slamflow import audio, files, provenance
from slamflow.config.fields import settings_of
from slamflow.config.schema_vocoders import HifiganVocoder
from slamflow.tables import training as training_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import units as units_stage
from slamflow.training.rank import Place
from slamflow.vocoder import discriminators, hifigan, hifigan_data, hifigan_task, vocoding

ROOT = Path(__file__).parents[2]
HOP, CLUSTERS, FRAMES = 640, 8, 7
ONE = {"threads": 1, "device": "cpu"}
WRITTEN: dict[str, Any] = {  # as in a recipe
    "kind": "hifigan",
    "tokeniser": "t",
    "corpora": ["c"],
    "voice": "s0",
    "held_out": 0.1,
    "architecture": {
        "channels": 64,
        "embedding": 16,
        "upsample_rates": [5, 4, 4, 2, 2, 2],
        "kernels": [3, 5],
        "dilations": [1],
        "discriminator_channels": 4,
    },
    "training": {
        "budget": {"steps": 16},
        "batch_seconds": 0.56,
        "segment_seconds": 0.28,
        "learning_rate": 4.0e-3,
        "seed": 1,
    },
}
CONFIG = settings_of(HifiganVocoder.model_validate(WRITTEN))  # the block that the stage gets


@pytest.fixture(scope="module")
def units(trained_on: Path, targets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units of the speech that vocoders are trained on."""
    path = tmp_path_factory.mktemp("units") / "u.parquet"
    units_stage.extract({"features": "mfcc"}, targets, None, trained_on, path, ONE)
    return path


def prepare(folder: Path, units: Path, speech: Path, **changes: Any) -> Path:
    config = {**CONFIG, "seed": 1, **changes}
    hifigan_data.prepare(folder, config, [units], [speech], CLUSTERS, HOP, "a", ONE, "test")
    return folder


@pytest.fixture(scope="module")
def data(trained_on: Path, units: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("data") / "d", units, trained_on)


@pytest.fixture(scope="module")
def many(trained_on: Path, units: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("data") / "d", units, trained_on, voices="many")


def make(
    data: Path, machine: dict[str, Any] | None = None, tokeniser: str = "t", **changes: Any
) -> Any:
    place = Place(0, 1, "cpu", None, machine or {}, "test")
    config = {**CONFIG, **changes}
    return hifigan_task.UnitsToWaves(config, CLUSTERS, HOP, tokeniser, data, data / "none", place)


@pytest.fixture(scope="module")
def trained(
    trained_on: Path, units: Path, targets: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a job that trained a vocoder."""
    folder = tmp_path_factory.mktemp("job")
    paths = {"units": units, "speech": trained_on, "codebook": targets}
    training_job.run("vocoder_job:train", folder, ONE, config=CONFIG, **paths)
    return folder


def test_segments_are_the_speech_of_their_units(trained_on: Path, units: Path, data: Path) -> None:
    found = hifigan_data.Data.open(data)
    rows = {
        tuple(row["units"]): row
        for row in pq.read_table(units).to_pylist()
        if row["speaker"] == CONFIG["voice"]
    }
    speech = {row["id"]: row for row in pq.read_table(trained_on).to_pylist()}
    assert len(found) == len(rows) > 5
    for index in range(len(found)):
        row = rows[tuple(found.said(index)[0])]
        wave = audio.read_audio(speech[row["id"]], None, 16_000)
        whole = np.repeat(row["units"], row["durations"])
        first = len(whole) // 3
        said, samples = found.segment(index, first, 5)
        assert said.tolist() == whole[first : first + 5].tolist()
        expected = wave[first * HOP : (first + 5) * HOP] * 0.95 / np.abs(wave).max()
        np.testing.assert_allclose(samples, expected, atol=1e-4)


def test_segments_lie_in_their_utterances_and_are_drawn_by_step(data: Path) -> None:
    task = make(data)
    steps = [task.micro_batches(step) for step in range(40)]
    assert steps[3] == make(data).micro_batches(3) != steps[4]
    drawn = [segment for step in steps for part in step for segment in part]
    assert len(drawn) == 80
    lengths = task.data.lengths
    assert all(0 <= first <= lengths[index] - FRAMES for index, first in drawn)
    heard = np.bincount([index for index, _ in drawn], minlength=task.utterances)
    assert len(heard) == task.utterances  # none that is held out
    longest, shortest = np.argsort(lengths[: task.utterances])[[-1, 0]]
    assert heard[longest] > heard[shortest]
    cut = make(data, {"micro_batch": 1}).micro_batches(3)
    assert [segment for part in cut for segment in part] == [s for part in steps[3] for s in part]


def test_a_period_sees_every_nth_sample_by_itself() -> None:
    torch.manual_seed(0)
    period = discriminators.Period(5, 4)
    wave = torch.randn(1, 1000, requires_grad=True)
    score, features = period(wave)
    hidden = wave[0].reshape(200, 5).T[:, None]
    for number, layer in enumerate([*period.layers, period.last]):
        hidden = functional.conv1d(
            hidden,
            layer.weight[..., 0],
            layer.bias,
            stride=3 if number < 4 else 1,
            padding=2 if number < 5 else 1,
        )
        if number < 5:
            hidden = functional.leaky_relu(hidden, 0.1)
        torch.testing.assert_close(features[number][0].permute(2, 0, 1), hidden)
    torch.testing.assert_close(score[0].reshape(-1, 5).T, hidden[:, 0])


def test_discriminators_have_the_published_sizes() -> None:
    with torch.device("meta"):
        found = discriminators.Discriminators()
    period = [(1, 32, 5), (32, 128, 5), (128, 512, 5), (512, 1024, 5), (1024, 1024, 5)]
    scale = [(1, 128, 15), (32, 128, 41), (8, 256, 41), (16, 512, 41), (32, 1024, 41)]
    scale += [(64, 1024, 41), (1024, 1024, 5), (1024, 1, 3)]  # channels before, of a group
    for part, sizes in ((found.periods[0], [*period, (1024, 1, 3)]), (found.scales[0], scale)):
        weights = [p for name, p in part.state_dict().items() if "original" in name]
        counted = sum(w.numel() for w in weights if w.ndim > 2 and w[0].numel() > 1)
        assert counted == sum(before * after * kernel for before, after, kernel in sizes)
    long = torch.empty(1, 8960, device="meta")
    assert [len(each.features) for each in found(long)] == [6] * 5 + [8] * 3


def test_each_part_gets_the_gradients_of_its_own_loss_only(data: Path) -> None:
    task = make(data)
    task.model.generator.dur_predictor.dropout = 0.0
    inputs = task._inputs(task.micro_batches(0)[0])
    together, apart = task.model, copy.deepcopy(task.model)
    together(*inputs)["loss"].backward()

    frames, waves, units, counts, sizes, _ = inputs
    lengths = torch.full((2,), FRAMES)
    made = apart.generator(frames, lengths)
    judged = apart.discriminators(torch.cat([waves, made.detach()]))
    loss = sum(
        (1 - each.score[:2]).square().mean() + each.score[2:].square().mean() for each in judged
    )
    own = list(apart.discriminators.parameters())
    expected = dict(zip(own, torch.autograd.grad(loss, own), strict=True))

    again = apart.discriminators(made)
    loss = sum((1 - each.score).square().mean() for each in again)
    for real, here in zip(judged, again, strict=True):
        for known, found in zip(real.features, here.features, strict=True):
            loss = loss + 2 * (known[:2].detach() - found).abs().mean()
    mel = torchaudio.transforms.MelSpectrogram(
        *(16_000, 1024, 1024, 256), n_mels=80, power=1.0, norm="slaney", mel_scale="slaney"
    )
    logs = [mel(each).clamp(min=1e-5).log() for each in (made, waves)]
    loss = loss + 45 * (logs[0] - logs[1]).abs().mean()
    for index, size in enumerate(sizes):
        lasting = apart.generator.lasting(units[index : index + 1, :size], size[None])[0]
        wanted = (counts[index, :size] + 1).float().log()
        loss = loss + (lasting - wanted).square().mean() / 2
    own = list(apart.generator.parameters())
    expected |= dict(zip(own, torch.autograd.grad(loss, own), strict=True))

    for (name, parameter), twin in zip(
        together.named_parameters(), apart.parameters(), strict=True
    ):
        assert parameter.grad is not None and expected[twin].abs().max() > 0, name
        torch.testing.assert_close(parameter.grad, expected[twin], rtol=1e-3, atol=1e-6)


def test_losses_do_not_depend_on_micro_batches(data: Path) -> None:
    sums = []
    for size in (1, 2):
        task = make(data, {"micro_batch": size})
        task.model.eval()  # without dropout, and without steps towards the spectral norms
        parts = [task.forward(task.model, part) for part in task.micro_batches(3)]
        sums.append([sum(float(part[name].detach()) for part in parts) for name in task.measures])
    np.testing.assert_allclose(sums[0], sums[1], rtol=1e-4)
    assert task.weight(3) == task.step_tokens == 2 * FRAMES


def test_training_learns_to_speak(trained: Path, units: Path, data: Path) -> None:
    folder = trained / "model"
    log = pq.read_table(folder / "training.parquet").to_pylist()
    for name in ("mel", "duration"):
        assert np.mean([row[name] for row in log[-5:]]) < 0.7 * log[0][name]
    assert {each["name"] for each in log[-1]["validation"]} == {"mel", "duration"}
    assert "held-out utterances" in (folder / "card.md").read_text()
    assert not (trained / "state" / "data").exists()
    vocoder = vocoding.load(folder)
    assert isinstance(vocoder, hifigan.CodeHifigan)
    assert (vocoder.config.units, vocoder.config.hop, vocoder.config.voice) == (8, HOP, "s0")
    task, known = make(data), hifigan_data.Data.open(data)
    said, wave = known.segment(0, 0, FRAMES)
    (made,) = vocoding.vocode(vocoder, [said], [np.ones(FRAMES, dtype=np.int64)])
    spoken, expected, flat = (
        task.model.mels(torch.from_numpy(each)[None]) for each in (made, wave, np.zeros_like(wave))
    )
    assert (spoken - expected).abs().mean() < 0.6 * (flat - expected).abs().mean()


def test_a_vocoder_of_many_voices_speaks_in_each(
    many: Path, units: Path, targets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make(many, tokeniser=files.sha256(targets), voices="many", voice=None)
    assert task.names == ["s0", "s1"]
    heard = {int(task._inputs([(index, 0)])[5]) for index in range(task.utterances)}
    assert heard == {0, 1}
    task.folder = folder = tmp_path / "results" / "vocoders" / "v"
    task.export(task.model.eval(), training_table.schema(task.measures).empty_table())
    vocoder = vocoding.load(folder)
    assert (vocoder.config.voices, vocoder.config.voice) == (["s0", "s1"], "s0")
    frames, lengths = torch.tensor([[1, 2, 3, 4], [1, 2, 3, 4]]), torch.tensor([4, 4])
    with torch.inference_mode():
        first, second = vocoder(frames, lengths, torch.tensor([0, 1]))
        default = vocoder(frames, lengths)
        torch.testing.assert_close(default[1], first)
        other, _ = vocoder(frames + 1, lengths, torch.tensor([0, 1]))
        assert (first - second).abs().max() > 0.1 * (first - other).abs().max() > 0
        lasting = vocoder.lasting(frames, lengths, torch.tensor([0, 1]))
        assert not torch.allclose(*lasting)
        trained = task.model.generator(frames, lengths, torch.tensor([0, 1]))
    torch.testing.assert_close(trained, torch.stack([first, second]), rtol=1e-4, atol=1e-6)
    said, counts = [np.array([1, 2, 3, 4])] * 3, [np.ones(4, dtype=np.int64)] * 3
    waves = vocoding.vocode(vocoder, said, counts, speakers=["s1", "s0", "x"])
    for wave, expected in zip(waves, (second, first, first), strict=True):
        np.testing.assert_allclose(wave, expected, atol=1e-6)
    few, spoken = tmp_path / "u.parquet", tmp_path / "s.parquet"
    files.write_table(pq.read_table(units).slice(0, 4), few, units_table.SCHEMA)
    vocoding.vocode_table({}, folder, targets, [few], spoken, ONE)
    speakers = pq.read_table(few)["speaker"].to_pylist()
    assert pq.read_table(spoken)["speaker"].to_pylist() == speakers and len(set(speakers)) == 2
    monkeypatch.chdir(tmp_path)
    [code] = re.findall(r"```python\n(.*?)```", (folder / "card.md").read_text(), re.DOTALL)
    exec(code, {})
    assert soundfile.info("speech.wav").duration >= 3 * HOP / 16_000


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("architecture", {"channels": 96}, "channels 96 cannot be halved 6 times"),
        ("architecture", {"kernels": [3, 4]}, "kernels: 4 is even; each must be odd"),
        ("architecture", {"discriminator_channels": 6}, "multiple of 4"),
        ("training", {"clip": 0.5}, "clip"),
    ],
)
def test_recipes_that_are_impossible(part: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HifiganVocoder.model_validate({**WRITTEN, part: {**WRITTEN[part], **changes}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"upsample_rates": [5, 4, 4, 2, 2]}, "upsample_rates: multiply to 320, but .* have 640"),
        ({"channels": 96}, "channels: 96 cannot be halved 6 times"),
    ],
)
def test_architectures_that_do_not_fit(
    changes: dict[str, Any], message: str, units: Path, trained_on: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        shape = {**CONFIG["architecture"], **changes}
        prepare(tmp_path / "d", units, trained_on, architecture=shape)
    assert not (tmp_path / "d").exists()


def test_the_code_of_one_kind_is_not_in_the_digest_of_another() -> None:
    script = ROOT / "workflow_scripts" / "train_vocoder.py"
    mel, ours = (
        {
            name.removeprefix("slamflow.vocoder.")
            for name in provenance.reached_code(script, [f"slamflow.vocoder.{kind}_task"], ROOT)
        }
        for kind in ("mel", "hifigan")
    )
    assert {"hifigan", "hifigan_data", "adversarial", "discriminators"} <= ours - mel
    assert {"mel", "mel_data"} <= mel - ours


def test_trainings_that_are_impossible(data: Path, many: Path) -> None:
    for changes, message in (
        ({"segment_seconds": 60}, "segment_seconds: no utterance to train on lasts 60 s"),
        ({"clip": 1.0}, "clip: is not for adversarial training"),
    ):
        with pytest.raises(ValueError, match=message):
            make(data, training={**CONFIG["training"], **changes})
    with pytest.raises(ValueError, match="voice: x is none of those that speak: s0, s1"):
        make(many, voices="many", voice="x")


@pytest.mark.slow
def test_killed_and_resumed_training_ends_in_the_same_weights(
    trained: Path, units: Path, trained_on: Path, targets: Path, tmp_path: Path
) -> None:
    paths = {"units": units, "speech": trained_on, "codebook": targets}
    machine = {**ONE, "checkpoint_steps": 5}
    job = training_job.start("vocoder_job:train", tmp_path, machine, config=CONFIG, **paths)
    while job.poll() is None and not list((tmp_path / "state" / "checkpoints").glob("0*")):
        time.sleep(0.02)
    os.kill(job.pid, signal.SIGKILL)
    job.communicate()
    training_job.run("vocoder_job:train", tmp_path, machine, config=CONFIG, **paths)
    done = re.findall(r"goes on after step (\d+) of 16", (tmp_path / "log.txt").read_text())
    assert 0 < int(done[0]) < 16
    weights = [files.sha256(f / "model" / "model.safetensors") for f in (trained, tmp_path)]
    assert weights[0] == weights[1]
