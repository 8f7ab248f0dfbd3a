"""Words by a CTC model of transformers: the likeliest path of a text through its emissions.

The result of an utterance does not depend on its batch, up to rounding: utterances of different
lengths share one only where the model masks what fills up the short ones. Models whose first
convolution has a group norm over time cannot: its mean and variance are taken over what fills up,
too, and transformers' own advice for them is no mask. Of them, as facebook/wav2vec2-base-960h, only
utterances of exactly equal length share a batch. Prefer a model with layer norm and attention mask,
as facebook/wav2vec2-large-960h-lv60-self or facebook/wav2vec2-large-robust-ft-libri-960h.
"""

import itertools
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torchaudio.functional import forced_align, merge_tokens
from transformers import AutoFeatureExtractor, AutoModelForCTC, AutoTokenizer

from slamflow import pretrained
from slamflow.alignment import texts
from slamflow.training.device import prepare

SAMPLING_RATE = 16_000
SHORTEST, LONGEST = 0.05, 120.0  # s: attention grows with the square
SECONDS = {"cpu": 24.0, "cuda": 600.0}  # of audio in a batch, unless the machine says otherwise
POOL = 8  # batches of audio among which utterances of like length are sought

Entry = tuple[int, str, np.ndarray]  # index, text, wave


@dataclass(frozen=True)
class Model:
    """A CTC model for inference.

    Attributes:
        letters: id of each character, in the model's case.
        masks: whether utterances of different lengths may share a batch.
    """

    model: Any
    extractor: Any
    letters: dict[str, int]
    delimiter: int | None
    blank: int
    masks: bool
    device: str


def align(
    utterances: Iterable[tuple[Mapping[str, Any], np.ndarray]],
    config: Mapping[str, Any],
    machine: Mapping[str, Any],
) -> Iterator[tuple[int, texts.Aligned]]:
    """Index and alignment of each utterance, in any order; phones are not known.

    A score is the mean log-probability a frame of the path.

    Args:
        utterances: rows with `text`, and waves, float32 [samples] at SAMPLING_RATE.
        config: `model`, a folder or a hub id; `revision`; `least_score`, or None.
        machine: `data_root`, `device`, `threads`, `micro_batch` (seconds of audio in a batch).

    Raises:
        ValueError: the model cannot be had or used.
    """
    model = load(config, machine)
    seconds = float(machine.get("micro_batch") or SECONDS[torch.device(model.device).type])
    budget = int(seconds * SAMPLING_RATE)
    pool: list[Entry] = []
    held = 0
    for index, (row, wave) in enumerate(utterances):
        length = len(wave) / SAMPLING_RATE
        reason = texts.refused(row["text"], length, LONGEST)
        if reason is None and length < SHORTEST:
            reason = f"too short ({length:.3f} s)"
        if reason:
            yield index, texts.failed(reason)
            continue
        pool.append((index, row["text"], wave))
        held += len(wave)
        if held >= POOL * budget:
            yield from _align_pool(model, pool, budget, config)
            pool, held = [], 0
    yield from _align_pool(model, pool, budget, config)


def load(config: Mapping[str, Any], machine: Mapping[str, Any]) -> Model:
    """Open a CTC model with its feature extractor and its vocabulary.

    Raises:
        ValueError: it cannot be had, or is no CTC model for 16 kHz with letters.
    """
    device, folder = prepare(machine), pretrained.fetch(config, machine)
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        extractor = AutoFeatureExtractor.from_pretrained(folder, **local)
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
    except pretrained.ERRORS as error:
        raise ValueError(
            f"{folder}: cannot be opened as a CTC model ({pretrained.reason(error)}); it needs"
            " config.json, model.safetensors, preprocessor_config.json and the tokenizer's files"
        ) from None
    model = pretrained.load(
        AutoModelForCTC, folder, device, name="CTC model", may_lack=".*masked_spec_embed"
    )
    if extractor.sampling_rate != SAMPLING_RATE:
        raise ValueError(f"{folder}: hears {extractor.sampling_rate} Hz, not {SAMPLING_RATE}")
    vocabulary = tokenizer.get_vocab()
    delimiter = vocabulary.get(getattr(tokenizer, "word_delimiter_token", None))
    special = {*tokenizer.all_special_tokens, getattr(tokenizer, "word_delimiter_token", None)}
    letters = {c: i for c, i in vocabulary.items() if len(c) == 1 and c not in special}
    if not any(key.isalpha() for key in letters):
        raise ValueError(f"{folder}: its vocabulary has no letters")
    group = getattr(model.config, "feat_extract_norm", None) == "group"
    masks = bool(extractor.return_attention_mask) and not group
    blank = int(model.config.pad_token_id)
    return Model(model, extractor, letters, delimiter, blank, masks, device)


