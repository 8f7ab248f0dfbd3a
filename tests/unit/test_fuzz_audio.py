"""Damaged, lying and odd audio files: each comes out or is rejected, and none is lost."""

import io
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from slamflow import audio, files
from slamflow.corpora.listing import audio as listing
from slamflow.corpora.recorded import audio as recordings
from slamflow.tables import rejected as rejected_table
from slamflow.tables import sources as sources_table
from slamflow.tables import speech as speech_table

Rng = np.random.Generator
FORMATS = {
    "flac": ("FLAC", "PCM_16"), "wav": ("WAV", "PCM_16"), "float.wav": ("WAV", "FLOAT"),
    "24.wav": ("WAV", "PCM_24"), "ulaw.wav": ("WAV", "ULAW"), "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III"), "aiff": ("AIFF", "PCM_16"),
}  # fmt: skip
OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
RATES = (*OPUS_RATES, 11_025, 22_050, 44_100, 44_101, 192_000)


def encoded(rng: Rng, suffix: str) -> bytes:
    form, subtype = FORMATS[suffix]
    rates = OPUS_RATES if suffix in ("opus", "mp3") else RATES
    rate = int(rng.choice([r for r in rates if suffix != "mp3" or r <= 48_000]))
    channels = int(rng.choice([1, 2] if suffix == "mp3" else [1, 1, 2, 7]))
    frames = int(rate * rng.choice([0.0, 0.01, 0.6, 1.0, 2.5]))
    samples = rng.choice([0.0, 0.2, 1.5]) * rng.standard_normal((frames, channels))
    if subtype == "FLOAT" and frames and rng.random() < 0.5:
        bad = rng.choice([np.nan, np.inf, 1e38, 1e300])
        samples[rng.integers(frames)] = bad
    stream = io.BytesIO()
    with np.errstate(all="ignore"):
        soundfile.write(stream, samples, rate, format=form, subtype=subtype)
    return stream.getvalue()


def truncated(rng: Rng, content: bytes) -> bytes:
    return content[: int(rng.integers(len(content) + 1))]


def with_wrong_header(rng: Rng, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        changed[int(rng.integers(min(64, len(changed))))] = int(rng.integers(256))
    return bytes(changed)


def with_holes(rng: Rng, content: bytes) -> bytes:
    changed = bytearray(content)
    start = int(rng.integers(len(changed)))
    changed[start : start + 200] = rng.bytes(len(changed[start : start + 200]))
    return bytes(changed)


def with_another_length(rng: Rng, content: bytes) -> bytes:
    """The length that a FLAC or WAV header promises is zero, shorter, longer or enormous."""
    changed = bytearray(content)
    if content[:4] == b"fLaC":  # 36 bits at the end of byte 21
        total = int(rng.choice([0, 100, 10**6, 2**36 - 1]))
        fields = int.from_bytes(content[18:26], "big") >> 36 << 36
        changed[18:26] = (fields | total).to_bytes(8, "big")
    elif (where := content.find(b"data") + 4) >= 4 and content[:4] == b"RIFF":
        length = int(rng.choice([0, 100, 10**6, 2**32 - 1]))
        changed[where : where + 4] = length.to_bytes(4, "little")
    return bytes(changed)


def as_it_is(rng: Rng, content: bytes) -> bytes:
    return content


DAMAGE: tuple[Callable[[Rng, bytes], bytes], ...] = (
    as_it_is, as_it_is, truncated, with_wrong_header, with_holes, with_another_length,
)  # fmt: skip


def odd(rng: Rng) -> bytes:
    texts = [
        b"",
        b"\n",
        b"This is a text, not FLAC.",
        b"fLaC",
        b"RIFF\x00\x00\x00\x00WAVE",
        b"OggS",
    ]
    return bytes(rng.choice([*texts, b"ID3\x03" + rng.bytes(500), rng.bytes(3000)]))


def corpus(root: Path, seed: int) -> set[str]:
    """Write about 20 files below `root/odd`; their paths as a table shows them."""
    rng = np.random.default_rng(seed)
    paths = set()
    for index in range(20):
        suffix = str(rng.choice(list(FORMATS)))
        content = encoded(rng, suffix) if rng.random() < 0.8 else odd(rng)
        content = DAMAGE[rng.integers(len(DAMAGE))](rng, content) if content else content
        stem = str(rng.choice([f"f{index}", f"f{index // 2}", f"line\n{index}", f"🦜 '{index}\""]))
        name = os.fsencode(f"odd/{index % 3}/{stem}.{suffix}")
        if rng.random() < 0.1:
            name = name.replace(b".", b"\xe9.", 1)
        path = os.path.join(os.fsencode(root), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        paths.add(name.decode(errors="backslashreplace"))
    return paths


@pytest.mark.parametrize("seed", range(24))
def test_every_file_comes_out_or_is_rejected(tmp_path: Path, seed: int) -> None:
    paths = corpus(tmp_path, seed)
    config: dict[str, Any] = {
        "folder": "odd", "pattern": "**/*", "shards": 3, "minimum": 0.5,
        "maximum": [2.0, 30.0, None][seed % 3],
    }  # fmt: skip
    sources = listing.list_files(config, tmp_path)
    files.write_table(sources, tmp_path / "sources.parquet", sources_table.SCHEMA)
    results = [recordings.cut(config, sources, shard, tmp_path, "cut") for shard in range(3)]
    speech = pa.concat_tables(kept for kept, _ in results)
    rejected = pa.concat_tables(left_out for _, left_out in results)
    files.write_table(speech, tmp_path / "speech.parquet", speech_table.SCHEMA)
    files.write_table(rejected, tmp_path / "rejected.parquet", rejected_table.SCHEMA)

    rows = speech.to_pylist()
    assert set(sources["path"].to_pylist()) == paths
    kept_paths = {row["audio"]["path"] for row in rows}
    whole = Counter(row["audio"]["path"] for row in rows if "-p0" not in row["id"])
    left_out = Counter(row["source"] for row in rejected.to_pylist() if "-p0" not in row["id"])
    assert kept_paths | set(rejected["source"].to_pylist()) == paths
    assert all(whole[path] + left_out[path] <= 1 for path in paths)
    assert all(reason for reason in rejected["reason"].to_pylist())
    assert len(set(speech["id"].to_pylist())) == len(rows)
    for row in rows:  # later stages can read what is kept
        samples = audio.read_audio(row, tmp_path, row["sampling_rate"])
        assert abs(len(samples) - row["duration"] * row["sampling_rate"]) < 1
        assert np.isfinite(samples).all() and np.abs(samples).max() > 0
        assert row["duration"] >= 0.5


def test_the_fuzz_meets_every_kind_of_fault(tmp_path: Path) -> None:
    """Else it would show nothing."""
    reasons: Counter[str] = Counter()
    kept = 0
    for seed in range(24):
        root = tmp_path / str(seed)
        corpus(root, seed)
        config = {"folder": "odd", "pattern": "**/*", "shards": 1, "minimum": 0.5, "maximum": None}
        speech, rejected = recordings.cut(config, listing.list_files(config, root), 0, root, "cut")
        kept += len(speech)
        reasons.update(reason.split(" (")[0][:12] for reason in rejected["reason"].to_pylist())
    wanted = {"cannot be de", "empty", "too short", "silent", "not finite", "duplicate id",
              "path is not ", "ends after 0"}  # fmt: skip
    assert kept > 40 and wanted <= set(reasons), reasons
