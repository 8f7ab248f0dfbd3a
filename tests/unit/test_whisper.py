"""Whisper as it lies on the hub, with small random weights: batches, long and empty speech."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_hub_texts import byte_level
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from slamflow.generation import whisper

RATE = whisper.SAMPLING_RATE
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>"]
SPECIAL += ["<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"]
SPECIAL += ["<|notimestamps|>"]
ONE = {"device": "cpu", "threads": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Whisper whose transcripts differ from wave to wave and end by themselves."""
    folder = tmp_path_factory.mktemp("whisper")
    made = byte_level(SPECIAL)
    ids = {name: made.token_to_id(name) for name in SPECIAL}
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    torch.manual_seed(1)
    config = WhisperConfig(
        vocab_size=made.get_vocab_size(),
        num_mel_bins=80,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_target_positions=24,
        init_std=1.0,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=start,
        suppress_tokens=[],
        begin_suppress_tokens=[],
    )
    network = WhisperForConditionalGeneration(config)
    told = {
        "is_multilingual": True,
        "lang_to_id": {"<|en|>": ids["<|en|>"], "<|de|>": ids["<|de|>"]},
        "task_to_id": {"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]},
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": start,
        "max_length": 20,
        "suppress_tokens": sorted(set(ids.values()) - {end}),
    }
    network.generation_config = GenerationConfig(**told)
    network.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<|endoftext|>", pad_token="<|endoftext|>"
    ).save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    named = json.loads(path.read_text()) | {"tokenizer_class": "WhisperTokenizer"}
    path.write_text(json.dumps(named))
    return folder


def waves() -> list[np.ndarray]:
    """Tones and noise of different lengths, one above 30 s, and nothing."""
    drawn, found = np.random.default_rng(0), [np.zeros(0, np.float32)]
    for seconds, pitch in ((0.4, 90.0), (3.0, 300.0), (31.0, 900.0), (1.0, 2000.0)):
        time = np.arange(int(seconds * RATE)) / RATE
        tone = np.sin(2 * np.pi * pitch * time) + 0.1 * drawn.standard_normal(len(time))
        found.append((0.3 * tone).astype(np.float32))
    return found


def test_batches_change_nothing_and_long_speech_is_put_together(model: Path) -> None:
    config = {"model": str(model), "revision": None}
    given = waves()
    alone = [next(whisper.listen([wave], config, {**ONE, "micro_batch": 1})) for wave in given]
    together = list(whisper.listen(given, config, {**ONE, "micro_batch": 4}))
    assert together == alone
    assert together[0] == "" and all(together[1:])
    assert len(set(together)) > 2
    cut = 30 * RATE
    parts = whisper.listen([given[3][:cut], given[3][cut:]], config, ONE)
    assert together[3] == " ".join(filter(None, parts))


def test_what_is_no_whisper_is_refused(model: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "generation_config.json"):
        (tmp_path / name).write_bytes((model / name).read_bytes())
    config = {"model": str(tmp_path), "revision": None}
    with pytest.raises(ValueError, match=r"has no tokenizer; put its tokenizer.json there"):
        list(whisper.listen(waves(), config, ONE))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((model / name).read_bytes())
    with pytest.raises(ValueError, match=r"its preprocessor_config.json cannot be opened"):
        list(whisper.listen(waves(), config, ONE))
    (tmp_path / "preprocessor_config.json").write_bytes(
        (model / "preprocessor_config.json").read_bytes()
    )
    told = json.loads((model / "generation_config.json").read_text())
    del told["lang_to_id"]
    (tmp_path / "generation_config.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match=r"does not list languages \(`lang_to_id`\)"):
        list(whisper.listen(waves(), config, ONE))
    with pytest.raises(ValueError, match="is no folder and cannot be had from the hub"):
        list(whisper.listen(waves(), {"model": "no/where", "revision": "x"}, ONE))
