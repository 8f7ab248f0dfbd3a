"""Lay out the speech of a finished `pocket` as others lay out theirs, to measure how it is read.

    python speed/sources.py results /path/to/sources      # writes data, and sources.yaml there
    python -m http.server 8765 --bind 127.0.0.1 --directory /path/to/sources/web
    snakemake --cores 2 results/eval.tsv --configfile /path/to/sources/sources.yaml
    python speed/rates.py results --configfile /path/to/sources/sources.yaml

An archive of FLAC files, Parquet tables with audio inside, sBLIMP's, StoryCloze's and SALMon's
folders, and a codebook that was fitted elsewhere. The second line is for another terminal.
"""

import csv
import io
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import soundfile
import yaml

ADDRESS = "http://127.0.0.1:8765/stories.tar"


def main() -> None:
    results, folder = (Path(path).resolve() for path in sys.argv[1:3])
    speech = results / "speech"
    for place in ("web", "tables", "syntactic/dev"):
        (folder / place).mkdir(parents=True)
    for path in sorted((speech / "stories").glob("*.parquet")):
        shutil.copy(path, folder / "tables" / f"train-{path.name}")
    shutil.copy(results / "tokenisers/hubert/kmeans.safetensors", folder)
    _archive(speech / "stories", folder / "web" / "stories.tar")
    _syntactic(speech / "syntactic", folder / "syntactic" / "dev")
    for number, row in _members(speech / "topic-cloze"):
        right = row["role"] == "positive"
        _wav(row, folder / "cloze" / f"{number}_{'correct' if right else 'incorrect'}.wav")
        _wav(row, folder / "salmon/gender_consistency" / f"sample_{number}_{int(not right)}.wav")
    (folder / "sources.yaml").write_text(yaml.safe_dump(_config(folder), sort_keys=False))


def _members(corpus: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of an utterance's item, and the utterance."""
    numbers: dict[str, int] = {}
    for path in sorted(corpus.glob("*.parquet")):
        for row in pq.read_table(path).to_pylist():
            yield numbers.setdefault(row["item"], len(numbers)), row


def _archive(corpus: Path, path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for _, row in _members(corpus):
            member = tarfile.TarInfo(f"stories/{row['id']}.flac")
            member.size = len(row["audio"]["bytes"])
            archive.addfile(member, io.BytesIO(row["audio"]["bytes"]))


def _syntactic(corpus: Path, folder: Path) -> None:
    with (folder / "gold.csv").open("w", newline="") as file:
        gold = csv.writer(file)
        gold.writerow("id filename voice type subtype transcription correct".split())
        for place, (number, row) in enumerate(_members(corpus)):
            _wav(row, folder / f"{place}.wav")
            right = int(row["role"] == "positive")
            gold.writerow([number, place, row["speaker"], row["group"], "", row["text"], right])


def _wav(row: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")
    soundfile.write(path, samples, rate)


def _config(folder: Path) -> dict[str, Any]:
    size = (folder / "web" / "stories.tar").stat().st_size / 1e9
    sources = {
        "archived": {"kind": "audio", "download": "stories", "pattern": "**/*.flac", "shards": 2},
        "tables": {"kind": "parquet", "folder": "tables", "shards": 2},
        "official": {"kind": "zerospeech", "folder": ".", "task": "syntactic", "split": "dev"},
        "cloze": {"kind": "storycloze", "folder": "cloze"},
        "salmon": {"kind": "salmon", "folder": "salmon", "parts": ["gender_consistency"]},
    }
    asked = ["official", "cloze", "salmon"]
    fitted = {"frames": None, "file": "kmeans.safetensors"}
    heard = ["archived", "tables"]
    return {
        "recipe": "pocket",
        "data_root": str(folder),
        "downloads": {
            "stories": {"kind": "archive", "archives": [{"url": ADDRESS, "gigabytes": size}]}
        },
        "corpora": {name: {"source": source} for name, source in sources.items()},
        "tokenisers": {
            "given": {"like": "hubert", "corpora": None, "quality": None, "kmeans": fitted}
        },
        "mixtures": {
            "given": {"tokeniser": "given", "corpora": heard, "packing": {"context": 512}}
        },
        "models": {"given": {"kind": "ngram", "mixture": "given", "order": 2}},
        "benchmarks": {name: {"corpus": name} for name in asked},
        "evaluate": [{"models": ["given"], "benchmarks": asked}],
    }


if __name__ == "__main__":
    main()
