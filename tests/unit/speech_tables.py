"""Small real speech tables for the tests: tones that glide between a few vowels and silence."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from slamflow import audio, files
from slamflow.tables import speech as speech_table

RATE = 16_000
VOWELS = {"a": (800, 1300), "i": (300, 2300), "u": (350, 800), "o": (500, 900)}  # formants, Hz


def speak(phones: list[str], pitch: float, rng: np.random.Generator) -> tuple[np.ndarray, list]:
    """A wave [samples] of vowels ("_" is silence) of about 0.15 s each, and its alignment."""
    parts, labels, start = [], [], 0.0
    for phone in phones:
        time = np.arange(int(RATE * rng.uniform(0.1, 0.2))) / RATE
        part = np.zeros(len(time))
        for formant in VOWELS.get(phone, ()):
            harmonic = pitch * round(formant / pitch)
            part += 0.2 * np.sin(2 * np.pi * harmonic * time)
        parts.append(part + 1e-3 * rng.standard_normal(len(time)))
        end = start + len(time) / RATE
        labels.append({"label": phone, "start": start, "end": end})
        start = end
    return np.concatenate(parts).astype(np.float32), labels


def table(count: int, seed: int = 0, phones: bool = True) -> pa.Table:
    """A speech table of `count` utterances of 0.5 to 4 s by two speakers."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for index in range(count):
        speaker = int(rng.integers(2))
        names = [str(n) for n in rng.choice([*VOWELS, "_"], size=rng.integers(5, 20))]
        wave, labels = speak(names, (110.0, 190.0)[speaker], rng)
        rows.append(
            {
                "id": f"u{seed}-{index:03}",
                "item": f"u{seed}-{index:03}",
                "role": "document",
                "group": "",
                "rendition": 0,
                "text": " ".join(names),
                "speaker": f"s{speaker}",
                "audio": {"bytes": audio.encode_flac(wave, RATE), "path": None},
                "sampling_rate": RATE,
                "duration": len(wave) / RATE,
                "phones": labels if phones else None,
            }
        )
    return pa.Table.from_pylist(rows, schema=speech_table.SCHEMA)


def write(path: Path, count: int, seed: int = 0, phones: bool = True) -> Path:
    """Write such a table."""
    files.write_table(table(count, seed, phones), path, speech_table.SCHEMA)
    return path
