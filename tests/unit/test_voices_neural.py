"""VITS and FastSpeech 2: the same audio in any batch, that of transformers' own models."""

import importlib.util
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
import small_voices
import torch
from safetensors.torch import load_file, save_file
from test_speaking import by_id, table
from transformers import FastSpeech2ConformerWithHifiGan, VitsModel, VitsTokenizer

from slamflow import audio
from slamflow.synthesis import batching, fastspeech2, speaking, vits, voices
from slamflow.synthesis.espeak import Espeak
from slamflow.synthesis.spelling import Speller

TEXTS = [
    "Tom and his dog sat in the park. They were happy!",
    "Where is my ball? asked Lily.",
    "The cat ran.",
    "The dog sat.",
    "All of us will help the wolf, and then, one day, she went home.",
    "The cow ate.",
    "The end.",
]
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]
Synthesisers = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def synthesisers(tmp_path_factory: pytest.TempPathFactory) -> Synthesisers:
    folder = tmp_path_factory.mktemp("voices")
    spoken: dict[str, Any] = {"revision": None, "speakers": None, "speaking_rate": 1.0}
    of_vits = spoken | {"engine": "vits", "noise_scale": 0.667, "noise_scale_duration": 0.8}
    of_fastspeech2 = spoken | {"engine": "fastspeech2"}
    several = {"num_speakers": 4, "speaker_embedding_size": 8}
    plain = {"use_stochastic_duration_prediction": False, "duration_predictor_filter_channels": 8}
    return {
        "vits": of_vits | {"model": str(small_voices.vits(folder / "vits"))},
        "vits of four": of_vits
        | {"model": str(small_voices.vits(folder / "vits4", **several)), "speakers": [0, 2, 3]},
        "vits without noisy durations": of_vits
        | {"model": str(small_voices.vits(folder / "vits-plain", **plain))},
        "fastspeech2": of_fastspeech2
        | {"model": str(small_voices.fastspeech2(folder / "fastspeech2"))},
        "fastspeech2 of three": of_fastspeech2
        | {
            "model": str(small_voices.fastspeech2(folder / "fastspeech2-3", num_speakers=3)),
            "speakers": [0, 1, 2],
            "speaking_rate": 0.8,
        },
    }


def config(synthesiser: dict[str, Any], **speech: Any) -> dict[str, Any]:
    settings = {"seed": 1, "renditions": 2, "shards": 1, "sampling_rate": 16000} | speech
    return {"speech": settings, "synthesiser": synthesiser}


def _engine(synthesiser: dict[str, Any]) -> Any:
    return {"vits": vits, "fastspeech2": fastspeech2}[synthesiser["engine"]]


def request(text: str, voice: str = "x", seed: str = "1/0/t0") -> voices.Request:
    return voices.Request(text, "", voice, None, None, seed)


def difference(one: pa.Table, other: pa.Table) -> float:
    """The largest difference of two samples, as a share of the peak; all else must be equal."""
    rows, others = by_id(one), by_id(other)
    assert rows.keys() == others.keys()
    worst = 0.0
    for identity, row in rows.items():
        samples, again = (audio.read_audio(r, None, 16000) for r in (row, others[identity]))
        assert samples.shape == again.shape
        worst = max(worst, float(np.abs(samples - again).max() / np.abs(samples).max()))
        assert row | {"audio": None} == others[identity] | {"audio": None}
    return worst


NAMES = ["vits", "vits of four", "vits without noisy durations"]
NAMES += ["fastspeech2", "fastspeech2 of three"]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_same_audio_in_any_batch_and_order(
    synthesisers: Synthesisers, name: str, device: str
) -> None:
    synthesiser, text = synthesisers[name], table(TEXTS)
    machine = {"device": device, "workers": 2}
    together, rejected = speaking.speak(text, config(synthesiser), 0, machine)
    assert not rejected.num_rows
    assert together["id"].to_pylist() == [f"t{i}-r{k}" for i in range(len(TEXTS)) for k in (0, 1)]
    backwards = text.take(list(range(len(TEXTS)))[::-1])
    others = [
        speaking.speak(backwards, config(synthesiser), 0, machine)[0],
        speaking.speak(text, config(synthesiser), 0, machine | {"micro_batch": 1})[0],
        pa.concat_tables(
            speaking.speak(text, config(synthesiser, shards=3), shard, machine)[0]
            for shard in range(3)
        ),
    ]
    for other in others:
        assert difference(together, other) < 1e-4
    silence = [np.ptp(audio.read_audio(row, None, 16000)) for row in together.to_pylist()]
    assert min(silence) > 0.01