def _align_pool(
    model: Model, pool: list[Entry], budget: int, config: Mapping[str, Any]
) -> Iterator[tuple[int, texts.Aligned]]:
    batch: list[Entry] = []
    for entry in [*sorted(pool, key=lambda entry: (-len(entry[2]), entry[0])), None]:
        if batch and (
            entry is None
            or (len(batch) + 1) * len(batch[0][2]) > budget
            or not (model.masks or len(entry[2]) == len(batch[0][2]))
        ):
            found = emissions(model, [wave for *_, wave in batch])
            for (index, text, wave), emission in zip(batch, found, strict=True):
                seconds = len(wave) / SAMPLING_RATE
                yield index, _align(model, text, emission, seconds, config)
            batch = []
        if entry is not None:
            batch.append(entry)


@torch.inference_mode()
def emissions(model: Model, waves: Sequence[np.ndarray]) -> list[torch.Tensor]:
    """Log-probabilities of each wave, float32 [frames, vocabulary] on the CPU.

    Args:
        waves: float32 [samples], of one length unless the model `masks`.
    """
    assert model.masks or len({len(wave) for wave in waves}) == 1
    inputs = model.extractor(
        list(waves),
        sampling_rate=SAMPLING_RATE,
        padding=True,
        return_attention_mask=True,
        return_tensors="pt",
    ).to(model.device)
    lengths = model.model._get_feat_extract_output_lengths(inputs["attention_mask"].sum(1))
    if not model.masks:
        del inputs["attention_mask"]
    found = model.model(**inputs).logits.float().log_softmax(-1).cpu()
    return [row[:length] for row, length in zip(found, lengths.tolist(), strict=True)]


def _align(
    model: Model, text: str, emission: torch.Tensor, seconds: float, config: Mapping[str, Any]
) -> texts.Aligned:
    words = spell(model, texts.spoken(text))
    if not words:
        return texts.failed(texts.NOTHING)
    targets: list[int] = []
    owners: list[int | None] = []  # the word of each target
    for number, (_, ids) in enumerate(words):
        if targets and model.delimiter is not None:
            targets.append(model.delimiter)
            owners.append(None)
        targets += ids
        owners += [number] * len(ids)
    repeats = sum(a == b for a, b in itertools.pairwise(targets))
    if len(targets) + repeats > len(emission):
        return texts.failed(
            f"text longer than the audio allows ({len(targets)} characters in {seconds:.2f} s)"
        )
    if not bool(emission.isfinite().all()):
        return texts.failed("cannot be aligned (the model's output is not finite)")
    path, scores = forced_align(emission[None], torch.tensor([targets]), blank=model.blank)
    spans = merge_tokens(path[0], scores[0], blank=model.blank)
    assert [span.token for span in spans] == targets
    labels: list[dict[str, Any]] = []
    frame = _frame(model, len(emission), seconds)
    for owner, span in zip(owners, spans, strict=True):
        if owner is None:
            continue
        if owner == len(labels):
            start = min(span.start * frame, seconds)
            labels.append({"label": words[owner][0], "start": start, "end": 0.0})
        labels[-1]["end"] = min(span.end * frame, seconds)
    return texts.aligned(labels, None, float(scores.mean()), config)


def spell(model: Model, tokens: Sequence[str]) -> list[tuple[str, list[int]]]:
    """Labels and ids of words; characters that the vocabulary lacks are left out.

    A word of none but such is joined to the word before it ("have 42"), the first to the next.
    """
    upper = sum(key.isupper() for key in model.letters) > len(model.letters) / 3
    found: list[tuple[str, list[int]]] = []
    waiting: list[str] = []
    for token in tokens:
        cased = (token.upper() if upper else token.lower()).replace("’", "'")
        ids = [model.letters[c] for c in cased if c in model.letters]
        if len(ids) < len(cased):  # é may be known as e
            plain = unicodedata.normalize("NFKD", cased)
            ids = [model.letters[c] for c in plain if c in model.letters]
        if ids:
            found.append((" ".join([*waiting, token]), ids))
            waiting = []
        elif found:
            found[-1] = (f"{found[-1][0]} {token}", found[-1][1])
        else:
            waiting.append(token)
    return found


def _frame(model: Model, frames: int, seconds: float) -> float:
    """Seconds from frame to frame."""
    shape = model.model.config
    waves = model.extractor.model_input_names[0] == "input_values"
    if waves and not getattr(shape, "add_adapter", False):
        return float(shape.inputs_to_logits_ratio) / SAMPLING_RATE
    return seconds / frames
