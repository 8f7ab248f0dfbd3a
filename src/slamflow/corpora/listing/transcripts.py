"""What is said in recordings, from the files that come beside them."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from slamflow import logs
from slamflow.corpora.listing import lists

COLUMNS = {name: pa.string() for name in ("path", "id", "utt_id", "text")}
SPOKEN = pa.schema([("id", pa.string()), ("name", pa.string()), ("text", pa.string())])
PORTION = 8192  # texts that are Python objects at a time


def attach(listed: pa.Table, folder: Path, names: Sequence[str]) -> pa.Table:
    """A sources table with the texts of its recordings.

    A text belongs to the recording at its path, or of its id, seen from the folder of the
    transcript; else, if the transcript names no folder, to the one recording of that name anywhere,
    if there is one only.

    Args:
        listed: a table of the sources schema, with ids.
        folder: of the corpus.
        names: paths of transcripts below it: `*.trans.txt` with lines `<id> <text>`, or .tsv,
            .csv or .parquet with `text` and one of `path`, `id` and `utt_id`.

    Raises:
        ValueError: a transcript cannot be read, or lacks a column.
    """
    pairs = (pair for name in sorted(names) for pair in _read(folder, name))
    batches = [pa.RecordBatch.from_pylist([], SPOKEN)]
    while portion := list(islice(pairs, PORTION)):
        batches.append(pa.RecordBatch.from_pylist(portion, SPOKEN))
    spoken = pa.Table.from_batches(batches).combine_chunks()
    batches.clear()
    keys, ids = spoken["id"].combine_chunks(), listed["id"].combine_chunks()
    where = pc.index_in(ids, value_set=keys)
    if where.null_count:
        stems = pc.replace_substring_regex(ids, r"(?s)^.*/", "")
        named = spoken["name"].combine_chunks()
        by_name = pc.index_in(_unique(stems), value_set=_unique(named), skip_nulls=True)
        where = pc.coalesce(where, by_name)
    unused = len(spoken) - pc.count_distinct(where).as_py()
    logs.info(
        f"texts for {len(where) - where.null_count} of {len(listed)} files; {unused} of"
        f" {len(spoken)} texts are of no file, or not the first of theirs"
    )
    position = listed.schema.get_field_index("text")
    texts = spoken["text"].take(where)
    texts = pc.if_else(pc.equal(texts, ""), None, texts)
    return listed.set_column(position, listed.schema.field("text"), texts)


def _unique(names: pa.Array) -> pa.Array:
    """Names; null where several have it."""
    counted = names.value_counts()
    several = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
    return pc.if_else(pc.is_in(names, value_set=several), None, names)


def _read(folder: Path, name: str) -> Iterator[dict[str, str | None]]:
    """The `id` (a path below `folder` without suffix), `name` and `text` of each utterance.

    The name is null where the transcript says in which folder the recording is.
    """
    parent = PurePosixPath(name).parent
    if name.endswith(".txt"):
        for line in _lines(folder / name):
            key, _, text = line.strip().partition(" ")
            if key:
                yield _spoken(parent, PurePosixPath(key), text.strip())
        return
    table = lists.read(folder / name, COLUMNS, ["text"])
    column = next((c for c in ("path", "id", "utt_id") if c in table.column_names), None)
    if column is None:
        raise ValueError(f"{folder / name}: has none of the columns path, id, utt_id; name one so")
    for key, text in zip(table[column].to_pylist(), table["text"].to_pylist(), strict=True):
        path = PurePosixPath(key or "?")
        yield _spoken(parent, path.with_suffix("") if column == "path" else path, text)


def _spoken(parent: PurePosixPath, path: PurePosixPath, text: str) -> dict[str, str | None]:
    name = path.name if len(path.parts) == 1 else None
    return {"id": (parent / path).as_posix(), "name": name, "text": text}


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            yield from lines
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); mend the file") from None
