"""CTC models with small random weights in the real layout: exact paths, whatever the batch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf

from slamflow.alignment import ctc

CHARACTERS = "<pad> <s> </s> <unk> |".split() + list("ETAOINSHRDLUMWCFGYPBVK'XJQZ")
SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "vocab_size": len(CHARACTERS),
    "pad_token_id": 0,
}
WAVES: dict[str, Any] = {
    "conv_dim": (16, 24, 32),
    "conv_kernel": (40, 8, 4),
    "conv_stride": (20, 8, 2),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
TEXTS = [
    "Hello, little dog!",
    "it's a well-known story about Lily",
    "The cat sat.",
    "All good bees buzz",
    "Naïve café 42 owners met",
    "one",
    "we will see all three geese",
    "42 dogs",
]
CPU = {"device": "cpu", "threads": 1}


def save(folder: Path, kind: str) -> Path:
    """A model of this kind with its extractor and tokeniser."""
    torch.manual_seed(0)
    model: Any
    if kind == "bert":
        shape = hf.Wav2Vec2BertConfig(**SMALL, feature_projection_input_dim=160)
        model, extractor = hf.Wav2Vec2BertForCTC(shape), hf.SeamlessM4TFeatureExtractor()
    else:
        norm = {} if kind == "base" else STABLE
        if kind == "hubert":
            model = hf.HubertForCTC(hf.HubertConfig(**SMALL, **WAVES, **norm))
        else:
            model = hf.Wav2Vec2ForCTC(hf.Wav2Vec2Config(**SMALL, **WAVES, **norm))
        extractor = hf.Wav2Vec2FeatureExtractor(
            do_normalize=True, return_attention_mask=kind != "base"
        )
    with torch.no_grad():  # emissions that differ from frame to frame
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({c: i for i, c in enumerate(CHARACTERS)}))
    hf.Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    extractor.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def utterances() -> list[tuple[dict[str, Any], np.ndarray]]:
    rng = np.random.default_rng(0)
    seconds = [1.5, 3.0, 2.22, 1.5, 2.9, 0.7, 3.0, 1.013]
    waves = [0.1 * rng.standard_normal(int(s * ctc.SAMPLING_RATE)) for s in seconds]
    return [({"text": t}, w.astype(np.float32)) for t, w in zip(TEXTS, waves, strict=True)]


def align(folder: Path, rows: list, batch: float = 24.0, **config: Any) -> list[dict[str, Any]]:
    found = dict(ctc.align(rows, {"model": str(folder), **config}, {**CPU, "micro_batch": batch}))
    return [found[index] for index in range(len(rows))]


@pytest.mark.parametrize("kind", ["base", "large", "hubert", "bert"])
def test_alone_and_in_a_batch(kind: str, tmp_path: Path) -> None:
    folder, rows = save(tmp_path / kind, kind), utterances()
    together = align(folder, rows)
    backwards = align(folder, rows[::-1])[::-1]
    alone = align(folder, rows, batch=0.01)
    for (row, wave), *found in zip(rows, together, backwards, alone, strict=True):
        for other in found:
            assert other["reason"] is None and other["phones"] is None
            assert other["words"] == found[0]["words"]
            assert other["score"] == pytest.approx(found[0]["score"], abs=1e-4)
        words = found[0]["words"]
        said = " ".join(word["label"] for word in words).split()
        assert said == [token.strip(",.!") for token in row["text"].split()]
        times = [time for word in words for time in (word["start"], word["end"])]
        assert times == sorted(times) and times[0] >= 0 and times[-1] <= len(wave) / 16_000
        assert all(word["end"] > word["start"] for word in words)


def best(emission: np.ndarray, targets: list[int], blank: int) -> tuple[list[int], float]:
    """The best path by plain dynamic programming (Graves et al. 2006, with max for sum)."""
    states = [blank]
    for target in targets:
        states += [target, blank]
    score = np.full((len(emission), len(states)), -np.inf)
    origin = np.zeros(score.shape, dtype=int)
    score[0, :2] = emission[0, states[:2]]
    for t in range(1, len(emission)):
        for s, state in enumerate(states):
            before = [s, s - 1]
            if state != blank and s >= 2 and states[s - 2] != state:
                before.append(s - 2)
            origin[t, s] = max((b for b in before if b >= 0), key=lambda b: score[t - 1, b])
            score[t, s] = score[t - 1, origin[t, s]] + emission[t, state]
    s = len(states) - 1 if score[-1, -1] > score[-1, -2] else len(states) - 2
    total, path = score[-1, s], []
    for t in range(len(emission) - 1, -1, -1):
        path.append(s)
        s = origin[t, s]
    return path[::-1], total


def test_path_is_the_best_one(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", "large")
    model = ctc.load({"model": str(folder)}, CPU)
    for (row, wave), found in zip(utterances()[:4], align(folder, utterances()[:4]), strict=True):
        emission = ctc.emissions(model, [wave])[0].double().numpy()
        words = row["text"].upper().replace(",", "").replace("!", "").replace(".", "").split()
        letters = "|".join(words).replace("-", "")
        path, total = best(emission, [CHARACTERS.index(c) for c in letters], 0)
        assert found["score"] == pytest.approx(total / len(emission), abs=1e-5)
        first = 0
        for word, label in zip("".join(letters).split("|"), found["words"], strict=True):
            states = [2 * (first + i) + 1 for i in range(len(word))]
            frames = [t for t, s in enumerate(path) if s in states]
            assert label["start"] == pytest.approx(frames[0] * 0.02)
            assert label["end"] == pytest.approx((frames[-1] + 1) * 0.02)
            first += len(word) + 1


def test_weights_of_a_download(tmp_path: Path) -> None:
    (tmp_path / "downloads").mkdir()
    folder, rows = save(tmp_path / "downloads" / "m", "large"), utterances()[2:3]
    machine = {**CPU, "data_root": str(tmp_path)}
    ((_, found),) = ctc.align(rows, {"model": "downloads/m"}, machine)
    assert found["words"] and found == align(folder, rows)[0]


def test_hopeless_utterances_have_a_reason(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", "base")
    wave = utterances()[0][1]
    cases = [
        (None, wave, "no text"),
        (" ", wave, "no text"),
        ("…!", wave, "nothing to align"),
        ("😀", wave, "nothing to align"),
        ("1984", wave, "nothing to align"),
        ("dog " * 10_000, wave, "text longer than the audio allows"),
        ("hello there", wave[:1600], "text longer than the audio allows"),
        ("a", wave[:100], "too short"),
        ("a", np.tile(wave, 90), "too long"),
        ("hello", np.full_like(wave, np.nan), "cannot be aligned"),
    ]
    rows = [({"text": text}, heard) for text, heard, _ in cases]
    found = align(folder, rows)
    for (*_, reason), row in zip(cases, found, strict=True):
        assert row["words"] is None and row["reason"].startswith(reason), (reason, row)
    fitted = align(folder, utterances(), least_score=-1e-6)
    assert all(row["reason"].startswith("text does not fit the audio") for row in fitted)


def test_what_is_no_ctc_model_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", "base")
    hf.HubertModel(hf.HubertConfig(**SMALL, **WAVES)).save_pretrained(folder)
    with pytest.raises(ValueError, match="weights lack lm_head"):
        ctc.load({"model": str(folder)}, CPU)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="cannot be opened as a CTC model"):
        ctc.load({"model": str(folder)}, CPU)
