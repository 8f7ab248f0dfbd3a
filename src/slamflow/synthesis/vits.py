"""VITS voices in transformers' layout: MMS-TTS in 1100 languages, VITS of LJSpeech and VCTK.

What the vocabulary lacks is not spoken: MMS-TTS has no digits, for one. Models that read phonemes
need the extra `vits` (phonemizer with the embedded espeak-ng), those that read Latin letters only
need `uroman` for other scripts. Kim et al. 2021, https://arxiv.org/abs/2106.06103.
"""

import importlib.util
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import espeakng_loader
import torch
from torch.overrides import TorchFunctionMode
from transformers import VitsModel, VitsTokenizer

from slamflow import pretrained
from slamflow.synthesis import batching, speakers, voices
from slamflow.synthesis.batching import Encoded, Piece
from slamflow.synthesis.splitting import bare, split
from slamflow.training.device import prepare

LONGEST = 200  # characters of a piece
BLANK = 0  # the token between two characters


draw = voices.pick_speaker


def speak(
    requests: Iterable[voices.Request], synthesiser: Mapping[str, Any], machine: Mapping[str, Any]
) -> Iterator[voices.Wave | str]:
    """Waves, with words, in the order of the requests.

    Args:
        synthesiser: `model` (a folder or a hub id), `revision`, `speakers` (numbers, or None for a
            model of one voice), `speaking_rate` (1 is the model's own), `noise_scale` and
            `noise_scale_duration` (0 is no variation).
        machine: `data_root`, `device`, `threads`, `micro_batch` (characters in a batch, blanks
            included).

    Raises:
        ValueError: the model cannot be had or opened, or has no such speaker.
    """
    model = Vits(synthesiser, machine)
    yield from batching.speak(requests, model, *batching.budget(machine, model.device))


