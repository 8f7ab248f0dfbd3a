"""Released Code-HiFi-GANs speak as they are described to, and what is none is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_vocoders
import torch
from small_vocoders import SETTINGS

from slamflow.vocoder import hifigan, released, vocoding, voices

UNITS = [[3, 1, 4, 1, 5, 9, 2, 6], [19], [0, 7, 0, 7, 11, 12, 13, 14, 15, 16, 17, 18, 19]]


@pytest.fixture(scope="module")
def vocoder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("vocoder")
    weights, settings = small_vocoders.write(folder / "released")
    released.convert({"voice": "lj"}, weights, settings, folder / "converted")
    return vocoding.load(folder / "converted")


def arrays(lists: list[list[int]]) -> list[np.ndarray]:
    return [np.array(each) for each in lists]


def test_speaks_as_the_plain_formulas_do(vocoder: Any) -> None:
    counts = [[1, 2, 1, 3, 1, 1, 4, 1], [2], [1] * 13]
    found = vocoding.vocode(vocoder, arrays(UNITS), arrays(counts))
    plain = small_vocoders.weights()
    for wave, units, count in zip(found, UNITS, counts, strict=True):
        expected = small_vocoders.speak(plain, units, count)
        assert wave.dtype == np.float32 and len(wave) == 640 * sum(count)
        assert expected.std() > 0.01  # it is no silence
        np.testing.assert_allclose(wave, expected, atol=1e-4)


def test_durations_are_those_of_the_predictor(vocoder: Any) -> None:
    expected = [small_vocoders.last(small_vocoders.weights(), units) for units in UNITS]
    assert len({count for counts in expected for count in counts}) > 2
    predicted = vocoding.vocode(vocoder, arrays(UNITS))
    given = vocoding.vocode(vocoder, arrays(UNITS), arrays(expected))
    assert [len(wave) for wave in predicted] == [640 * sum(counts) for counts in expected]
    assert all(np.array_equal(*pair) for pair in zip(predicted, given, strict=True))


def test_in_whose_voice_it_speaks() -> None:
    """No speaker lends a name to a voice that is not theirs."""
    for settings, speaker, expected in (
        ({"voice": "lj"}, "s1", "lj"),
        ({"voice": None}, "s1", None),
        ({"voice": "s0", "voices": ["s0", "s1"]}, "s1", "s1"),
        ({"voice": "s0", "voices": ["s0", "s1"]}, "x", "s0"),
    ):
        assert voices.spoken(hifigan.HifiganConfig(**settings), speaker) == expected


def test_what_else_is_in_the_batch_changes_nothing(vocoder: Any) -> None:
    units = arrays([*UNITS, *([[5, 6] * 9] * 5)])
    together = vocoding.vocode(vocoder, units)
    for wave, each in zip(together, units, strict=True):
        (alone,) = vocoding.vocode(vocoder, [each])
        np.testing.assert_allclose(wave, alone, atol=1e-5)


@pytest.mark.parametrize(
    ("units", "said"), [([3, 20], "has unit 20"), ([-1], "has unit -1"), ([], "has no units")]
)
def test_unknown_units(vocoder: Any, units: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=f"utterance 1 {said}; the vocoder knows units 0 to 19"):
        vocoding.vocode(vocoder, arrays([[1, 2], units]))


def test_the_release_for_25_hz_units_of_lj(tmp_path: Path) -> None:
    """Its sizes: 500 units, embeddings of 128, 512 channels at first."""
    shape = {**SETTINGS["dur_predictor_params"], "encoder_embed_dim": 128}
    settings = SETTINGS | {"num_embeddings": 500, "embedding_dim": 128, "model_in_dim": 128}
    settings |= {"upsample_initial_channel": 512, "dur_predictor_params": shape}
    released.convert({"voice": "lj"}, *small_vocoders.write(tmp_path, settings), tmp_path / "v")
    config = json.loads((tmp_path / "v" / "config.json").read_text())
    assert (config["units"], config["hop"], config["voice"]) == (500, 640, "lj")
    (wave,) = vocoding.vocode(vocoding.load(tmp_path / "v"), [np.array([499])], [np.array([1])])
    assert len(wave) == 640


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"f0": True}, "f0: vocoders that need more than units are not read"),
        ({"multispkr": "_"}, "multispkr: vocoders that need more than units"),
        ({"upsample_kernel_sizes": [11, 8, 8, 4, 4, 3]}, "sizes do not fit each other"),
        ({"upsample_rates": [5, 4, 4, 2, 2]}, "sizes do not fit each other"),
        ({"num_embeddings": "20"}, "sizes do not fit each other"),
        ({"num_embeddings": 1 << 40}, "sizes do not fit each other"),
        ({"dur_predictor_params": None}, "is no config of a Code-HiFi-GAN"),
        ({"num_embeddings": 21}, "dict.weight is 20×12, but .* asks for 21×12; give the two"),
        ({"resblock_kernel_sizes": [3, 7, 9]}, r"convs1.0.weight is 4×4×11, but .* 4×4×9"),
    ],
)
def test_settings_that_do_not_fit(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    weights, settings = small_vocoders.write(tmp_path)
    settings.write_text(json.dumps(SETTINGS | change))
    with pytest.raises(ValueError, match=message):
        released.convert({"voice": "lj"}, weights, settings, tmp_path / "v")
    assert not (tmp_path / "v" / "model.safetensors").exists()


def test_weights_that_are_none(tmp_path: Path) -> None:
    weights, settings = small_vocoders.write(tmp_path)
    found = small_vocoders.weights()
    lost = found.pop("conv_post.bias")
    for content, message in (
        ({"generator": found}, "conv_post.bias is missing"),
        (
            {"generator": found | {"conv_post.bias": lost * torch.nan}},
            "conv_post.bias is not finit",
        ),
        ({"model": found}, "has no weights of a `generator`"),
    ):
        torch.save(content, weights)
        with pytest.raises(ValueError, match=message):
            released.convert({"voice": "lj"}, weights, settings, tmp_path / "v")


def test_a_folder_without_a_vocoder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}')
    with pytest.raises(ValueError, match="holds no vocoder"):
        vocoding.load(tmp_path)
