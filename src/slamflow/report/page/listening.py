"""Listen: some prompts as recorded, spoken again from units, and as models go on after them."""

import base64
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import soundfile

from slamflow import audio, files
from slamflow.report.page import resynthesis
from slamflow.report.page.material import Material
from slamflow.tables import speech as speech_table
from slamflow.tables import transcripts as transcripts_table

PROMPTS, MODELS = 4, 6  # shown, of a benchmark
RATE = 16_000  # Hz
LONGEST = 20.0  # s of a clip
COLUMNS = ["id", "text", "audio", "start", "end", "sampling_rate"]


def build(material: Material) -> dict[str, Any] | str:
    """Of each benchmark that a vocoder speaks, PROMPTS prompts with all their voices."""
    heard = material.block["spoken"]
    if not heard:
        return "no benchmark of this run names a vocoder, so that nothing was spoken by models."
    galleries = []
    for place in dict.fromkeys(_place(it) for it in heard):
        those = [it for it in heard if _place(it) == place]
        if prompts := _prompts(material, those):
            missing = _missing(material, those[0])
            galleries.append({**those[0], "prompts": prompts, "missing": missing})
    if not galleries:
        return "the speech of the models is not there any more."
    return {"galleries": galleries}


def _place(it: dict[str, str]) -> tuple[str, str, str]:
    """What a gallery is of: its models read the same units."""
    return it["vocoder"], it["corpus"], it["tokeniser"]


def _missing(material: Material, it: dict[str, str]) -> list[str]:
    """What speaking again would need, and is not there."""
    return [
        it[key] for key in ("weights", "codebook") if not (material.checkout / it[key]).exists()
    ]


def _chosen(material: Material, heard: list[dict[str, str]]) -> dict[str, tuple[str, Path]]:
    """At most MODELS, those with an aligned model first, each before what became of it.

    Returns:
        of each, the benchmark and the table of its speech.
    """
    found: dict[str, tuple[str, Path]] = {}
    for it in heard:
        path = (
            material.results / "voices" / it["vocoder"] / it["model"] / f"{it['benchmark']}.parquet"
        )
        if path.exists():
            found.setdefault(it["model"], (it["benchmark"], path))
    aligned = [name for name in found if material.kind(name) == "aligned"]
    both = [each for name in aligned for each in (material.start(name), name)]
    order = [name for name in dict.fromkeys([*both, *found]) if name in found]
    return {name: found[name] for name in order[:MODELS]}


def _prompts(material: Material, heard: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Prompts with their voices.

    Args:
        heard: entries of `spoken` of one vocoder, corpus and tokeniser.
    """
    results, first = material.results, heard[0]
    models = _chosen(material, heard)
    if not models:
        return []
    ids = _common([path for _, path in models.values()])
    found: dict[str, list[dict[str, Any]]] = {each: [] for each in ids}

    def add(name: str, label: str, samples: np.ndarray, said: str | None) -> None:
        voice = {"label": label, "kind": material.kind(label), "said": said}
        found[name].append({**voice, "clip": _clip(samples)})

    for row in _rows(material.shards("speech", first["corpus"]), ids):
        add(row["id"], "original", audio.read_audio(row, material.data_root, RATE), row["text"])
    if not _missing(material, first):
        units = material.shards(f"units/{first['tokeniser']}", first["corpus"])
        weights, codebook = (material.checkout / first[key] for key in ("weights", "codebook"))
        again = resynthesis.speak(weights, codebook, units, ids, RATE)
        for name, samples in again.items():
            add(name, "spoken again from its units", samples, None)
    for model, (benchmark, path) in models.items():
        said = results / "transcripts" / first["vocoder"] / model / f"{benchmark}.parquet"
        texts = _transcripts(said)
        for row in _rows([path], ids):
            samples = audio.read_audio(row, material.data_root, RATE)
            add(row["id"], model, samples, texts.get(row["id"]))
    return [{"id": each, "voices": voices} for each, voices in found.items() if voices]


def _common(tables: list[Path]) -> list[str]:
    """PROMPTS utterances, evenly drawn from those that all tables have, or else the first."""
    found = [files.read_table(path, speech_table.SCHEMA, ["id"]) for path in tables]
    names = [table["id"].to_pylist() for table in found]
    shared = set(names[0]).intersection(*names[1:]) or set(names[0])
    ids = [name for name in dict.fromkeys(names[0]) if name in shared]
    places = np.linspace(0, len(ids) - 1, min(PROMPTS, len(ids))).astype(int)
    return [ids[place] for place in places]


def _rows(paths: Iterable[Path], ids: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of speech tables with these ids; only their audio is read."""
    for path in paths:
        names = files.read_table(path, speech_table.SCHEMA, ["id"])["id"]
        wanted = pc.is_in(names, pa.array(ids, pa.string())).combine_chunks()
        if wanted.true_count:
            yield from files.read_table(path, speech_table.SCHEMA, COLUMNS, wanted).to_pylist()


def _transcripts(path: Path) -> dict[str, str]:
    """What was heard, by id; with the prompt, if that was heard by itself."""
    if not path.exists():
        return {}
    rows = files.read_table(path, transcripts_table.SCHEMA).to_pylist()
    return {row["id"]: " … ".join(filter(None, (row["prompt"], row["text"]))) for row in rows}


def _clip(samples: np.ndarray) -> str:
    """Audio as MP3, which all browsers play, in base64."""
    stream = io.BytesIO()
    soundfile.write(stream, samples[: round(LONGEST * RATE)], RATE, format="MP3")
    return base64.b64encode(stream.getvalue()).decode()
