"""A bare process that holds espeak-ng and forks for each voice, and from there for each request.

espeak-ng keeps state between utterances, so the same text spoken twice in one process gives other
samples, and it seeds the noise of its breathy voices with the time. A child forked from a process
that has only initialised the library and loaded a voice, and with a seed of its own, always gives
the same samples. (To load the voice in each child would take longer than to speak a word.)
This process imports nothing but the standard library: its forks are cheap, and safe whatever
threads the caller runs. It is started by `slamflow.synthesis.espeak` as

    python -I espeak_server.py <libespeak-ng.so> <espeak-ng-data>

and answers each line of JSON on stdin on stdout, in order, with one line of JSON, followed by
`bytes` bytes of samples (16 bit, mono) if that line has this key.
"""

import ctypes
import json
import os
import signal
import sys
from typing import Any, BinaryIO

SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT; RETRIEVAL (1) starts a thread and hangs after a fork
PHONEME_EVENTS, DONT_EXIT = 0x1, 0x8000
CHARS_UTF8, PHONEMES_IN_BRACKETS = 0x1, 0x100
RATE, PITCH = 1, 3  # espeak_PARAMETER
EVENT_WORD, EVENT_PHONEME = 1, 7
SEPARATOR = "\x01"
NOISE_SEED = 1  # voices with breath or roughness are noisy
SECONDS = 300  # an utterance that takes longer hangs
KEEPERS = 32  # processes with a voice each


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("string", ctypes.c_ubyte * 8),
    ]


class _Voice(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),  # a priority byte, then the name
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def _load(library: str, data: str) -> tuple[ctypes.CDLL, int]:
    os.chdir(os.path.dirname(data))  # the library cuts data paths longer than 160 characters
    espeak = ctypes.CDLL(library)
    espeak.espeak_GetCurrentVoice.restype = ctypes.POINTER(_Voice)
    espeak.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    espeak.espeak_TextToPhonemes.restype = ctypes.c_char_p
    espeak.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
        ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    options = PHONEME_EVENTS | DONT_EXIT
    return espeak, espeak.espeak_Initialize(SYNCHRONOUS, 0, b".", options)


def _set_voice(espeak: ctypes.CDLL, identifier: str | None) -> None:
    """An unknown voice leaves the old one speaking, an unknown variant is dropped: check both."""
    if identifier is None:
        return
    status = espeak.espeak_SetVoiceByName(identifier.encode())
    current = espeak.espeak_GetCurrentVoice().contents.identifier.decode()
    if status or current != identifier:
        raise ValueError(f"voice {identifier} cannot be loaded (status {status}, got {current})")


