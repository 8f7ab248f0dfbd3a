"""espeak-ng in-process from the wheel `espeakng-loader`: no system package, no download.

The same request gives the same samples whatever was spoken before (see `espeak_server`).
"""

import difflib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import espeakng_loader
import numpy as np

from slamflow.synthesis import alignments, espeak_server
from slamflow.synthesis.voices import NOTHING, SILENCE, Request, Wave, numbers
from slamflow.workers import in_order, number

STRESS = "',%="  # marks that espeak-ng puts before a phone
RATES, PITCHES = (80, 450), (0, 99)  # what espeak-ng can do; it clips other values silently


class EspeakError(Exception):
    """One request failed; the next may succeed."""


@dataclass(frozen=True)
class Spoken:
    """An utterance.

    `samples` is int16 [n] at `sampling_rate` Hz. `words` are (position of the word's first
    character in the text, first sample); a number or a compound gives several. `phones` are
    (espeak-ng's name without stress, first sample). Both are in order of time.
    """

    samples: np.ndarray
    sampling_rate: int
    words: list[tuple[int, int]]
    phones: list[tuple[str, int]]


class Espeak:
    """A process that speaks one request at a time; use one for each worker."""

    def __init__(self) -> None:
        command = [sys.executable, "-I", espeak_server.__file__]
        command += [espeakng_loader.get_library_path(), espeakng_loader.get_data_path()]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=-1
        )
        self.sampling_rate: int = self._read()[0]["sampling_rate"]
        if self.sampling_rate <= 0:
            raise OSError(f"espeak-ng cannot be initialised (status {self.sampling_rate})")
        self._identifiers: dict[str, str] = {}
        self._variants: list[str] = []
        self._resolved: dict[str, str] = {}

    def __enter__(self) -> "Espeak":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin and self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _read(self) -> tuple[dict[str, Any], bytes]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise OSError(f"espeak-ng's process ended with status {self._process.wait()}")
        header = json.loads(line)
        body = self._process.stdout.read(header.get("bytes", 0))
        if "error" in header:
            raise EspeakError(header["error"])
        return header, body

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        assert self._process.stdin
        with suppress(BrokenPipeError):  # then `_read` says what happened
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        return self._read()

    def _list(self) -> None:
        header, _ = self._ask({"do": "voices"})
        self._variants = sorted(header["variants"])
        voices = sorted(header["voices"], key=lambda voice: (voice[1], voice[0]))
        for identifier, _, _ in voices:
            for name in (identifier, identifier.rpartition("/")[2]):
                self._identifiers[name.lower()] = identifier
        for identifier, _, language in voices:
            self._identifiers.setdefault(language.lower(), identifier)

    def resolve(self, voice: str) -> str:
        """espeak-ng's identifier of `voice`: `en-us+f3` is `gmw/en-US+f3`, `en-gb` is `gmw/en`.

        Raises:
            ValueError: there is no such voice or variant, or it cannot be loaded or speak.
        """
        if voice in self._resolved:
            return self._resolved[voice]
        if not self._identifiers:
            self._list()
        name, plus, variant = voice.partition("+")
        identifier = self._identifiers.get(name.lower())
        if identifier is None:
            raise ValueError(
                f"espeak: unknown voice `{name}`{_nearest(name.lower(), self._identifiers)}"
            )
        if plus and variant not in self._variants:
            raise ValueError(
                f"espeak: unknown variant `{variant}` of voice `{voice}`"
                f"{_nearest(variant, self._variants)}"
            )
        identifier += plus + variant
        try:
            header, _ = self._ask({"do": "phonemise", "voice": identifier, "text": "a"})
        except EspeakError as error:
            raise ValueError(f"espeak: voice `{voice}` cannot be used: {error}") from None
        if not header["clauses"]:  # it would speak silence
            raise ValueError(
                f"espeak: voice `{voice}` cannot be used: espeakng-loader has no dictionary of it"
            )
        self._resolved[voice] = identifier
        return identifier

    def phonemise(self, text: str, voice: str) -> list[list[str]]:
        """Phoneme mnemonics with stress marks, a list for each word that espeak-ng makes of `text`.

        Raises:
            ValueError: unknown voice.
            EspeakError: espeak-ng failed on this text.
        """
        request = {"do": "phonemise", "voice": self.resolve(voice), "text": text}
        clauses = self._ask(request)[0]["clauses"]
        words = [word for clause in clauses for word in clause.split()]
        return [[phone for phone in word.split(espeak_server.SEPARATOR) if phone] for word in words]

    def speak(self, text: str, voice: str, rate: int, pitch: int, phonemes: bool = False) -> Spoken:
        """Speak `text` at `rate` words a minute (80–450) and `pitch` (0–99).

        Args:
            phonemes: read what stands in `[[…]]` as phoneme mnemonics.

        Raises:
            ValueError: unknown voice, or a rate or pitch that espeak-ng would clip.
            EspeakError: espeak-ng failed on this text.
        """
        for name, value, (low, high) in (("rate", rate, RATES), ("pitch", pitch, PITCHES)):
            if not low <= value <= high:
                raise ValueError(f"espeak: {name} {value} is not in {low}–{high}")
        request = {"do": "speak", "voice": self.resolve(voice), "text": text}
        header, body = self._ask(request | {"rate": rate, "pitch": pitch, "phonemes": phonemes})
        phones = [(_label(name), start) for name, start in header["phones"]]
        words = [(position, start) for position, start in header["words"]]
        samples = np.frombuffer(body, dtype="<i2")
        return Spoken(samples, self.sampling_rate, words, phones)


