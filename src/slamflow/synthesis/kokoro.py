"""Kokoro-82M, through its own package: the extra `kokoro`, for Python below 3.13.

The package takes one text at a time, and so does this engine: nothing is batched. Its noise comes
from torch's generator, which is seeded for each piece. Its weights and voices are files of torch,
and are read with `weights_only`, which runs no code of theirs. Words come from misaki, which wants
spaCy's English model.
"""

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slamflow import pretrained
from slamflow.synthesis import batching, voices
from slamflow.synthesis.splitting import PAUSE, bare, split
from slamflow.training.device import prepare

LONGEST = 300  # characters of a piece; the model takes 510 phonemes
RATE = 24000  # Hz
TAGGER = "en_core_web_sm"
LANGUAGES = {"a": "American", "b": "British"}  # the first letter of a voice


def draw(
    synthesiser: Mapping[str, Any], seed: int, item: str, rendition: int
) -> tuple[str, None, None]:
    """The voice of an item's rendition: one of `voices`."""
    return voices.pick(list(synthesiser["voices"]), synthesiser, seed, item, rendition)


def speak(
    requests: Iterable[voices.Request], synthesiser: Mapping[str, Any], machine: Mapping[str, Any]
) -> Iterator[voices.Wave | str]:
    """Waves, with words, in the order of the requests.

    Args:
        synthesiser: `model` (a hub id, or a folder as hexgrad/Kokoro-82M: config.json, one .pth,
            voices/*.pt), `revision`, `voices` (as af_heart; English ones, which begin with a or
            b), `speed` (1 is the model's own).
        machine: `data_root`, `device`, `threads`.

    Raises:
        ValueError: the package, the model, spaCy's model or a voice is missing.
    """
    model = Kokoro(synthesiser, machine)
    for request in requests:
        yield model.speak(request)


class Kokoro:
    """The model, and a front end for each accent."""

    def __init__(self, synthesiser: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
        """Open what the voices need.

        Raises:
            ValueError: the package, the model, spaCy's model or a voice is missing.
        """
        package, names = _package(), list(synthesiser["voices"])
        for name in names:
            if name[:1] not in LANGUAGES:
                raise ValueError(f"synthesiser: kokoro: voice `{name}` does not begin with a or b")
        wanted = ["config.json", "*.pth", *(f"voices/{name}.pt" for name in names)]
        folder = pretrained.fetch(synthesiser, machine, wanted)
        self.device = prepare(machine)
        self.model = _model(package, folder).to(self.device).eval()
        self.styles = {name: _style(folder / "voices" / f"{name}.pt") for name in names}
        self.pipelines = {
            language: package.KPipeline(language, repo_id=str(synthesiser["model"]), model=False)
            for language in sorted({name[0] for name in names})
        }
        self.speed = float(synthesiser["speed"])

    def speak(self, request: voices.Request) -> voices.Wave | str:
        """One utterance, or the reason why there is none."""
        pipeline = self.pipelines[request.voice[0]]
        waves: list[np.ndarray] = []
        words: list[voices.Label] = []
        start, pause = 0, np.zeros(round(PAUSE * RATE), np.float32)
        try:
            for index, text in enumerate(split(request.text, LONGEST)):
                for part, tokens in enumerate(self._parts(pipeline, text)):
                    if waves:
                        waves.append(pause)
                        start += len(pause)
                    seed = f"{request.seed}/{index}/{part}"
                    samples = self._utter(pipeline, tokens, request.voice, seed)
                    words += _words(tokens, start / RATE, (start + len(samples)) / RATE)
                    waves.append(samples)
                    start += len(samples)
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            return f"synthesis failed: {_first(error)[:200]}"
        if not waves:
            return voices.NOTHING
        return voices.Wave(np.concatenate(waves), RATE, words)

    def _parts(self, pipeline: Any, text: str) -> Iterator[list[Any]]:
        """misaki's tokens in parts that the model takes, without those that have no phoneme."""
        _, tokens = pipeline.g2p(text)
        for _, phonemes, part in pipeline.en_tokenize(tokens):
            if phonemes.strip():
                yield part

    def _utter(self, pipeline: Any, tokens: list[Any], voice: str, seed: str) -> np.ndarray:
        phonemes = pipeline.tokens_to_ps(tokens)[: len(self.styles[voice])]
        style = self.styles[voice][len(phonemes) - 1]
        cards = [torch.device(self.device)] if self.device.startswith("cuda") else []
        with torch.random.fork_rng(cards), torch.inference_mode():
            torch.manual_seed(batching.number(seed))
            spoken = self.model(phonemes, style, self.speed, return_output=True)
        pipeline.join_timestamps(tokens, spoken.pred_dur)
        return spoken.audio.float().numpy()


def _words(tokens: list[Any], start: float, end: float) -> list[voices.Label]:
    words = []
    for token in tokens:
        label = bare(token.text)
        if label and token.start_ts is not None and token.end_ts is not None:
            first, last = start + token.start_ts, min(start + token.end_ts, end)
            if first < last:
                words.append({"label": label, "start": first, "end": last})
    return words


def _package() -> Any:
    try:
        package = importlib.import_module("kokoro")
        is_package = importlib.import_module("spacy.util").is_package
    except ImportError as error:
        raise ValueError(
            f"synthesiser: kokoro is not installed ({error}): pip install 'slamflow[kokoro]', with"
            " Python 3.11 or 3.12"
        ) from None
    if not is_package(TAGGER):  # it would be downloaded and installed in passing
        raise ValueError(
            f"synthesiser: kokoro needs spaCy's English model: python -m spacy download {TAGGER}"
        )
    return package


def _model(package: Any, folder: Path) -> Any:
    config, weights = folder / "config.json", sorted(folder.glob("*.pth"))
    if not config.is_file() or len(weights) != 1:
        raise ValueError(f"{folder}: is no Kokoro: needs config.json and one .pth")
    try:
        shape = json.loads(config.read_text("utf-8"))
        stored = torch.load(weights[0], map_location="cpu", weights_only=True, mmap=True)
        model = package.KModel(str(folder), config=shape, model=str(weights[0]))
    except Exception as error:  # unpickling refused, keys of another model, a damaged file
        raise ValueError(f"{folder}: cannot be opened as a Kokoro ({_first(error)})") from None
    found = {
        f"{part}.{name.removeprefix('module.')}" for part, held in stored.items() for name in held
    }
    if missing := sorted(set(model.state_dict()) - found):  # the package would not say so
        raise ValueError(f"{weights[0]}: lacks {missing[0]} and {len(missing) - 1} others")
    return model


def _style(path: Path) -> torch.Tensor:
    try:
        style: torch.Tensor = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such voice of Kokoro; mend `voices`") from None
    except Exception as error:
        raise ValueError(f"{path}: cannot be read as Kokoro's voice ({_first(error)})") from None
    return style


def _first(error: Exception) -> str:
    """The first sentence: torch's second one says how to unpickle all the same."""
    return str(error).strip().partition("\n")[0].partition(". ")[0] or type(error).__name__