def test_pieces_of_equal_length_are_one_batch(synthesisers: Synthesisers) -> None:
    """And in a batch the noise of each is its own: else alike texts would sound alike."""

    class Watched(vits.Vits):
        sizes: ClassVar[list[tuple[str, int]]] = []

        def encode(self, pieces: Sequence[batching.Piece]) -> list[batching.Encoded]:
            self.sizes.append(("encode", len(pieces)))
            return super().encode(pieces)

        def decode(self, encoded: Sequence[batching.Encoded]) -> torch.Tensor:
            self.sizes.append(("decode", len(encoded)))
            return super().decode(encoded)

    model = Watched(synthesisers["vits"] | {"noise_scale_duration": 0.0}, {"device": "cpu"})
    requests = [request("The cat ran.", seed=f"1/0/t{i}") for i in range(5)]
    waves = list(batching.speak(requests, model, 1000, 5000))
    assert Watched.sizes == [("encode", 5), ("decode", 5)]
    first, *others = [wave.samples for wave in waves if isinstance(wave, voices.Wave)]
    assert len(others) == 4
    for wanted, one in zip([first, *others], requests, strict=True):
        alone = next(batching.speak([one], model, 1000, 5000))
        assert isinstance(alone, voices.Wave)
        assert np.abs(alone.samples - wanted).max() < 1e-5 * np.abs(wanted).max()
    assert all(np.abs(first - other).max() > 0.01 for other in others)


@pytest.mark.parametrize("name", ["vits", "vits without noisy durations"])
def test_vits_is_that_of_transformers(synthesisers: Synthesisers, name: str) -> None:
    synthesiser = synthesisers[name] | {"noise_scale": 0.0, "noise_scale_duration": 0.0}
    reference = VitsModel.from_pretrained(synthesiser["model"]).eval()
    reference.noise_scale = reference.noise_scale_duration = 0.0
    tokenizer = VitsTokenizer.from_pretrained(synthesiser["model"])
    for text in ("The cat ran, and the dog!", "Lily's well-known ball"):
        wave = next(vits.speak([request(text)], synthesiser, {"device": "cpu"}))
        with torch.no_grad():
            wanted = reference(tokenizer(text, return_tensors="pt").input_ids).waveform[0].numpy()
        assert isinstance(wave, voices.Wave) and wave.samples.shape == wanted.shape
        assert np.abs(wave.samples - wanted).max() < 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("speaker", [None, 2])
def test_fastspeech2_is_that_of_transformers(
    synthesisers: Synthesisers, speaker: int | None
) -> None:
    name = "fastspeech2" if speaker is None else "fastspeech2 of three"
    synthesiser = synthesisers[name] | {"speaking_rate": 1.0}
    reference = FastSpeech2ConformerWithHifiGan.from_pretrained(synthesiser["model"]).eval()
    chosen = None if speaker is None else torch.tensor([[speaker]])
    with Espeak() as espeak:
        model = fastspeech2.FastSpeech2(synthesiser, {"device": "cpu"}, Speller(espeak))
        one = request("The cat ran, and the dog!", f"x-{speaker}" if speaker else "x")
        (piece,) = model.prepare(one)
        wave = next(batching.speak([one], model, 100, 1))
    with torch.no_grad():
        wanted = reference(torch.tensor([piece.tokens]), speaker_ids=chosen).waveform[0].numpy()
    assert isinstance(wave, voices.Wave) and wave.samples.shape == wanted.shape
    assert np.abs(wave.samples - wanted).max() < 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("name", ["vits", "fastspeech2"])
def test_weights_of_a_download(synthesisers: Synthesisers, name: str, tmp_path: Path) -> None:
    """A folder below `data_root`, whatever the working directory is."""
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "voice").symlink_to(synthesisers[name]["model"])
    machine = {"device": "cpu", "data_root": str(tmp_path)}
    synthesiser = synthesisers[name] | {"model": "downloads/voice"}
    (wave,) = _engine(synthesiser).speak([request("The cat ran.")], synthesiser, machine)
    (wanted,) = _engine(synthesiser).speak([request("The cat ran.")], synthesisers[name], machine)
    assert isinstance(wave, voices.Wave) and np.array_equal(wave.samples, wanted.samples)


@pytest.mark.parametrize("name", NAMES)
def test_alignments_add_up(synthesisers: Synthesisers, name: str) -> None:
    text = "Tom sat in the park. Then Lily, the well-known dog, went home!"
    (row,) = speaking.speak(
        table([text]), config(synthesisers[name], renditions=1), 0, {"device": "cpu"}
    )[0].to_pylist()
    labels = [word["label"] for word in row["words"]]
    assert " ".join(labels) == "Tom sat in the park Then Lily the well-known dog went home"
    for word, following in itertools.pairwise(row["words"]):
        assert 0 <= word["start"] < word["end"] <= following["start"]
    assert row["words"][5]["start"] - row["words"][4]["end"] >= 0.2  # the pause of a full stop
    assert row["words"][-1]["end"] <= row["duration"]
    assert row["rate"] is None and row["pitch"] is None
    if row["phones"] is None:
        assert name.startswith("vits")
        return
    assert row["phones"][0]["start"] == 0 and row["phones"][-1]["end"] == row["duration"]
    for phone, following in itertools.pairwise(row["phones"]):
        assert phone["start"] < phone["end"] == following["start"]
        assert {phone["label"], following["label"]} != {"_"}
    assert {word["start"] for word in row["words"]} <= {phone["start"] for phone in row["phones"]}
    assert {phone["label"] for phone in row["phones"]} >= {"_", "T", "DH", "AA"}


