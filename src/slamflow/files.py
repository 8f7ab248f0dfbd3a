"""Reading and writing artefacts: nothing half-written ever has its final name."""

import contextlib
import glob
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from slamflow import disks, seals, values

ROW_GROUP = 4096  # rows

ABANDONED = 6 * 3600  # seconds

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
        here = f".{path.name}.{os.uname().nodename}"
        for old in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
            if _abandoned(old, here):
                old.unlink(missing_ok=True)
        temporary = path.with_name(f"{here}.{os.getpid()}.tmp")
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _abandoned(temporary: Path, here: str) -> bool:
    """Whether the process that a temporary file is of has been killed.

    Of another host that cannot be known, but nobody writes for hours without a byte.

    Args:
        here: what its name begins with, up to the process, if it is of this host.
    """
    owner, _, process = temporary.name.removesuffix(".tmp").rpartition(".")
    if owner == here:
        return not Path("/proc", process).exists()
    try:
        return time.time() - temporary.stat().st_mtime > ABANDONED
    except FileNotFoundError:
        return False


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
        ValueError: a table does not fit the schema, or has a value that `values` does not allow.
    """
    schema = _unsealed(schema)

    def write(table: pa.Table) -> None:
        try:
            table = table.select(schema.names).cast(schema)
        except (KeyError, pa.ArrowInvalid, ValueError) as error:
            raise ValueError(
                f"{path}: cannot be written, it does not fit its schema: {error}"
            ) from None
        if fault := values.fault(table):
            raise ValueError(f"{path}: cannot be written, {fault}")
        writer.write_table(table, row_group_size=ROW_GROUP)

    with replacing(path) as temporary:
        with pq.ParquetWriter(
            temporary, schema, compression="zstd", write_page_checksum=True
        ) as writer:
            yield write
            writer.add_key_value_metadata({seals.KEY: seals.BLANK})
        seals.seal_footer(temporary)


@contextlib.contextmanager
def open_table(
    path: Path, schema: pa.Schema, columns: Sequence[str] | None = None, **settings: Any
) -> Iterator[pq.ParquetFile]:
    """Open the Parquet file `path` to be read piece by piece; see `read_table`.

    Args:
        columns: those of the schema that it must have.
        settings: further ones of `ParquetFile`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, which may be seen only inside, or is not of this schema.
    """
    path = Path(path)
    try:
        if not seals.footer_holds(path):
            raise ValueError(f"{path}: damaged (its footer is not what was written); {REMAKE}")
        file = pq.ParquetFile(path, page_checksum_verification=True, **settings)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError) as error:
        disks.raise_known(error, path)
        told = " ".join(str(error).split())
        raise ValueError(f"{path}: not a readable Parquet file ({told}); {REMAKE}") from None
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
            yield file
        except (pa.ArrowException, OSError) as error:
            disks.raise_known(error, path)
            told = " ".join(str(error).split())
            raise ValueError(f"{path}: damaged ({told}); {REMAKE}") from None


def read_table(
    path: Path,
    schema: pa.Schema,
    columns: Sequence[str] | None = None,
    rows: pa.BooleanArray | None = None,
) -> pa.Table:
    """Read the Parquet file `path`, checking all of it that is read.

    Args:
        columns: read only these columns of the schema.
        rows: read only these rows; [rows of the file]. Row groups without any are passed over.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, is not of this schema, or has a value that `values` does
            not allow.
    """
    names = list(columns or schema.names)
    with open_table(path, schema, names) as file:
        groups = range(file.num_row_groups)
        if rows is None:
            table = read_groups(path, file, groups, names)
        else:
            parts, first = [file.schema_arrow.empty_table().select(names)], 0
            for group in groups:
                size = file.metadata.row_group(group).num_rows
                wanted = rows.slice(first, size)
                if wanted.true_count:
                    parts.append(read_groups(path, file, [group], names).filter(wanted))
                first += size
            table = pa.concat_tables(parts)
    return table.cast(_unsealed(table.schema))


def read_groups(
    path: Path, file: pq.ParquetFile, groups: Sequence[int], columns: Sequence[str]
) -> pa.Table:
    """Row groups of a file opened by `open_table`, checked as by `read_table`."""
    table = file.read_row_groups(groups, columns=list(columns))
    if name := values.cut_short(table, file, groups):
        raise ValueError(f"{path}: damaged (column `{name}` lacks entries); {REMAKE}")
    check_values(table, path)
    return table


def check_values(table: pa.Table, path: Path) -> None:
    """See that all values may be there, see `values`.

    Args:
        path: of the file that they are from.

    Raises:
        ValueError: one may not.
    """
    if fault := values.fault(table):
        raise ValueError(f"{path}: {fault}; {REMAKE}")


def _unsealed(schema: pa.Schema) -> pa.Schema:
    known = {k: v for k, v in (schema.metadata or {}).items() if k != seals.KEY.encode()}
    return schema.with_metadata(known or None)


def write_json(content: Any, path: Path, sealed: bool = False) -> None:
    """Write `content` as indented JSON with sorted keys; NaN and infinities are refused.

    Args:
        sealed: with its digest, which `read_json` checks.
    """
    content = seals.sealed(content) if sealed else content
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """What `write_json` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        disks.raise_known(error, path)
        raise ValueError(f"{path}: is no JSON ({error}); {REMAKE}") from None
    if (found := seals.opened(content)) is None:
        raise ValueError(f"{path}: damaged (it has not the digest it had); {REMAKE}")
    return found


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of the bytes of a file."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
