"""Neural voices in batches whose results do not depend on the batch.

Zeros that fill up a batch leak into convolutions, so nothing is filled up: what has equally many
tokens is encoded together, and what has equally many frames is decoded together. Durations are
whole numbers of frames, and a rounding error of a batched product could move one by a frame: a
model's first half runs in float64. Noise comes from a generator of its own for each piece.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from slamflow.synthesis.splitting import PAUSE
from slamflow.synthesis.voices import NOTHING, SILENCE, Label, Request, Wave

TOKENS = {"cpu": 1024, "cuda": 8192}  # in a batch, unless the machine says otherwise
FRAMES = 4  # in a batch on a GPU, for each token; on a CPU one piece keeps all cores busy
POOL = 16  # batches of tokens among which equal lengths are sought
SECONDS = 120  # a piece that takes longer is a model gone astray

Whole = TypeVar("Whole")
Part = TypeVar("Part")


@dataclass(frozen=True)
class Piece:
    """A part of an utterance that is spoken at once.

    `words` are (label, first token, token after the last), None where they are unknown; `phones`
    has a label a token.
    """

    tokens: list[int]
    speaker: int | None
    seed: str
    words: list[tuple[str, int, int]] | None
    phones: list[str] | None = None


@dataclass(frozen=True)
class Encoded:
    """A piece after a model's first half: frames of each token, `hidden` [tokens, any]."""

    piece: Piece
    durations: list[int]
    hidden: torch.Tensor


class Model(Protocol):
    """What a neural voice does; its batches hold pieces of equal length only."""

    sampling_rate: int
    hop: int  # samples a frame

    def prepare(self, request: Request) -> list[Piece]:
        """The pieces of a text, without those in which nothing can be spoken."""

    def encode(self, pieces: Sequence[Piece]) -> list[Encoded]:
        """The first half of pieces of equally many tokens."""

    def decode(self, encoded: Sequence[Encoded]) -> torch.Tensor:
        """Waves [batch, frames × hop] of equally many frames."""


def number(seed: str) -> int:
    """The seed of a generator, of a name."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big", signed=True)


def noise(seed: str, *shape: int) -> torch.Tensor:
    """Float32 numbers of a normal distribution, of a generator of their own, on the CPU."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(number(seed)))


def budget(machine: Mapping[str, Any], device: str) -> tuple[int, int]:
    """Tokens and frames in a batch, of `micro_batch` tokens or what suits the device."""
    kind = torch.device(device).type
    tokens = int(machine.get("micro_batch") or TOKENS[kind])
    return tokens, FRAMES * tokens if kind == "cuda" else 1


def speak(
    requests: Iterable[Request], model: Model, tokens: int, frames: int
) -> Iterator[Wave | str]:
    """Waves in the order of the requests; of these, POOL batches are in memory at once.

    Args:
        tokens: in a batch that is encoded; a longer piece is one by itself.
        frames: in a batch that is decoded, likewise.
    """
    pool: list[list[Piece]] = []
    size = 0
    for request in requests:
        pieces = model.prepare(request)
        pool.append(pieces)
        size += sum(len(piece.tokens) for piece in pieces)
        if size >= POOL * tokens or len(pool) >= POOL * tokens:
            yield from _speak_pool(pool, model, tokens, frames)
            pool, size = [], 0
    yield from _speak_pool(pool, model, tokens, frames)


def _speak_pool(
    pool: list[list[Piece]], model: Model, tokens: int, frames: int
) -> Iterator[Wave | str]:
    pieces = [piece for utterance in pool for piece in utterance]
    longest = SECONDS * model.sampling_rate // model.hop
    encoded: list[Encoded | str] = _grouped(
        model.encode, pieces, [len(piece.tokens) for piece in pieces], tokens
    )
    for index, half in enumerate(encoded):
        if isinstance(half, Encoded) and not 0 < sum(half.durations) <= longest:
            encoded[index] = f"synthesis failed: a sentence of {sum(half.durations)} frames"
    sound = [half for half in encoded if isinstance(half, Encoded)]
    decoded = iter(
        _grouped(
            lambda batch: list(model.decode(batch).cpu().numpy()),
            sound,
            [sum(half.durations) for half in sound],
            frames,
        )
    )
    halves = iter(encoded)
    for utterance in pool:
        yield _join(list(itertools.islice(halves, len(utterance))), decoded, model)


