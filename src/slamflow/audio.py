"""Audio in and out: the one way in which waves are read, resampled and written."""

import functools
import io
import math
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

IN_PARQUET = re.compile(r"(.+\.parquet)#(.+)/(\d+)", re.DOTALL)
ROWS = 16  # of audio in a Parquet file that are in memory at once
CHANGED = "if it has changed since it was listed, raise `source.version`"
BUFFER = 1 << 20  # bytes; without it a whole row group would be read at once


@functools.lru_cache(maxsize=16)
def _low_pass(up: int, down: int) -> np.ndarray:
    from scipy.signal import firwin  # half a second to import, and often not needed

    largest = max(up, down)
    return firwin(20 * largest + 1, 1 / largest, window=("kaiser", 5.0)).astype(np.float32)


def resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Polyphase resampling of float32 [n] from `rate` Hz to ceil(n * wanted / rate) samples."""
    if rate == wanted or len(samples) == 0:
        return samples
    from scipy.signal import resample_poly

    divisor = math.gcd(rate, wanted)
    up, down = wanted // divisor, rate // divisor
    return resample_poly(samples, up, down, window=_low_pass(up, down))


def encode_flac(samples: np.ndarray, sampling_rate: int) -> bytes:
    """FLAC of 16 bits of float samples [n] in [-1, 1); what lies outside is clipped."""
    whole = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    stream = io.BytesIO()
    soundfile.write(stream, whole, sampling_rate, format="FLAC", subtype="PCM_16")
    return stream.getvalue()


@dataclass(frozen=True)
class Recording:
    """Samples that lie encoded somewhere.

    Attributes:
        name: for messages.
        source: bytes of the file, or its path.
        start: s; null for that of the file.
        end: s; null for that of the file.
    """

    name: str
    source: Path | BinaryIO
    start: float | None
    end: float | None


def read_audio(row: Mapping[str, Any], data_root: Path | None, sampling_rate: int) -> np.ndarray:
    """The samples of a row of a speech table; see `find` and `decode`."""
    return decode(find(row, data_root), sampling_rate)


def find(row: Mapping[str, Any], data_root: Path | None) -> Recording:
    """Where the samples of a row of a speech table lie.

    Args:
        row: `audio` as {bytes, path}, and for a path `start` and `end` in seconds (or null). The
            path `file.parquet#column/row` is a row of that column of a Parquet file; rows in
            their order are read fast.
        data_root: folder that paths are relative to; not needed for bytes.

    Raises:
        ValueError: there is no such row in a Parquet file, or no data root.
    """
    audio = row["audio"]
    if audio["bytes"] is not None:
        return Recording(str(row.get("id", "bytes")), io.BytesIO(audio["bytes"]), None, None)
    if data_root is None:
        raise ValueError(f"{audio['path']}: a relative path; set data_root")
    path = Path(data_root) / audio["path"]
    source: Path | BinaryIO = path
    if inside := IN_PARQUET.fullmatch(str(path)):
        source = _in_parquet(Path(inside[1]), inside[2], int(inside[3]))
    return Recording(str(path), source, row.get("start"), row.get("end"))


def decode(recording: Recording, sampling_rate: int) -> np.ndarray:
    """The samples of a recording at `sampling_rate`; threads may decode at the same time.

    Returns:
        float32 [n], mono (the mean of the channels).

    Raises:
        ValueError: the file is missing or cannot be decoded, or the part lies outside it.
    """
    name, start, end = recording.name, recording.start, recording.end
    try:
        with soundfile.SoundFile(recording.source) as file:
            rate = file.samplerate
            first = round((start or 0.0) * rate)
            last = file.frames if end is None else round(end * rate)
            if not 0 <= first < last <= file.frames:
                raise ValueError(f"{name}: {start} s to {end} s lies outside the file; {CHANGED}")
            file.seek(first)
            samples = file.read(last - first, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise ValueError(f"{name}: cannot be read as audio ({error}); {CHANGED}") from None
    return resample(samples.mean(axis=1, dtype=np.float32), rate, sampling_rate)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file so that its row groups are read in pieces, with bounded memory.

    Raises:
        ValueError: there is no such file, or it is not Parquet.
    """
    try:
        return pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; set `data_root`") from None
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path}: not a readable Parquet file ({error})") from None


def source_of(audio: Mapping[str, Any], path: Path) -> Path | BinaryIO:
    """What to decode for the struct {bytes, path} in the Parquet file `path`.

    Raises:
        ValueError: it has neither, or its path is not one below the folder of the Parquet file.
    """
    if audio["bytes"] is not None:
        return io.BytesIO(audio["bytes"])
    name = audio.get("path")
    if not name:
        raise ValueError("no audio")
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"path {name} leads out of the folder")
    return path.parent / name


class _Column:
    """A column of audio in a Parquet file, read forwards."""

    def __init__(self, path: Path, column: str) -> None:
        self.column, self.file = column, open_parquet(path)
        kinds = {field.name: field.type for field in self.file.schema_arrow}
        kind = kinds.get(column, pa.null())
        if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
            raise ValueError(f"the file has no audio in a column `{column}`")
        groups = range(self.file.num_row_groups)
        sizes = [self.file.metadata.row_group(group).num_rows for group in groups]
        self.borders = np.cumsum([0, *sizes])
        self.lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Let go of what is in memory, and of the place."""
        self.group, self.first, self.stop = -1, 0, 0  # row group, and its rows in memory
        self.piece: pa.Array | None = None
        self.pieces: Iterator[pa.RecordBatch] = iter(())

    def at(self, row: int) -> Mapping[str, Any] | None:
        """The struct in a row. Going back, or to another row group, costs a search."""
        with self.lock:
            group = int(np.searchsorted(self.borders, row, side="right")) - 1
            if group != self.group or row < self.first:
                self.group, self.stop = group, int(self.borders[group])
                self.pieces = self.file.iter_batches(
                    ROWS, row_groups=[group], columns=[self.column], use_threads=False
                )
            while row >= self.stop:
                self.piece = next(self.pieces).column(0)
                self.first, self.stop = self.stop, self.stop + len(self.piece)
            assert self.piece is not None
            found: Mapping[str, Any] | None = self.piece[row - self.first].as_py()
            if row + 1 == self.borders[group + 1]:
                self.forget()  # pages of 100 MB are common
            return found


@functools.lru_cache(maxsize=3)  # prompt, chosen and rejected
def _column(path: Path, column: str, size: int, changed: int) -> _Column:
    return _Column(path, column)


def _in_parquet(path: Path, column: str, row: int) -> Path | BinaryIO:
    try:
        state = path.stat()
        reader = _column(path, column, state.st_size, state.st_mtime_ns)
        if row >= reader.borders[-1]:
            raise ValueError(f"the file has {reader.borders[-1]} rows")
        audio = reader.at(row)
        return source_of(audio or {"bytes": None}, path)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; set `data_root`") from None
    except (ValueError, OSError, pa.ArrowException) as error:
        _column.cache_clear()  # a reader that failed has lost its place
        raise ValueError(f"{path}#{column}/{row}: cannot be read as audio ({error})") from None
