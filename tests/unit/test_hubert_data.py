"""The data of HuBERT's training: waves, and units of a tokeniser as targets."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hubert_trainings import HOP, ONE, RECEPTIVE, fit, prepare
from small_huberts import save

from slamflow import files
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import features, hubert_data, kmeans, tokenising, units, utterances


def test_stream_holds_each_wave_and_its_targets(trained_on: Path, prepared: Path) -> None:
    stream = hubert_data.Stream.open(prepared)
    rows = files.read_table(trained_on, speech_table.SCHEMA).to_pylist()
    frames = [math.ceil(round(row["duration"] * features.SAMPLING_RATE) / HOP) for row in rows]
    assert len(stream.targets) == sum(frames)
    first = frames[0]
    wave, targets = stream.crop(first, 5)  # the second utterance's beginning
    assert wave.shape == (4 * HOP + RECEPTIVE,) and targets.shape == (5,)
    assert np.abs(wave).max() > 0
    _, whole = list(utterances.read(trained_on, features.SAMPLING_RATE, None))[1]
    np.testing.assert_allclose(wave, whole[: len(wave)], atol=1 / 32768)
    assert stream.targets[stream.targets != hubert_data.NONE].max() == 7
    last, _ = stream.crop(sum(frames) - 1, 1)
    assert len(last) == RECEPTIVE


def test_targets_are_the_units_of_the_tokeniser(trained_on: Path, tmp_path: Path) -> None:
    convolutions = {"conv_kernel": (40, 8, 4), "conv_stride": (20, 8, 4)}  # as CONFIG's
    weights = save(tmp_path, **convolutions)
    codebook = fit(trained_on, tmp_path, weights, layer=2)
    stream = prepare(tmp_path / "d", trained_on, codebook, hubert=weights)
    units.extract({}, codebook, weights, trained_on, tmp_path / "u.parquet", ONE)
    first = 0
    for row in files.read_table(tmp_path / "u.parquet", units_table.SCHEMA).to_pylist():
        wanted = np.repeat(row["units"], row["durations"]).tolist()
        samples = round(row["duration"] * features.SAMPLING_RATE)
        frames = math.ceil(samples / HOP)
        found = stream.targets[first : first + frames].tolist()
        assert found == wanted + [hubert_data.NONE] * (frames - len(wanted))
        assert 0 <= frames - len(wanted) <= 2
        first += frames
    assert first == len(stream.targets)


def test_targets_of_mfcc_are_those_of_the_middle_of_each_frame(
    trained_on: Path, targets: Path, prepared: Path
) -> None:
    stream, first = hubert_data.Stream.open(prepared), 0
    _, centroids = tokenising.open_tokeniser(targets, None, ONE)
    for _, wave in utterances.read(trained_on, features.SAMPLING_RATE, None):
        frames = (len(wave) - RECEPTIVE) // HOP + 1
        mfcc = features.mfcc(torch.from_numpy(wave), frames, RECEPTIVE // 2, HOP)
        wanted = kmeans.assign(mfcc, centroids).tolist()
        assert stream.targets[first : first + frames].tolist() == wanted
        first += math.ceil(len(wave) / HOP)


def test_targets_of_another_frame_rate_are_refused(trained_on: Path, tmp_path: Path) -> None:
    weights = save(tmp_path, conv_stride=(20, 8, 2))
    codebook = fit(trained_on, tmp_path, weights, layer=1)
    with pytest.raises(ValueError, match=r"gives 50 units a second, but .* makes 25 frames"):
        prepare(tmp_path / "d", trained_on, codebook, hubert=weights)


def test_targets_are_prepared_once_and_anew_for_another_identity(
    trained_on: Path, targets: Path, tmp_path: Path
) -> None:
    prepare(tmp_path / "d", trained_on, targets)
    before = (tmp_path / "d" / hubert_data.TARGETS).stat().st_mtime_ns
    prepare(tmp_path / "d", trained_on, targets)
    assert (tmp_path / "d" / hubert_data.TARGETS).stat().st_mtime_ns == before
    prepare(tmp_path / "d", trained_on, targets, "b")
    assert (tmp_path / "d" / hubert_data.TARGETS).stat().st_mtime_ns > before