def test_a_slower_voice_takes_longer(synthesisers: Synthesisers) -> None:
    for name in ("vits", "fastspeech2"):
        lengths = []
        for rate in (0.5, 1.0, 2.0):
            synthesiser = synthesisers[name] | {"speaking_rate": rate}
            wave = next(
                _engine(synthesiser).speak([request(TEXTS[4])], synthesiser, {"device": "cpu"})
            )
            assert isinstance(wave, voices.Wave)
            lengths.append(len(wave.samples))
        assert lengths[0] > 1.5 * lengths[1] > 1.5 * lengths[2], name


def test_members_of_an_item_share_a_voice(synthesisers: Synthesisers) -> None:
    texts = ["The dog runs.", "The dogs runs."] * 8
    items = [f"pair{i // 2}" for i in range(16)]
    for name in ("vits of four", "fastspeech2 of three"):
        spoken, _ = speaking.speak(
            table(texts, item=items), config(synthesisers[name]), 0, {"device": "cpu"}
        )
        who = {(row["item"], row["rendition"], row["speaker"]) for row in spoken.to_pylist()}
        assert len(who) == 16
        speakers = synthesisers[name]["speakers"]
        engine = synthesisers[name]["engine"]
        assert {speaker for *_, speaker in who} == {f"{engine}-{number}" for number in speakers}


HOSTILE = [
    "The dog sat.",
    "",
    None,
    "😀 🎉",
    "… — !",
    "A \x00 nul, \x1b[31m and \x07 a bell.",
    "שלום עולם",
    "12345 67890",
    "\u202eback\u202c and \ufeff forth",
    "supercalifragilistic" * 40,
    "a" * 700 + ".",
    "( [ { < > } ] )",
    "É café naïve",
]


@pytest.mark.parametrize("name", ["vits", "fastspeech2"])
def test_hostile_texts_are_spoken_or_rejected(synthesisers: Synthesisers, name: str) -> None:
    text = table(HOSTILE)
    spoken, rejected = speaking.speak(
        text, config(synthesisers[name], renditions=1), 0, {"device": "cpu"}
    )
    ids = [f"t{i}-r0" for i in range(len(HOSTILE))]
    assert sorted(spoken["id"].to_pylist() + rejected["id"].to_pylist()) == sorted(ids)
    reasons = {row["source"]: row["reason"] for row in rejected.to_pylist()}
    assert reasons["t1"] == reasons["t2"] == "empty text"
    assert reasons["t3"] == reasons["t4"] == reasons["t11"] == voices.NOTHING
    assert ("t7" in reasons) == (name == "vits")  # this vocabulary has no digits
    assert not {"t0", "t5", "t8", "t9", "t10", "t12"} & reasons.keys()


@pytest.mark.parametrize(
    ("name", "rate"), [("vits without noisy durations", 10.0), ("fastspeech2", 3.0)]
)
def test_a_sentence_of_10000_words(synthesisers: Synthesisers, name: str, rate: float) -> None:
    text = " ".join(["a", "I", "no", "a", "it"] * 2000)
    synthesiser = synthesisers[name] | {"speaking_rate": rate}  # for the test to be quick
    wave = next(_engine(synthesiser).speak([request(text)], synthesiser, {"device": "cpu"}))
    assert isinstance(wave, voices.Wave) and wave.words
    assert [word["label"] for word in wave.words[:2]] == ["a", "I"]
    assert wave.words[-1]["label"] == "it"
    assert len(wave.words) > (9999 if "vits" in name else 5000)  # some words last no frame
    assert wave.words[-1]["end"] <= len(wave.samples) / wave.sampling_rate


def test_phonemes_are_left_to_espeak(synthesisers: Synthesisers) -> None:
    text = table(["blick", "The dog sat."], phonemes=["[[b|l|'I|k]]", None])
    spoken, rejected = speaking.speak(
        text, config(synthesisers["vits"], renditions=1), 0, {"device": "cpu"}
    )
    assert spoken["id"].to_pylist() == ["t1-r0"]
    assert rejected["reason"].to_pylist() == [voices.NO_PHONEMES]


