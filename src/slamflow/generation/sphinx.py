"""Transcripts by pocketsphinx, whose wheel holds a model of English and CMU's dictionary.

The words that it may hear, and which follows which, are those of a corpus: it is told much of what
can be said. So its word error rates compare one voice with another; a low one is no proof that
people would understand, nor is a transcript in the corpus's grammar that the grammar was spoken.
"""

import functools
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pocketsphinx

from slamflow import audio, files, orphans
from slamflow.alignment import sphinx
from slamflow.generation import bigrams
from slamflow.generation.words import words
from slamflow.synthesis import arpabet
from slamflow.synthesis.espeak import Espeak, EspeakError
from slamflow.tables import speech as speech_table
from slamflow.workers import in_order, number

SAMPLING_RATE = sphinx.SAMPLING_RATE
ARPA, DICTIONARY = "words.arpa", "words.dict"


def texts_of(speech: Iterable[Path]) -> Iterator[str]:
    """The texts of speech tables, where there are such."""
    for path in speech:
        found = files.read_table(path, speech_table.SCHEMA, ("text",))["text"].to_pylist()
        yield from filter(None, found)


@contextmanager
def language_model(texts: Iterable[str]) -> Iterator[Path]:
    """Yield a folder with what `transcribe` may hear, which is there while the block runs.

    It holds a bigram model of the texts' words and how they are said: as CMU's dictionary has it,
    others as espeak-ng says them. Words that neither can say are taken out of the texts.

    Raises:
        ValueError: the texts have no word.
    """
    said = [words(text) for text in texts]
    known = _pronunciations(sorted({word for text in said for word in text}))
    with tempfile.TemporaryDirectory(prefix="slamflow-") as name:
        folder = Path(name)
        lines = [f"{entry} {phones}\n" for found in known.values() for entry, phones in found]
        (folder / DICTIONARY).write_text("".join(lines), encoding="utf-8")
        bigrams.write(([word for word in text if word in known] for text in said), folder / ARPA)
        yield folder


def listen(
    waves: Iterable[np.ndarray],
    config: Mapping[str, Any],
    machine: Mapping[str, Any],
    texts: Sequence[Path],
) -> Iterator[str]:
    """The words of each wave, in order, by a model of the texts of speech tables.

    Args:
        waves: float32 [samples] at SAMPLING_RATE.
        config: nothing of it is used.
        machine: `threads`: how many processes listen.
        texts: the tables.
    """
    with language_model(texts_of(texts)) as folder:
        yield from transcribe(waves, SAMPLING_RATE, folder, number(machine))


def transcribe(
    waves: Iterable[np.ndarray], rate: int, language_model: Path, workers: int = 1
) -> Iterator[str]:
    """The words heard in each wave, in order, with blanks between them; none in silence.

    Args:
        waves: float32 [samples].
        rate: their sampling rate (Hz).
        language_model: the folder of `language_model`.
        workers: processes that listen.
    """
    listen = functools.partial(_heard, str(language_model), rate)
    return in_order(listen, waves, workers, 8, orphans.processes)


def _heard(language_model: str, rate: int, wave: np.ndarray) -> str:
    decoder = _decoder(language_model)
    if len(wave) * sphinx.FRAME_RATE < sphinx.LEAST * rate:
        return ""
    try:
        sphinx.hear(decoder, audio.resample(wave, rate, SAMPLING_RATE))
        best = decoder.hyp()
    except RuntimeError:  # digital silence
        _decoder.cache_clear()  # what failed half-way is not used again
        return ""
    return str(best.hypstr) if best else ""


@functools.cache
def _decoder(language_model: str) -> Any:
    folder = Path(language_model)
    paths = {"lm": str(folder / ARPA), "dict": str(folder / DICTIONARY)}
    return pocketsphinx.Decoder(**paths, loglevel="FATAL")


def _pronunciations(wanted: Sequence[str]) -> Mapping[str, list[tuple[str, str]]]:
    """Entries of a dictionary and their phones for each word that can be said."""
    found: dict[str, list[tuple[str, str]]] = {}
    known = set(wanted)
    path = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))
    for line in path.read_text(encoding="utf-8").splitlines():
        entry, _, phones = line.partition(" ")
        word = entry.partition("(")[0]  # `read(2)` is another way to say `read`
        if word in known:
            found.setdefault(word, []).append((entry, phones))
    if absent := [word for word in wanted if word not in found]:
        with Espeak() as espeak:
            for word in absent:
                if phones := _said(espeak, word):
                    found[word] = [(word, phones)]
    return dict(sorted(found.items()))


def _said(espeak: Espeak, word: str) -> str:
    """A word's phones as espeak-ng says it; empty if it cannot, or would name its letters."""
    if "(" in word or not sphinx.latin(word):
        return ""
    try:
        said = espeak.phonemise(word, arpabet.VOICE)
    except EspeakError:
        return ""
    return " ".join(sphinx.pronounced([each for part in said for each in part]) or [])
