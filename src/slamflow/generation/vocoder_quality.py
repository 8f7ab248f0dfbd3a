"""How well a vocoder is understood: by the tokeniser whose units it speaks, and by pocketsphinx.

Its speech of a corpus's units is tokenised again, and heard, beside the corpus itself. What is to
be expected at worst say units in another order, and how much units change where nothing audible
does, says the same speech with its sign changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from slamflow import audio, files, logs, workers
from slamflow.generation import sphinx
from slamflow.generation.words import word_error_rate, words
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import tokenising, utterances
from slamflow.tokeniser.runs import runs
from slamflow.vocoder import vocoding
from slamflow.vocoder.error_rate import unit_error_rate

RATE = sphinx.SAMPLING_RATE
SEED = 0  # of the units' other order


@dataclass(frozen=True)
class Utterance:
    """What was said, its wave at RATE, its units, and how many frames each lasts."""

    name: str
    text: str
    wave: np.ndarray
    units: np.ndarray
    counts: np.ndarray


def measure(
    config: Mapping[str, Any],
    speech: Sequence[Path],
    units: Sequence[Path],
    text: Sequence[Path],
    vocoder: Path,
    codebook: Path,
    hubert: Path | None,
    output: Path,
    machine: Mapping[str, Any],
    label: str = "measure_vocoder",
) -> None:
    """Write, as JSON, for each corpus `unit_error_rate`, `word_error_rate` and their counts.

    Args:
        config: `utterances`: how many of each corpus, spread over it.
        speech, units: tables of the same utterances, one by one; their folder is the corpus.
        text: speech tables whose texts tell pocketsphinx which words follow which.
        vocoder: its folder.
        codebook: kmeans.safetensors of the units' tokeniser.
        hubert: model.safetensors; None for MFCC.
        machine: see `encoder.open_encoder`; `data_root`; `workers`, processes that listen, by
            default `threads`.

    Raises:
        ValueError: what is given does not belong together; a corpus has no text.
    """
    opened, centroids = tokenising.open_tokeniser(codebook, hubert, machine)
    made = vocoding.load(vocoder, codebook, opened.device)

    def tokenised(waves: Sequence[np.ndarray], path: Path) -> list[np.ndarray]:
        read = (({"id": str(number)}, wave) for number, wave in enumerate(waves))
        found = tokenising.tokenise(opened, centroids, read, path)
        return [runs(frames)[0] for _, _, frames in sorted(found, key=lambda entry: entry[0])]

    measured = {}
    with sphinx.language_model(sphinx.texts_of(text)) as folder:
        for corpus, tables in _corpora(speech, units).items():
            path = tables[0][0]
            chosen = list(_chosen(tables, int(config["utterances"]), machine))
            if not any(words(each.text) for each in chosen):
                raise ValueError(f"{path}: has no texts, with which speech could be compared")
            drawn = np.random.default_rng(SEED)
            orders = [drawn.permutation(len(each.units)) for each in chosen]
            spoken = {
                "original": [each.wave for each in chosen],
                "resynthesis": _spoken(made, chosen),
                "shuffled": _spoken(made, chosen, orders),
            }
            again = {
                "resynthesis": spoken["resynthesis"],
                "shuffled": spoken["shuffled"],
                "sign changed": [-each.wave for each in chosen],
            }
            logs.say(f"{label}: listens to {corpus}")
            measured[corpus] = {
                "utterances": len(chosen),
                "units": sum(len(each.units) for each in chosen),
                "words": sum(len(words(each.text)) for each in chosen),
                "unit_error_rate": {
                    name: unit_error_rate(
                        zip((each.units for each in chosen), tokenised(waves, path), strict=True)
                    )
                    for name, waves in again.items()
                },
                "word_error_rate": {
                    name: _word_error_rate(chosen, waves, folder, machine)
                    for name, waves in spoken.items()
                },
            }
    files.write_json(measured, output)


def _word_error_rate(
    chosen: Sequence[Utterance],
    waves: Sequence[np.ndarray],
    language_model: Path,
    machine: Mapping[str, Any],
) -> float:
    heard = sphinx.transcribe(waves, RATE, language_model, workers.number(machine))
    return word_error_rate(zip((each.text for each in chosen), heard, strict=True))


def _spoken(
    vocoder: Any, chosen: Sequence[Utterance], orders: Sequence[np.ndarray] | None = None
) -> list[np.ndarray]:
    """Waves at RATE of the utterances' units, as they are or in other orders."""
    found = []
    for number, each in enumerate(chosen):
        order = slice(None) if orders is None else orders[number]
        [wave] = vocoding.vocode(vocoder, [each.units[order]], [each.counts[order]], [each.name])
        found.append(audio.resample(wave, int(vocoder.config.sampling_rate), RATE))
    return found


def _corpora(speech: Sequence[Path], units: Sequence[Path]) -> dict[str, list[tuple[Path, Path]]]:
    found: dict[str, list[tuple[Path, Path]]] = {}
    for pair in zip(speech, units, strict=True):
        found.setdefault(pair[0].parent.name, []).append(pair)
    return found


def _chosen(
    tables: Sequence[tuple[Path, Path]], count: int, machine: Mapping[str, Any]
) -> Iterator[Utterance]:
    """`count` utterances, evenly spread over the tables; all, if there are not so many."""
    names = ("id", "units", "durations")
    rows = [
        (speech, row)
        for speech, path in tables
        for row in files.read_table(path, units_table.SCHEMA, names).to_pylist()
        if row["units"]
    ]
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)
    taken = {(rows[place][0], rows[place][1]["id"]): rows[place][1] for place in places}
    for path, _ in tables:
        texts = files.read_table(path, speech_table.SCHEMA, ("id", "text"))
        said = dict(zip(*(texts[name].to_pylist() for name in ("id", "text")), strict=True))
        those = {name for table, name in taken if table == path}
        for row, wave in utterances.read(path, RATE, utterances.root(machine), those):
            name, found = row["id"], taken[path, row["id"]]
            arrays = (np.array(found[key], dtype=np.int64) for key in ("units", "durations"))
            yield Utterance(f"{path}: {name}", said[name] or "", wave, *arrays)
