"""Units to an audio file, by a vocoder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from slamflow import files
from slamflow.commands import opening
from slamflow.training.device import prepare
from slamflow.vocoder import vocoding

DEFAULT = opening.SHIPPED / "vocoder-pocket"


def folder(given: str | None, model: Path) -> Path:
    """The folder of a vocoder.

    Args:
        given: a folder or a repository of the hub; None: the model's own, or that of `pocket`.

    Raises:
        ValueError: there is none.
    """
    if given is None:
        for own in (model / opening.VOCODER, DEFAULT):
            if own.is_dir():
                return own
        raise ValueError("--vocoder: is needed, since neither the model nor Slamflow brings one")
    found = opening.folder(given)
    return found / opening.VOCODER if (found / opening.VOCODER).is_dir() else found


def speak(
    units: Sequence[int],
    vocoder: Path,
    codebook: Path,
    output: Path,
    machine: Mapping[str, Any],
    voice: str | None = None,
) -> float:
    """Write what units sound like, in 16 bits; returns its seconds.

    Args:
        units: integers [n]; repeats are removed.
        vocoder: its folder.
        codebook: kmeans.safetensors of the units' tokeniser.
        output: .wav or .flac.
        voice: one of those that the vocoder has learnt; None: its first.

    Raises:
        ValueError: there are no units, or the vocoder does not speak those of this tokeniser, or
            not in this voice.
    """
    if not len(units):
        raise ValueError("the model ended at once; try another --seed, or without --alone")
    said = np.asarray(units, dtype=np.int64)
    opened = vocoding.load(vocoder, codebook, prepare(machine))
    learnt = getattr(opened.config, "voices", None) or [opened.config.voice]
    if voice not in (None, *learnt):
        raise ValueError(f"--voice {voice}: {vocoder} speaks as {', '.join(map(str, learnt))}")
    [wave] = vocoding.vocode(opened, [said[np.diff(said, prepend=-1) != 0]], speakers=[voice])
    rate = int(opened.config.sampling_rate)
    with files.replacing(output) as temporary:
        kind = output.suffix[1:].upper()
        soundfile.write(temporary, wave, rate, format=kind, subtype="PCM_16")
    return len(wave) / rate
