"""Reading and writing artefacts: nothing half-written ever has its final name."""

import contextlib
import glob
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; rename it to `path` if the block succeeds.

    The temporary file is removed if the block fails, and that of a killed process by the next
    one that writes `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if not Path("/proc", old.name.split(".")[-2]).exists():
            old.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_table(table: pa.Table, path: Path, schema: pa.Schema) -> None:
    """Write `table` as Parquet with page checksums; its columns must be those of `schema`.

    Raises:
        ValueError: the table does not fit the schema.
    """
    try:
        table = table.select(schema.names).cast(schema)
    except (KeyError, pa.ArrowInvalid, ValueError) as error:
        raise ValueError(
            f"{path}: cannot be written, it does not fit its schema: {error}"
        ) from None
    with replacing(path) as temporary:
        pq.write_table(
            table, temporary, compression="zstd", write_page_checksum=True, row_group_size=4096
        )


def read_table(path: Path, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the Parquet file `path`, checking page checksums and its columns against `schema`.

    Args:
        columns: read only these columns of the schema.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or is not of this schema.
    """
    path = Path(path)
    repair = "delete it and run snakemake again to make it anew"
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: not a readable Parquet file ({error}); {repair}") from None
    with file:
        for name in columns or schema.names:
            if name not in file.schema_arrow.names:
                raise ValueError(f"{path}: has no column `{name}`; {repair}")
            found, wanted = file.schema_arrow.field(name).type, schema.field(name).type
            if found != wanted:
                raise ValueError(
                    f"{path}: column `{name}` is {found} and should be {wanted}; {repair}"
                )
        try:
            return file.read(columns=list(columns or schema.names))
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{path}: damaged ({error}); {repair}") from None


def write_json(content: Any, path: Path) -> None:
    """Write `content` as indented JSON with sorted keys; NaN and infinities are refused."""
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of the bytes of a file."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