def draw(
    synthesiser: Mapping[str, Any], seed: int, item: str, rendition: int
) -> tuple[str, int, int]:
    """Voice, rate and pitch of an item's rendition, independent of all others.

    Args:
        synthesiser: `voices`, `rates` [low, high] in words a minute (80–450), `pitches` [low, high]
            (0–99), both ends included.

    Raises:
        ValueError: an impossible range.
    """
    for key, (low, high) in (("rates", RATES), ("pitches", PITCHES)):
        first, last = synthesiser[key]
        if not low <= first <= last <= high:
            raise ValueError(f"synthesiser: {key} [{first}, {last}] must rise within {low}–{high}")
    (slow, fast), (deep, shrill) = synthesiser["rates"], synthesiser["pitches"]
    first, second, third = numbers(seed, item, rendition)
    voice = synthesiser["voices"][first % len(synthesiser["voices"])]
    return voice, slow + second % (fast - slow + 1), deep + third % (shrill - deep + 1)


def speak(
    requests: Iterable[Request], synthesiser: Mapping[str, Any], machine: Mapping[str, Any]
) -> Iterator[Wave | str]:
    """Waves, with words and phones, in the order of the requests.

    Args:
        synthesiser: `voices`.
        machine: `workers`, how many processes speak at a time, by default `threads`.

    Raises:
        ValueError: an unknown voice.
    """
    with ExitStack() as stack:
        count = number(machine)
        free = [stack.enter_context(Espeak()) for _ in range(count)]
        for voice in synthesiser["voices"]:
            free[0].resolve(voice)

        def work(request: Request) -> Wave | str:
            engine = free.pop()
            try:
                return _utter(request, engine)
            finally:
                free.append(engine)

        yield from in_order(work, requests, count)


def _utter(request: Request, engine: Espeak) -> Wave | str:
    said = request.phonemes or request.text
    assert request.rate is not None and request.pitch is not None
    try:
        spoken = engine.speak(
            said, request.voice, request.rate, request.pitch, phonemes=bool(request.phonemes)
        )
    except EspeakError as error:
        return f"synthesis failed: {error}"
    if all(label == SILENCE for label, _ in spoken.phones):
        return NOTHING
    duration = len(spoken.samples) / spoken.sampling_rate
    return Wave(
        spoken.samples.astype(np.float32) / 32768,
        spoken.sampling_rate,
        alignments.words(spoken, said, request.text, duration),
        alignments.phones(spoken, duration),
    )


def _label(name: str) -> str:
    return SILENCE if name.startswith(SILENCE) else name.lstrip(STRESS)


def _nearest(name: str, known: Sequence[str] | dict[str, str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=4, cutoff=0.4)
    return f"; nearest: {', '.join(close)}" if close else ""
