"""Lists that come with a corpus, as .csv, .tsv or Parquet with named columns."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

DELIMITERS = {".csv": ",", ".tsv": "\t"}


def read(path: Path, columns: Mapping[str, pa.DataType], needed: Sequence[str]) -> pa.Table:
    """The columns of a list that it has, in the types of `columns`; others are left out.

    Args:
        columns: names and types that are looked for.
        needed: those that must be there and must have no nulls.

    Raises:
        ValueError: the file is missing, of another kind or cannot be read, or a column is missing
            or of another type.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file; mend the path in `source`")
    try:
        found = _table(path, columns)
        table = found.select([name for name in columns if name in found.column_names])
        table = table.cast(pa.schema([(name, columns[name]) for name in table.column_names]))
    except (pa.ArrowException, OSError, ValueError) as error:
        message = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: cannot be read ({message}); mend the file") from None
    for name in needed:
        if name not in table.column_names:
            there = ", ".join(found.column_names)
            raise ValueError(f"{path}: has no column `{name}` among {there}; name it so")
        if table[name].null_count:
            row = pc.index(pc.is_null(table[name]), True).as_py()
            raise ValueError(f"{path}: row {row + 1} has no `{name}`; mend the file")
    return table.combine_chunks()


def _table(path: Path, columns: Mapping[str, pa.DataType]) -> pa.Table:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            return file.read([n for n in file.schema_arrow.names if n in columns] or None)
    if suffix not in DELIMITERS:
        raise ValueError(f"its suffix is none of {', '.join([*DELIMITERS, '.parquet'])}")
    parse = pc_csv.ParseOptions(
        delimiter=DELIMITERS[suffix],
        quote_char=False if suffix == ".tsv" else '"',  # in a .tsv a quote is a quote
        newlines_in_values=suffix == ".csv",
    )
    convert = pc_csv.ConvertOptions(column_types=dict(columns), strings_can_be_null=False)
    return pc_csv.read_csv(path, parse_options=parse, convert_options=convert)
