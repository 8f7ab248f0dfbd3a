"""Any program that reads a text and writes a wav, flite for one.

It is started once for an utterance, without a shell, with its placeholders replaced. A text that
begins with a dash may look like an option to it: `{text_file}` is safer than `{text}`.
"""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from slamflow import workers
from slamflow.synthesis import voices

PLACEHOLDERS = ("text", "text_file", "wav", "voice", "seed")


def draw(
    synthesiser: Mapping[str, Any], seed: int, item: str, rendition: int
) -> tuple[str, None, None]:
    """The voice of an item's rendition: one of `voices`, or `command` if there are none."""
    return voices.pick(list(synthesiser.get("voices") or []), synthesiser, seed, item, rendition)


def speak(
    requests: Iterable[voices.Request], synthesiser: Mapping[str, Any], machine: Mapping[str, Any]
) -> Iterator[voices.Wave | str]:
    """Waves, without alignments, in the order of the requests.

    Args:
        synthesiser: `command`, a list of words with `{text}` or `{text_file}` (UTF-8), `{wav}`,
            and perhaps `{voice}` and `{seed}` (a number below 2^31, another for each utterance);
            `voices`; `seconds` that an utterance may take.
        machine: `workers`, how many programs run at a time, by default `threads`.

    Raises:
        ValueError: there is no such program, or a placeholder is missing.
    """
    command, named = [str(word) for word in synthesiser["command"]], synthesiser.get("voices")
    used = {name for word in command for name in PLACEHOLDERS if f"{{{name}}}" in word}
    if "wav" not in used or not used & {"text", "text_file"}:
        raise ValueError("synthesiser: command needs {wav}, and {text} or {text_file}")
    if named and len(named) > 1 and "voice" not in used:
        raise ValueError("synthesiser: voices differ only if command has {voice}")
    program = shutil.which(command[0])
    if program is None:
        raise ValueError(f"synthesiser: there is no program `{command[0]}`; install it")

    def work(request: voices.Request) -> voices.Wave | str:
        return _utter(request, [program, *command[1:]], float(synthesiser["seconds"]))

    yield from workers.in_order(work, requests, workers.number(machine))


def _utter(request: voices.Request, command: list[str], seconds: float) -> voices.Wave | str:
    with tempfile.TemporaryDirectory(prefix="slamflow-") as folder:
        text, wav = Path(folder, "text.txt"), Path(folder, "speech.wav")
        text.write_text(request.text + "\n", encoding="utf-8")
        seed = int.from_bytes(hashlib.sha256(request.seed.encode()).digest()[:4], "big") >> 1
        values = {
            "text": request.text,
            "text_file": str(text),
            "wav": str(wav),
            "voice": request.voice,
            "seed": str(seed),
        }
        pattern = r"\{(" + "|".join(PLACEHOLDERS) + r")\}"
        words = [re.sub(pattern, lambda found: values[found[1]], word) for word in command]
        if reason := _run(words, Path(folder), seconds):
            return f"synthesis failed: {reason}"
        try:
            samples, rate = soundfile.read(wav, dtype="float32", always_2d=True)
        except (OSError, soundfile.SoundFileError):
            what = "an unreadable wav" if wav.exists() else "no wav"
            return f"synthesis failed: the program wrote {what}"
    return voices.Wave(samples.mean(axis=1, dtype=np.float32), int(rate))


def _run(words: list[str], folder: Path, seconds: float) -> str | None:
    """Why a program failed, or None. It and its children are ended when its time is over."""
    errors = folder / "errors.txt"
    with errors.open("wb") as stream:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        except OSError as error:
            return str(error.strerror)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"not done in {seconds:g} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if status == 0:
        return None
    with errors.open("rb") as stream:
        stream.seek(max(0, errors.stat().st_size - 2000))
        lines = stream.read().decode(errors="replace").strip().splitlines()
    return f"exit status {status}" + (f", {lines[-1][:200]}" if lines else "")