class Vits:
    """A VITS for `batching.speak`."""

    def __init__(self, synthesiser: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
        """Open the model and its tokenizer.

        Raises:
            ValueError: one cannot be had or opened, or there is no such speaker.
        """
        self.device = prepare(machine)
        folder = pretrained.fetch(synthesiser, machine)
        self.model = pretrained.load(VitsModel, folder, self.device)
        speakers.check(synthesiser, self.model.config.num_speakers)
        self.tokenizer = _tokenizer(folder)
        self.rate = float(synthesiser["speaking_rate"])
        self.noise_scale = float(synthesiser["noise_scale"])
        self.noise_scale_duration = float(synthesiser["noise_scale_duration"])
        self.sampling_rate: int = self.model.config.sampling_rate
        self.hop: int = math.prod(self.model.config.upsample_rates)
        self.model.text_encoder.double()
        self.model.duration_predictor.double()

    def prepare(self, request: voices.Request) -> list[Piece]:
        """The pieces of a text, without those of whose characters the vocabulary has none."""
        _, _, number = request.voice.partition("-")
        pieces = []
        for index, text in enumerate(split(request.text, LONGEST)):
            characters, words = self._characters(text)
            if not _sounds(characters):
                continue
            tokens = [self.tokenizer.encoder[character] for character in characters]
            if self.tokenizer.add_blank:
                tokens = [BLANK, *(token for one in tokens for token in (one, BLANK))]
                words = words and [(word, 2 * a, 2 * b + 1) for word, a, b in words]
            seed = f"{request.seed}/{index}"
            pieces.append(Piece(tokens, int(number) if number else None, seed, words))
        return pieces

    def _characters(self, text: str) -> tuple[str, list[tuple[str, int, int]] | None]:
        """What the model reads, and its words as (label, first character, character after).

        Words are None where phonemes or Latin letters may come in other words than the text: where
        the numbers of words differ, and where numbers or signs are spelt out.
        """
        spelt, whole = text.split(), self.tokenizer.phonemize or self.tokenizer.is_uroman
        read = self._read(text).split() if whole else [self._read(word) for word in spelt]
        labels: Sequence[str] = [bare(word) for word in spelt]
        known = True
        if whole:
            sounded = [index for index, word in enumerate(read) if _sounds(word)]
            names = [label for label in labels if label]
            known = len(names) == len(sounded) and not re.search(r"[^\w\s'’,.;:!?“”\"—–-]|\d", text)
            named = dict(zip(sounded, names, strict=False))
            labels = [named.get(index, "") for index in range(len(read))]
        blank = " " if " " in self.tokenizer.encoder else ""
        words, start = [], 0
        for label, word in zip(labels, read, strict=True):
            if label and word:
                words.append((label, start, start + len(word)))
            start += len(word) + len(blank) if word else 0
        return blank.join(word for word in read if word), words if known else None

    def _read(self, text: str) -> str:
        prepared, _ = self.tokenizer.prepare_for_tokenization(text)
        known = self.tokenizer.encoder
        return "".join(character for character in prepared if character in known)

    def _embedded(self, pieces: Sequence[Piece]) -> torch.Tensor | None:
        """Speakers as [batch, dimension, 1] in float32."""
        if pieces[0].speaker is None:
            return None
        numbers = torch.tensor([piece.speaker for piece in pieces], device=self.device)
        return self.model.embed_speaker(numbers)[:, :, None]

    def encode(self, pieces: Sequence[Piece]) -> list[Encoded]:
        """Durations, and the means and logarithms of deviations of what is decoded."""
        model = self.model
        tokens = torch.tensor([piece.tokens for piece in pieces], device=self.device)
        real = torch.ones(tokens.shape, dtype=torch.float64, device=self.device)
        speakers = self._embedded(pieces)
        text = model.text_encoder(tokens, real[:, :, None], None, return_dict=True)
        hidden, real = text.last_hidden_state.transpose(1, 2), real[:, None]
        speakers = None if speakers is None else speakers.double()
        if model.config.use_stochastic_duration_prediction:
            length = tokens.shape[1]
            drawn = [batching.noise(f"{piece.seed}/durations", 2, length) for piece in pieces]
            with _Drawn(torch.stack(drawn)):
                logarithms = model.duration_predictor(
                    hidden, real, speakers, reverse=True, noise_scale=self.noise_scale_duration
                )
        else:
            logarithms = model.duration_predictor(hidden, real, speakers)
        durations = torch.ceil(torch.exp(logarithms) / self.rate)[:, 0]
        both = torch.cat([text.prior_means, text.prior_log_variances], dim=2).float()
        return [
            Encoded(piece, [int(frames) for frames in row], one)
            for piece, row, one in zip(pieces, durations.tolist(), both, strict=True)
        ]

    def decode(self, encoded: Sequence[Encoded]) -> torch.Tensor:
        """Waves [batch, frames × hop]."""
        rows = []
        for half in encoded:
            frames = torch.tensor(half.durations, device=self.device)
            means, logarithms = half.hidden.repeat_interleave(frames, 0).T.chunk(2)
            drawn = batching.noise(f"{half.piece.seed}/frames", *means.shape).to(self.device)
            rows.append(means + drawn * torch.exp(logarithms) * self.noise_scale)
        latents = torch.stack(rows)
        real = torch.ones_like(latents[:, :1])
        speakers = self._embedded([half.piece for half in encoded])
        latents = self.model.flow(latents, real, speakers, reverse=True)
        return self.model.decoder(latents, speakers)[:, 0]


def _sounds(characters: str) -> bool:
    return any(character.isalnum() for character in characters)


class _Drawn(TorchFunctionMode):
    """Inside, `torch.randn` gives what was drawn for each row by itself.

    The spline, too, takes minima of the values in its range; there may be none, and torch refuses.
    """

    def __init__(self, drawn: torch.Tensor) -> None:
        super().__init__()
        self.drawn = drawn

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> torch.Tensor:
        if func is torch.randn:
            assert tuple(args) == self.drawn.shape, (args, self.drawn.shape)
            return self.drawn
        if func in (torch.Tensor.min, torch.Tensor.max) and args[0].numel() == 0:
            return args[0].new_zeros(())
        result: torch.Tensor = func(*args, **(kwargs or {}))
        return result


def _tokenizer(folder: Path) -> Any:
    try:
        tokenizer = VitsTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"{folder}: has no tokenizer of VITS ({reason})") from None
    for needed, module, repair in (
        (tokenizer.phonemize, "phonemizer", "pip install 'slamflow[vits]'"),
        (tokenizer.is_uroman, "uroman", "pip install uroman"),
    ):
        if needed and importlib.util.find_spec(module) is None:
            raise ValueError(f"{folder}: its tokenizer needs {module}: {repair}")
    if tokenizer.phonemize:  # phonemizer looks for espeak-ng here
        os.environ["PHONEMIZER_ESPEAK_LIBRARY"] = espeakng_loader.get_library_path()
        os.environ["ESPEAK_DATA_PATH"] = espeakng_loader.get_data_path()
    return tokenizer
