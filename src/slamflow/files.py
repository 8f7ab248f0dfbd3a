"""Reading and writing artefacts: nothing half-written ever has its final name."""

import contextlib
import glob
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from slamflow import disks

ROW_GROUP = 4096  # rows

REMAKE = "delete it and run snakemake again to make it anew"  # what is damaged


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; rename it to `path` if the block succeeds.

    The temporary file is removed if the block fails, and that of a killed process by the next
    one that writes `path`.

    Raises:
        OSError: the disk does not take it; names `path`.
    """
    path = Path(path)
    with disks.writing(path):
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
    with writing_table(path, schema) as write:
        write(table)


@contextlib.contextmanager
def writing_table(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """Yield what writes tables one behind the other; rename the file if the block succeeds.

    Tables of ROW_GROUP rows, or of a multiple, give the same row groups as one table of all.

    Raises:
        ValueError: a table does not fit the schema.
    """

    def write(table: pa.Table) -> None:
        try:
            table = table.select(schema.names).cast(schema)
        except (KeyError, pa.ArrowInvalid, ValueError) as error:
            raise ValueError(
                f"{path}: cannot be written, it does not fit its schema: {error}"
            ) from None
        writer.write_table(table, row_group_size=ROW_GROUP)

    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        yield write


def read_table(
    path: Path,
    schema: pa.Schema,
    columns: Sequence[str] | None = None,
    rows: pa.BooleanArray | None = None,
) -> pa.Table:
    """Read the Parquet file `path`, checking page checksums and its columns against `schema`.

    Args:
        columns: read only these columns of the schema.
        rows: read only these rows; [rows of the file]. Row groups without any are passed over.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or is not of this schema.
    """
    path = Path(path)
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: not a readable Parquet file ({error}); {REMAKE}") from None
    with file:
        for name in columns or schema.names:
            if name not in file.schema_arrow.names:
                raise ValueError(f"{path}: has no column `{name}`; {REMAKE}")
            found, wanted = file.schema_arrow.field(name).type, schema.field(name).type
            if found != wanted:
                raise ValueError(
                    f"{path}: column `{name}` is {found} and should be {wanted}; {REMAKE}"
                )
        try:
            names = list(columns or schema.names)
            return file.read(columns=names) if rows is None else _rows(file, names, rows)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{path}: damaged ({error}); {REMAKE}") from None


def _rows(file: pq.ParquetFile, columns: list[str], rows: pa.BooleanArray) -> pa.Table:
    tables, first = [file.schema_arrow.empty_table().select(columns)], 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        wanted = rows.slice(first, size)
        if wanted.true_count:
            tables.append(file.read_row_group(group, columns=columns).filter(wanted))
        first += size
    return pa.concat_tables(tables)


def write_json(content: Any, path: Path) -> None:
    """Write `content` as indented JSON with sorted keys; NaN and infinities are refused."""
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of the bytes of a file."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
