"""Downloads, listings and cutting in one real run: from two servers to `eval.tsv`."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from loopback import Hub, Server, packed, serving, zipped
from running import TARGET, planned_jobs, run_snakemake

from slamflow import audio
from slamflow.synthesis.espeak import Espeak

SENTENCES = [
    "The dog ran home before the rain.", "A small bird sang in the old tree.",
    "She gave the boy a red apple.", "They walked to the river and sat down.",
    "He lost his hat in the wind.", "We baked bread for all our friends.",
]  # fmt: skip
AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
WORDS = pa.list_(
    pa.struct([("word", pa.string()), ("start_time", pa.float64()), ("end_time", pa.float64())])
)


@pytest.fixture(scope="module")
def spoken() -> list[bytes]:
    """The sentences as FLAC of 22,050 Hz."""
    with Espeak() as engine:
        said = [engine.speak(text, "en-us", 180, 50) for text in SENTENCES]
    return [
        audio.encode_flac(it.samples.astype(np.float32) / 32768, it.sampling_rate) for it in said
    ]


def parquet(spoken: list[bytes]) -> bytes:
    columns = {
        "audio": pa.array([{"bytes": it, "path": None} for it in spoken], AUDIO),
        "text": pa.array(SENTENCES),
        "aligned_text": pa.array(
            [[{"word": "x", "start_time": 0.1, "end_time": 0.5}]] * len(spoken), WORDS
        ),
    }
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


@pytest.fixture
def servers(spoken: list[bytes]) -> Iterator[tuple[Server, Hub]]:
    """A web server with two archives, and a hub with a dataset; each breaks off once."""
    web = Server()
    books = {f"LibriSpeech/train/7/1/7-1-{i:04d}.flac": it for i, it in enumerate(spoken)}
    texts = "".join(f"7-1-{i:04d} {text.upper()}\n" for i, text in enumerate(SENTENCES))
    books["LibriSpeech/train/7/1/7-1.trans.txt"] = texts.encode()
    books["LibriSpeech/train/7/1/7-1-9999.flac"] = b"fLaC is not enough"
    web.files["/books.tar.gz"] = packed(books)
    endings = {}
    for i in range(2):
        endings |= {f"cloze/{i}_correct.wav": spoken[i], f"cloze/{i}_incorrect.wav": spoken[i + 2]}
    web.files["/cloze.zip"] = zipped(endings)
    hub = Hub(web)
    hub.add("data/train-00000.parquet", parquet(spoken), large=True)
    hub.add("README.md", b"stories")
    for path in list(web.files):
        web.faults[path] = [1000]
    with serving(web), serving(hub):
        yield web, hub


def config(web: Server) -> dict[str, object]:
    archives = {
        name: {"kind": "archive", "archives": [{"url": f"{web.address}/{file}"}]}
        for name, file in {"books": "books.tar.gz", "cloze": "cloze.zip"}.items()
    }
    hub = {"kind": "huggingface", "repository": "people/stories", "revision": "main"}
    books = {
        "kind": "audio", "download": "books", "transcripts": "**/*.trans.txt", "shards": 2,
        "speaker": "/([0-9]+)-[0-9]+-", "rejected_at_most": 0.5,
    }  # fmt: skip
    corpora = ["books", "hub-stories", "tales"]
    return {
        "recipe": "crumb",
        "downloads": {**archives, "hub-stories": {**hub, "patterns": ["data/*.parquet"]}},
        "corpora": {
            "books": {"source": books, "alignment": {"engine": "sphinx"}},
            "hub-stories": {"source": {"kind": "parquet", "download": "hub-stories"}},
            "tales": {
                "source": {"kind": "text", "file": "tales/*.txt", "format": "endoftext"},
                "speech": {"synthesiser": "crumb-espeak"},
            },
            "cloze": {"source": {"kind": "storycloze", "download": "cloze", "folder": "cloze"}},
        },
        "tokenisers": {
            "sounds": {
                "features": "mfcc",
                "corpora": ["books", "hub-stories"],
                "kmeans": {"clusters": 20, "frames": 500},
                "quality": {"utterances": 20},
            }
        },
        "mixtures": {"all": {"like": "crumb", "tokeniser": "sounds", "corpora": corpora}},
        "models": {"pairs-of-units": {"kind": "ngram", "mixture": "all", "order": 2}},
        "benchmarks": {"cloze": {"corpus": "cloze"}},
        "evaluate": [{"models": ["pairs-of-units"], "benchmarks": ["cloze"]}],
    }


def test_from_two_servers_to_a_result(
    checkout: Path,
    tmp_path: Path,
    servers: tuple[Server, Hub],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    web, hub = servers
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    data = tmp_path / "data"
    (data / "tales").mkdir(parents=True)
    (data / "tales" / "a.txt").write_text("One day it rained.\n<|endoftext|>\nThe sun came out.\n")
    (checkout / "mine.yaml").write_text(yaml.safe_dump(config(web)))
    args = ["--configfile", "mine.yaml", "--config", f"data_root={data}"]
    run_snakemake([TARGET, "--cores", "2", *args], checkout)

    table = pd.read_csv(checkout / TARGET, sep="\t")
    assert table[table["default"] & (table["benchmark"] == "cloze")]["n"].tolist() == [2]
    speech = pd.concat(
        pd.read_parquet(path).assign(corpus=path.parent.name)
        for path in (checkout / "results" / "speech").rglob("*.parquet")
    )
    assert speech.groupby("corpus").size().to_dict() == {
        "books": 6, "hub-stories": 6, "tales": 2, "cloze": 4,
    }  # fmt: skip
    books = speech[speech["corpus"] == "books"].sort_values("id")
    assert books["text"].tolist() == [text.upper() for text in SENTENCES]
    assert set(books["speaker"]) == {"7"}
    assert all(it["bytes"] is None for it in speech[speech["corpus"] != "tales"]["audio"])
    rejected = pd.concat(
        pd.read_parquet(path) for path in (checkout / "results" / "rejected").rglob("*.parquet")
    )
    assert [Path(it).name for it in rejected["source"]] == ["7-1-9999.flac"]
    aligned = pd.concat(
        pd.read_parquet(path) for path in (checkout / "results" / "alignments").rglob("*.parquet")
    )
    assert aligned["words"].map(len, na_action="ignore").gt(3).sum() >= 5
    quality = table[table["benchmark"].str.startswith("units:")]
    assert (quality["n"] > 0).all(), "phones of the aligned speech"

    served = len(web.asked) + len(hub.asked)
    assert planned_jobs(checkout, *args) == set()
    again = [TARGET, "--cores", "2", "--forcerun", "fetch_download", *args]
    run_snakemake([*again, "--until", "fetch_download"], checkout)
    assert len(web.asked) + len(hub.asked) == served, "what is there is not fetched again"
