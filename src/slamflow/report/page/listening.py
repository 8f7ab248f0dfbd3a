"""Listen: some prompts as recorded, spoken again from units, and as models go on after them."""

import base64
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import soundfile

from slamflow import audio, files
from slamflow.report.page.material import Material
from slamflow.tables import speech as speech_table

PROMPTS, MODELS = 4, 6  # shown, of a benchmark
RATE = 16_000  # Hz
LONGEST = 20.0  # s of a clip
COLUMNS = ["id", "text", "audio", "start", "end", "sampling_rate"]


def build(material: Material) -> dict[str, Any] | str:
    """Of each benchmark that a vocoder speaks, PROMPTS prompts with all their voices."""
    heard = material.block["spoken"]
    if not heard:
        return "no benchmark of this run names a vocoder, so that nothing was spoken by models."
    places = dict.fromkeys((it["vocoder"], it["benchmark"], it["corpus"]) for it in heard)
    galleries = []
    for vocoder, benchmark, corpus in places:
        spoken = (vocoder, benchmark)
        models = [it["model"] for it in heard if (it["vocoder"], it["benchmark"]) == spoken]
        prompts = _prompts(material, vocoder, benchmark, corpus, _chosen(material, models))
        if prompts:
            galleries.append({"benchmark": benchmark, "vocoder": vocoder, "prompts": prompts})
    if not galleries:
        return "the speech of the models is not there any more."
    return {"galleries": galleries}


def _chosen(material: Material, models: list[str]) -> list[str]:
    """At most MODELS; those with an aligned model come first, each before what became of it."""
    facts = material.block["models"]
    aligned = [name for name in models if material.kind(name) == "aligned"]
    both = [each for name in aligned for each in (facts[name]["start"], name) if each in models]
    return list(dict.fromkeys([*both, *models]))[:MODELS]


def _prompts(
    material: Material, vocoder: str, benchmark: str, corpus: str, models: list[str]
) -> list[dict[str, Any]]:
    results = material.results
    folder = results / "voices" / vocoder
    voices = {name: folder / name / f"{benchmark}.parquet" for name in models}
    voices = {name: path for name, path in voices.items() if path.exists()}
    if not voices:
        return []
    ids = pq.read_table(next(iter(voices.values())), columns=["id"])["id"].to_pylist()
    ids = [ids[place] for place in np.linspace(0, len(ids) - 1, min(PROMPTS, len(ids))).astype(int)]
    spoken = results / "resyntheses" / vocoder / f"{corpus}.parquet"
    sources: list[tuple[str, list[Path], Path | None]] = [
        ("original", sorted((results / "speech" / corpus).glob("*.parquet")), None),
        ("spoken again from its units", [spoken] if spoken.exists() else [], None),
    ]
    sources += [
        (name, [path], results / "transcripts" / vocoder / name / f"{benchmark}.parquet")
        for name, path in voices.items()
    ]
    found: dict[str, list[dict[str, Any]]] = {each: [] for each in ids}
    for label, paths, transcripts in sources:
        texts = _transcripts(transcripts)
        for row in _rows(paths, ids):
            clip = _clip(row, material.data_root)
            said = texts.get(row["id"]) if transcripts else row["text"]
            voice = {"label": label, "kind": material.kind(label), "said": said, "clip": clip}
            found[row["id"]].append(voice)
    return [{"id": each, "voices": voices} for each, voices in found.items() if voices]


def _rows(paths: Iterable[Path], ids: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of speech tables with these ids; only their audio is read."""
    for path in paths:
        names = files.read_table(path, speech_table.SCHEMA, ["id"])["id"]
        wanted = pc.is_in(names, pa.array(ids, pa.string())).combine_chunks()
        if wanted.true_count:
            yield from files.read_table(path, speech_table.SCHEMA, COLUMNS, wanted).to_pylist()


def _transcripts(path: Path | None) -> dict[str, str]:
    if path is None or not path.exists():
        return {}
    table = pq.read_table(path, columns=["id", "text"])
    return dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))


def _clip(row: dict[str, Any], data_root: Path | None) -> str:
    """The audio of a row as MP3, which all browsers play, in base64."""
    samples = audio.read_audio(row, data_root, RATE)[: round(LONGEST * RATE)]
    stream = io.BytesIO()
    soundfile.write(stream, samples, RATE, format="MP3")
    return base64.b64encode(stream.getvalue()).decode()
