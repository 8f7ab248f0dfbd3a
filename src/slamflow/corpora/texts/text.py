"""Documents of a text file."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from slamflow import files
from slamflow.tables import text as text_table

END_OF_TEXT = "<|endoftext|>"


def read_text(source: Mapping[str, Any], sources: pa.Table, data_root: Path | None) -> pa.Table:
    """The documents of a text file, blanks collapsed, each text once.

    Args:
        source: `format` (`paragraphs` parted by blank lines, `endoftext`, `lines`), `count` (the
            first so many, null: all), `minimum_words` and `maximum_words` (others are left out).
        sources: the one row that `sources.list_text` made.

    Returns:
        A table of the text schema. The id counts all documents of the file, so that it stays the
        same when count or lengths change.

    Raises:
        ValueError: the file is missing, has changed since it was listed, is not UTF-8, or no
            document fits.
    """
    listed = sources.to_pylist()[0]
    if data_root is None:
        raise ValueError(f"{listed['path']}: set `data_root` to where the data lie")
    path = Path(data_root) / listed["path"]
    if not path.is_file():
        raise ValueError(f"{path}: no such file; set `data_root` to where the data lie")
    if files.sha256(path) != listed["sha256"]:
        raise ValueError(f"{path}: has changed since it was listed; raise `source.version`")
    fitting = _fitting(path, source)
    rows = [
        (f"{path.stem}-{number:06d}", f"{path.stem}-{number:06d}", "document", "", text, None)
        for number, text in islice(fitting, source.get("count"))
    ]
    if not rows:
        raise ValueError(
            f"{path}: no document of {source['format']} has {source['minimum_words']} to "
            f"{source['maximum_words']} words; mend `source.format` or the numbers"
        )
    names = text_table.SCHEMA.names
    return pa.Table.from_pylist(
        [dict(zip(names, row, strict=True)) for row in rows], text_table.SCHEMA
    )


def _fitting(path: Path, source: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    seen: set[str] = set()
    for number, document in enumerate(_documents(path, source["format"])):
        words = document.split()
        text = " ".join(words)
        if source["minimum_words"] <= len(words) <= source["maximum_words"] and text not in seen:
            seen.add(text)
            yield number, text


def _documents(path: Path, form: str) -> Iterator[str]:
    """All documents with a word in them, read as a stream."""
    parts: list[str] = []
    with path.open(encoding="utf-8-sig") as lines:
        try:
            for line in lines:
                pieces = line.split(END_OF_TEXT) if form == "endoftext" else [line]
                for index, piece in enumerate(pieces):
                    border = (form == "paragraphs" and not piece.strip()) or index > 0
                    if border and "".join(parts).strip():
                        yield "".join(parts)
                    parts = [] if border else parts
                    parts.append(piece)
                if form == "lines":
                    if line.strip():
                        yield line
                    parts = []
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 ({error.reason}); convert the file") from None
    if "".join(parts).strip():
        yield "".join(parts)