def _grouped(
    work: Callable[[Sequence[Whole]], Sequence[Part]],
    items: Sequence[Whole],
    lengths: Sequence[int],
    budget: int,
) -> list[Part | str]:
    """`work` of each item, in order, done in batches of items of equal length.

    An item with which a batch fails is tried alone: it fails, and gives the reason, or does not,
    whatever stood beside it.
    """
    results: list[Part | str] = [""] * len(items)
    order = sorted(range(len(items)), key=lambda index: -lengths[index])
    for length, group in itertools.groupby(order, key=lambda index: lengths[index]):
        together, indices = max(1, budget // max(1, length)), list(group)
        for start in range(0, len(indices), together):
            batch = indices[start : start + together]
            for index, result in zip(batch, _work(work, [items[i] for i in batch]), strict=True):
                results[index] = result
    return results


def _work(
    work: Callable[[Sequence[Whole]], Sequence[Part]], batch: list[Whole]
) -> Sequence[Part | str]:
    # TF32 would round the products of convolutions to 10 bits, by a way that the batch decides.
    exact = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    try:
        with torch.inference_mode(), exact:
            return work(batch)
    except (RuntimeError, ValueError, IndexError) as error:
        if len(batch) > 1:
            return [result for item in batch for result in _work(work, [item])]
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return [f"synthesis failed: {reason[:200]}"]


def _join(
    halves: list[Encoded | str], decoded: Iterator[np.ndarray | str], model: Model
) -> Wave | str:
    """One utterance of its pieces, with pauses between them."""
    spoken = [(half, next(decoded)) for half in halves if isinstance(half, Encoded)]
    reasons = [half for half in halves if isinstance(half, str)]
    reasons += [samples for _, samples in spoken if isinstance(samples, str)]
    if reasons:
        return reasons[0]
    if not spoken:
        return NOTHING
    waves: list[np.ndarray] = []
    words: list[Label] | None = []
    phones: list[Label] | None = []
    start, pause = 0, np.zeros(round(PAUSE * model.sampling_rate), np.float32)
    for half, samples in spoken:
        assert not isinstance(samples, str)
        if waves:
            waves.append(pause)
            start += len(pause)
        borders = start + model.hop * np.cumsum([0, *half.durations])
        times = [float(border) for border in borders / model.sampling_rate]
        words = _words(words, half.piece, times)
        phones = _phones(phones, half.piece, times)
        waves.append(samples)
        start += len(samples)
    return Wave(np.concatenate(waves), model.sampling_rate, words, phones)


def _words(before: list[Label] | None, piece: Piece, times: list[float]) -> list[Label] | None:
    if before is None or piece.words is None:
        return None
    found: list[Label] = [
        {"label": label, "start": times[first], "end": times[after]}
        for label, first, after in piece.words
    ]
    return before + [word for word in found if word["end"] > word["start"]]


def _phones(before: list[Label] | None, piece: Piece, times: list[float]) -> list[Label] | None:
    """What lies between two pieces, and silences in a row, are one silence."""
    if before is None or piece.phones is None:
        return None
    phones = list(before)
    borders = list(zip(piece.phones, times[:-1], times[1:], strict=True))
    if phones:
        borders.insert(0, (SILENCE, phones[-1]["end"], times[0]))
    for label, start, end in borders:
        if end > start and phones and label == SILENCE == phones[-1]["label"]:
            phones[-1]["end"] = end
        elif end > start:
            phones.append({"label": label, "start": start, "end": end})
    return phones
