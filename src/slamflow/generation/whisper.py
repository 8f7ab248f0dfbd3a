"""Transcripts by Whisper, of any size, from the hub, a folder or a download."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizerFast,
)

from slamflow import pretrained
from slamflow.generation import hub_tokenizer
from slamflow.training.device import prepare

SAMPLING_RATE = 16_000
LANGUAGE = "en"
BATCH = {"cpu": 4, "cuda": 16}  # of pieces, unless the machine says otherwise


def listen(
    waves: Iterable[np.ndarray],
    config: Mapping[str, Any],
    machine: Mapping[str, Any],
    texts: Sequence[Path] = (),
) -> Iterator[str]:
    """The English text of each wave, in order; the likeliest token is taken each time.

    Whisper hears 30 s at once. What is longer is cut, and the texts are put together. The same
    wave gives the same text, but where rounding decides, whatever else is in the batch.

    Args:
        waves: float32 [samples] at SAMPLING_RATE.
        config: `model`, a folder or a hub id; `revision` of the hub's, or None.
        machine: `device`, `threads`, `data_root`, `micro_batch` (pieces of 30 s at once).
        texts: not used: it may hear any word.

    Raises:
        ValueError: there is no such model, or it is no Whisper.
    """
    place = prepare(machine)
    folder = pretrained.fetch(config, machine, hub_tokenizer.PATTERNS)
    model = pretrained.load(WhisperForConditionalGeneration, folder, place, name="Whisper")
    tokenizer = hub_tokenizer.load(WhisperTokenizerFast, folder)
    extractor = _extractor(folder)
    settings = _settings(model, folder)
    size = int(machine.get("micro_batch") or BATCH["cpu" if place == "cpu" else "cuda"])
    rest = iter(waves)
    while some := list(islice(rest, size)):
        pieces = [
            (number, wave[start : start + extractor.n_samples])
            for number, wave in enumerate(some)
            for start in range(0, len(wave), extractor.n_samples)
        ]
        heard: list[list[str]] = [[] for _ in some]
        for first in range(0, len(pieces), size):
            part = pieces[first : first + size]
            features = extractor(
                [piece for _, piece in part], sampling_rate=SAMPLING_RATE, return_tensors="pt"
            )
            said = _said(model, tokenizer, features.input_features, settings)
            for (number, _), text in zip(part, said, strict=True):
                heard[number].append(text.strip())
        yield from (" ".join(filter(None, parts)) for parts in heard)


@torch.inference_mode()
def _said(
    model: Any, tokenizer: Any, features: torch.Tensor, settings: Mapping[str, Any]
) -> list[str]:
    """The text of each piece of 30 s, by its features [pieces, bins, frames]."""
    found = model.generate(features.to(model.device), num_beams=1, do_sample=False, **settings)
    texts: list[str] = tokenizer.batch_decode(found, skip_special_tokens=True)
    return texts


def _extractor(folder: Path) -> Any:
    try:
        return WhisperFeatureExtractor.from_pretrained(folder, local_files_only=True)
    except pretrained.ERRORS as error:
        raise ValueError(
            f"{folder}: its preprocessor_config.json cannot be opened ({pretrained.reason(error)});"
            " fetch all files of one revision"
        ) from None


def _settings(model: Any, folder: Path) -> dict[str, Any]:
    """What a model of many languages is told; one of English alone takes no such settings."""
    told = model.generation_config
    if not getattr(told, "is_multilingual", True):
        return {}
    if not getattr(told, "lang_to_id", None):
        raise ValueError(
            f"{folder}: its generation_config.json does not list languages (`lang_to_id`); fetch a"
            " newer revision, which has them"
        )
    return {"language": LANGUAGE, "task": "transcribe"}
