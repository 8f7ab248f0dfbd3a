"""Kokoro, through its package: without it one clear line, with it the same audio in any order."""

import importlib.util
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_speaking import by_id, table

from slamflow.synthesis import speaking, voices

TEXTS = ["Hello little dog.", "The end. He was there!", "😀", "Mr. Zxq paid $5."]
SYMBOLS = (
    ';:,.!?—…"()“” AIOQSTWYabcdefhijklmnopqrstuvwxyzɑɐɒæβɔɕçɖðʤəɚɛɜɟɡɥɨɪʝɯŋɳɲɴøɸθœɹɾɻʁɽʂʃʈʧʊʋʌɣ'
    "χʎʒʔˈˌːʰᵊᵻ"
)


def installed() -> bool:
    return all(importlib.util.find_spec(name) for name in ("kokoro", "spacy", "en_core_web_sm"))


def config(model: str | Path, **changes: Any) -> dict[str, Any]:
    synthesiser = {
        "engine": "kokoro",
        "model": str(model),
        "revision": None,
        "voices": ["af_heart", "bm_george"],
        "speed": 5.0,
    }
    return {
        "speech": {"seed": 1, "renditions": 1, "shards": 1, "sampling_rate": 16000},
        "synthesiser": synthesiser | changes,
    }


@pytest.mark.skipif(installed(), reason="kokoro is installed")
def test_without_the_package_one_line_says_how_to_get_it() -> None:
    with pytest.raises(ValueError, match=r"pip install 'slamflow\[kokoro\]'|spacy download"):
        speaking.speak(table(TEXTS), config("hexgrad/Kokoro-82M"), 0, {"device": "cpu"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, small where the package allows it, in the layout of hexgrad/Kokoro-82M."""
    if not installed():
        pytest.skip("kokoro is not installed")
    import kokoro

    path = tmp_path_factory.mktemp("kokoro")
    istftnet = {
        "upsample_kernel_sizes": [20, 12],
        "upsample_rates": [10, 6],
        "gen_istft_hop_size": 5,
        "gen_istft_n_fft": 20,
        "resblock_dilation_sizes": [[1, 3, 5]] * 2,
        "resblock_kernel_sizes": [3, 7],
        "upsample_initial_channel": 512,
    }
    plbert = {
        "hidden_size": 96,
        "num_attention_heads": 2,
        "intermediate_size": 128,
        "max_position_embeddings": 512,
        "num_hidden_layers": 2,
    }
    shape = {
        "istftnet": istftnet,
        "plbert": plbert,
        "vocab": {symbol: index for index, symbol in enumerate(SYMBOLS, 1)},
        "n_token": 178,
        "hidden_dim": 512,
        "style_dim": 128,
        "n_layer": 3,
        "n_mels": 80,
        "max_dur": 50,
        "dropout": 0.2,
        "text_encoder_kernel_size": 5,
    }
    (path / "config.json").write_text(json.dumps(shape))
    torch.save({}, path / "empty.pt")
    torch.manual_seed(0)
    model = kokoro.KModel("none", config=shape, model=str(path / "empty.pt"))
    weights = {name: part.state_dict() for name, part in model.named_children()}
    torch.save(weights, path / "kokoro-v1_0.pth")
    (path / "voices").mkdir()
    for voice in ("af_heart", "bm_george"):
        torch.save(0.1 * torch.randn(510, 1, 256), path / "voices" / f"{voice}.pt")
    return path


def test_same_audio_in_any_order(folder: Path) -> None:
    text = table(TEXTS)
    spoken, rejected = speaking.speak(text, config(folder), 0, {"device": "cpu"})
    assert rejected["reason"].to_pylist() == [voices.NOTHING]
    torch.manual_seed(5)  # of which nothing may depend
    again, _ = speaking.speak(text.take([3, 2, 1, 0]), config(folder), 0, {"device": "cpu"})
    assert by_id(again) == by_id(spoken)
    for row in spoken.to_pylist():
        assert row["speaker"] in ("af_heart", "bm_george") and row["phones"] is None
        assert all(0 <= word["start"] < word["end"] <= row["duration"] for word in row["words"])
    labels = [word["label"] for word in by_id(spoken)["t1-r0"]["words"]]
    assert labels == ["The", "end", "He", "was", "there"]


def test_a_sentence_of_many_words(folder: Path) -> None:
    long = " ".join(["a", "dog", "sat", "in", "it"] * 200)
    spoken, _ = speaking.speak(table([long]), config(folder, speed=50.0), 0, {"device": "cpu"})
    assert len(spoken["words"].to_pylist()[0]) > 900
    assert np.isfinite(spoken["duration"].to_numpy()).all()


def test_weights_of_a_download(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "kokoro").symlink_to(folder)
    machine = {"device": "cpu", "data_root": str(tmp_path)}
    spoken, _ = speaking.speak(table(TEXTS[:1]), config("downloads/kokoro"), 0, machine)
    wanted, _ = speaking.speak(table(TEXTS[:1]), config(folder), 0, machine)
    assert spoken.num_rows == 1 and spoken.equals(wanted)


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def test_nothing_is_unpickled(folder: Path, tmp_path: Path) -> None:
    mark, voice = tmp_path / "mark", folder / "voices" / "af_evil.pt"
    voice.write_bytes(pickle.dumps(Evil(mark)))
    with pytest.raises(ValueError, match=r"af_evil\.pt: cannot be read as Kokoro's voice"):
        speaking.speak(table(TEXTS), config(folder, voices=["af_evil"]), 0, {"device": "cpu"})
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    torch.save({"bert": Evil(mark)}, tmp_path / "kokoro-v1_0.pth")
    (tmp_path / "voices").symlink_to(folder / "voices")
    with pytest.raises(ValueError, match="cannot be opened as a Kokoro"):
        speaking.speak(table(TEXTS), config(tmp_path), 0, {"device": "cpu"})
    assert not mark.exists()


def test_weights_of_another_model_are_an_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    (tmp_path / "voices").symlink_to(folder / "voices")
    weights = torch.load(folder / "kokoro-v1_0.pth", weights_only=True)
    del weights["decoder"]
    torch.save(weights, tmp_path / "kokoro-v1_0.pth")
    with pytest.raises(ValueError, match=r"kokoro-v1_0\.pth: lacks decoder"):
        speaking.speak(table(TEXTS), config(tmp_path), 0, {"device": "cpu"})


@pytest.mark.parametrize(
    ("voice", "said"),
    [("zf_xiaobei", "does not begin with a or b"), ("af_none", "no such voice of Kokoro")],
)
def test_unknown_voices_are_errors(folder: Path, voice: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        speaking.speak(table(TEXTS), config(folder, voices=[voice]), 0, {"device": "cpu"})