def _voices(espeak: ctypes.CDLL, _: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    listed, found = espeak.espeak_ListVoices(None), []
    for voice in listed:
        if not voice:
            break
        languages = voice.contents.languages
        found.append([voice.contents.identifier.decode(), languages[0], languages[1:].decode()])
    return {"voices": found, "variants": os.listdir("espeak-ng-data/voices/!v")}, b""


def _phonemise(espeak: ctypes.CDLL, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    rest = ctypes.c_char_p(request["text"].encode())
    clauses = []
    while rest.value is not None:
        clause = espeak.espeak_TextToPhonemes(ctypes.byref(rest), CHARS_UTF8, ord(SEPARATOR) << 8)
        clauses.append((clause or b"").decode())
    return {"clauses": [clause for clause in clauses if clause]}, b""


def _speak(espeak: ctypes.CDLL, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    chunks: list[bytes] = []
    words: list[tuple[int, int]] = []
    phones: list[tuple[str, int]] = []

    def receive(samples: Any, count: int, events: Any) -> int:
        if count > 0:
            chunks.append(ctypes.string_at(samples, 2 * count))
        index = 0
        while (event := events[index]).type:
            if event.type == EVENT_WORD:
                words.append((event.text_position - 1, event.sample))
            elif event.type == EVENT_PHONEME:
                name = bytes(event.string).split(b"\0")[0].decode()
                phones.append((name, event.sample))
            index += 1
        return 0

    callback = _CALLBACK(receive)
    espeak.espeak_SetSynthCallback(callback)
    if status := espeak.espeak_ng_SetRandSeed(ctypes.c_long(NOISE_SEED)):
        raise ValueError(f"the noise cannot be seeded (status {status})")
    for parameter, value in ((RATE, request["rate"]), (PITCH, request["pitch"])):
        if espeak.espeak_SetParameter(parameter, value, 0):
            raise ValueError(f"parameter {parameter} cannot be set to {value}")
    text = request["text"].encode()
    flags = CHARS_UTF8 | (PHONEMES_IN_BRACKETS if request["phonemes"] else 0)
    if status := espeak.espeak_Synth(text, len(text) + 1, 0, 1, 0, flags, None, None):
        raise ValueError(f"espeak_Synth failed with status {status}")
    samples = b"".join(chunks)
    return {"words": words, "phones": phones, "bytes": len(samples)}, samples


def _child(espeak: ctypes.CDLL, request: dict[str, Any], stream: BinaryIO) -> None:
    signal.alarm(SECONDS)
    try:
        do = {"voices": _voices, "phonemise": _phonemise, "speak": _speak}[request["do"]]
        header, body = do(espeak, request)
    except Exception as error:
        header, body = {"error": str(error) or repr(error)}, b""
    stream.write(json.dumps(header).encode() + b"\n" + body)
    stream.flush()


def _answer(espeak: ctypes.CDLL, line: bytes) -> bytes:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            with os.fdopen(writing, "wb") as stream:
                _child(espeak, json.loads(line), stream)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        return json.dumps({"error": f"espeak-ng ended with status {status}"}).encode() + b"\n"
    return answer


class _Keepers:
    """Children of this process that have loaded a voice each, and answer what is asked of it."""

    def __init__(self, espeak: ctypes.CDLL, answers: BinaryIO) -> None:
        self._espeak, self._answers = espeak, answers
        self._running: dict[str | None, tuple[int, int]] = {}  # process, where it is asked
        signal.signal(signal.SIGCHLD, _end)

    def ask(self, voice: str | None, line: bytes) -> None:
        """Have a request answered.

        Raises:
            ValueError: the voice cannot be loaded.
        """
        if voice not in self._running:
            if len(self._running) == KEEPERS:
                self._stop(next(iter(self._running)))
            self._start(voice)
        os.write(self._running[voice][1], line)

    def _start(self, voice: str | None) -> None:
        told, telling = os.pipe()
        asked, asking = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for pipe in (told, asking, *(pipe for _, pipe in self._running.values())):
                    os.close(pipe)
                self._keep(voice, asked, telling)
                os._exit(0)
            finally:
                os._exit(1)
        os.close(telling)
        os.close(asked)
        self._running[voice] = process, asking
        with os.fdopen(told, "rb") as stream:
            failure = stream.read()
        if failure:
            self._stop(voice)
            raise ValueError(failure.decode())

    def _keep(self, voice: str | None, asked: int, telling: int) -> None:
        with os.fdopen(telling, "wb") as stream:
            try:
                _set_voice(self._espeak, voice)
            except ValueError as error:
                stream.write(str(error).encode())
        with os.fdopen(asked, "rb") as requests:
            for line in requests:
                self._answers.write(_answer(self._espeak, line))
                self._answers.flush()

    def _stop(self, voice: str | None) -> None:
        process, asking = self._running.pop(voice)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(asking)
        os.waitpid(process, 0)
        signal.signal(signal.SIGCHLD, _end)


def _end(*_: object) -> None:
    """Who waits for the answer of a child that died must not wait forever."""
    os._exit(1)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ends with its stdin
    espeak, rate = _load(sys.argv[1], sys.argv[2])
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(json.dumps({"sampling_rate": rate}).encode() + b"\n")
    answers.flush()
    keepers = _Keepers(espeak, answers)
    for line in requests:
        try:
            keepers.ask(json.loads(line).get("voice"), line)
        except ValueError as error:
            answers.write(json.dumps({"error": str(error)}).encode() + b"\n")
            answers.flush()


if __name__ == "__main__":
    main()