def test_what_is_not_finite_is_rejected_alone(synthesisers: Synthesisers, tmp_path: Path) -> None:
    folder = small_voices.vits(tmp_path / "vits")
    weights = load_file(folder / "model.safetensors")
    tokenizer = VitsTokenizer.from_pretrained(folder)
    weights["text_encoder.embed_tokens.weight"][tokenizer.encoder["x"]] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    text = table(["The cat ran.", "The fox ran.", "The cow ate.", "The dog sat. An ox."])
    synthesiser = synthesisers["vits"] | {"model": str(folder)}
    spoken, rejected = speaking.speak(text, config(synthesiser, renditions=1), 0, {"device": "cpu"})
    assert spoken["id"].to_pylist() == ["t0-r0", "t2-r0"]
    assert rejected["source"].to_pylist() == ["t1", "t3"]
    assert all(row.startswith("synthesis failed") for row in rejected["reason"].to_pylist())


def test_silence_is_rejected(synthesisers: Synthesisers, tmp_path: Path) -> None:
    folder = small_voices.vits(tmp_path / "vits")
    weights = load_file(folder / "model.safetensors")
    weights["decoder.conv_post.weight"].zero_()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    synthesiser = synthesisers["vits"] | {"model": str(folder)}
    _, rejected = speaking.speak(table(["The cat ran."]), config(synthesiser), 0, {"device": "cpu"})
    assert rejected["reason"].to_pylist() == ["silent", "silent"]


def test_durations_beyond_the_spline_do_not_depend_on_the_batch(synthesisers: Synthesisers) -> None:
    """Where no value is in the spline's range, transformers takes the minimum of nothing."""
    synthesiser = synthesisers["vits"] | {"noise_scale_duration": 40.0}
    requests = [request(word, seed=f"1/0/{i}") for i in range(12) for word in ("a", "I")]
    together = list(vits.speak(requests, synthesiser, {"device": "cpu"}))
    alone = list(vits.speak(requests, synthesiser, {"device": "cpu", "micro_batch": 1}))
    kinds = [result if isinstance(result, str) else len(result.samples) for result in together]
    assert kinds == [result if isinstance(result, str) else len(result.samples) for result in alone]
    assert not any("reduction" in str(kind) for kind in kinds)


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("vits", {"speakers": [0]}, "has one voice; remove `speakers`"),
        ("vits of four", {"speakers": None}, "has 4 voices; name some of 0 to 3 in `speakers`"),
        ("vits of four", {"speakers": [0, 4]}, "speakers: 4 is none of 0 to 3"),
        ("fastspeech2 of three", {"speakers": [3]}, "speakers: 3 is none of 0 to 2"),
    ],
)
def test_impossible_speakers_are_errors(
    synthesisers: Synthesisers, name: str, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        speaking.speak(table(TEXTS), config(synthesisers[name] | changes), 0, {"device": "cpu"})


@pytest.mark.skipif(not importlib.util.find_spec("phonemizer"), reason="phonemizer is missing")
def test_vits_that_reads_phonemes(synthesisers: Synthesisers, tmp_path: Path) -> None:
    """With espeak-ng of the wheel; words that it joins or numbers that it spells have no times."""
    folder = small_voices.vits(tmp_path / "vits", vocab_size=100)
    symbols = "_ .,!?—abcdefghijklmnopqrstuvwxyzæðŋɐɑɔəɚɛɜɡɪɹɾʃʊʌʒθˈˌː"
    (folder / "vocab.json").write_text(
        json.dumps({symbol: index for index, symbol in enumerate(symbols)})
    )
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"phonemize": True}))
    synthesiser = synthesisers["vits"] | {"model": str(folder)}
    texts = ["Hello — little, well-known dog!", "In the park, 5 dogs sat — well-known!"]
    requests = [request(text) for text in texts]
    timed, untimed = vits.speak(requests, synthesiser, {"device": "cpu"})
    assert isinstance(timed, voices.Wave) and timed.words
    labels = [word["label"] for word in timed.words]
    assert labels == ["Hello", "little", "well-known", "dog"]
    assert isinstance(untimed, voices.Wave) and untimed.words is None


@pytest.mark.skipif(bool(importlib.util.find_spec("phonemizer")), reason="phonemizer is here")
def test_vits_that_reads_phonemes_says_what_it_needs(
    synthesisers: Synthesisers, tmp_path: Path
) -> None:
    folder = small_voices.vits(tmp_path / "vits")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"phonemize": True}))
    synthesiser = synthesisers["vits"] | {"model": str(folder)}
    with pytest.raises(ValueError, match=r"needs phonemizer: pip install 'slamflow\[vits\]'"):
        next(vits.speak([request("Hello.")], synthesiser, {"device": "cpu"}))
