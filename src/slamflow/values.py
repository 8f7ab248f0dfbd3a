"""What no table holds: numbers that are none, times that run backwards, lists that lack entries.

A name of a column means the same in all tables, and of lists the names of their entries.
"""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

TIMES = ("duration", "start", "end", "prompt_end", "seconds")  # s, from 0 on


def fault(table: pa.Table) -> str | None:
    """What is wrong with a value, and in which row; None if all may be there."""
    first = 0
    for batch in table.to_batches():
        for wrong, text in _checks(dict(zip(batch.schema.names, batch.columns, strict=True))):
            if pc.any(wrong).as_py():
                row = pc.index(wrong, True).as_py()
                name = f" ({batch['id'][row]})" if "id" in batch.schema.names else ""
                return f"row {first + row}{name}: {text}"
        first += len(batch)
    return None


def cut_short(table: pa.Table, file: pq.ParquetFile, groups: Sequence[int]) -> str | None:
    """The column of lists that has not the entries that row groups of the file have, if any.

    Checksums of pages do not cover how many entries a page says that it has.
    """
    described = [file.metadata.row_group(group) for group in groups]
    for name in table.column_names if described else ():
        if not pa.types.is_list(table.schema.field(name).type):
            continue
        lengths = pc.fill_null(pc.list_value_length(table[name]), 0)
        entries = pc.sum(pc.max_element_wise(lengths, 1)).as_py() or 0  # none counts as one
        for column in range(described[0].num_columns):
            mine = described[0].column(column).path_in_schema.startswith(f"{name}.")
            if mine and entries != sum(group.column(column).num_values for group in described):
                return name
    return None


def _checks(columns: Mapping[str, pa.Array]) -> Iterator[tuple[pa.Array, str]]:
    """Where columns of one length, or the entries of their lists, are wrong, and how."""
    for name, values in columns.items():
        if pa.types.is_list(values.type):
            yield from _of_lists(name, values)
        if pa.types.is_floating(values.type):
            yield pc.invert(pc.is_finite(values)), f"{name} is no finite number"
            if name in TIMES:
                yield pc.less(values, 0), f"{name} is negative"
    if {"start", "end"} <= columns.keys():
        yield pc.less(columns["end"], columns["start"]), "end is before start"


def _of_lists(name: str, lists: pa.ListArray) -> Iterator[tuple[pa.Array, str]]:
    """As `_checks`; a row is wrong if one of its entries is."""
    entries = lists.flatten()
    fields = {name: entries}
    if pa.types.is_struct(entries.type):
        names = [field.name for field in entries.type]
        fields = dict(zip(names, entries.flatten(), strict=True))
    for wrong, text in _checks(fields):
        if pc.any(wrong).as_py():
            rows = pc.list_parent_indices(lists).filter(wrong)
            yield pc.is_in(pa.array(range(len(lists))), rows.unique()), text
