"""Documents of text files."""

import contextlib
import hashlib
from collections.abc import Generator, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from slamflow.corpora.generated.rows import Row
from slamflow.corpora.texts import inputs, outputs
from slamflow.tables.gathered import Gathered

END_OF_TEXT = "<|endoftext|>"


def read(
    config: Mapping[str, Any],
    sources: pa.Table,
    data_root: Path,
    rejected: Gathered,
    heard: pa.Table | None = None,
) -> Iterator[list[Row]]:
    """The documents of text files, blanks collapsed, each text once.

    Args:
        config: `folder`, `format` (`paragraphs` parted by blank lines, `endoftext`, `lines`),
            `count` (the first so many, null: all; what follows is not looked at), `minimum_words`,
            `maximum_words`, and `members` for zips.
        sources: what `listing.text` made.
        rejected: of the rejected schema, gets what is left out.

    Yields:
        The row of each document. Every document with a character in it is there or in `rejected`.
        The id counts all documents of its file, so that it stays the same when count or lengths
        change.

    Raises:
        ValueError: a file cannot be read (see `inputs.parts`).
    """
    with contextlib.closing(_fitting(config, sources, data_root, rejected)) as fitting:
        yield from islice(fitting, config.get("count"))


def _fitting(
    config: Mapping[str, Any], sources: pa.Table, data_root: Path, rejected: Gathered
) -> Generator[list[Row], None, None]:
    seen: set[bytes] = set()
    for part in inputs.parts(config, sources, data_root):
        for number, document in enumerate(_documents(part, config["format"])):
            name = f"{part.prefix}-{number:06d}"
            text = " ".join(document.split())
            reason = outputs.flaw(text, config)
            digest = b"" if reason else hashlib.blake2b(text.encode(), digest_size=8).digest()
            if digest in seen:
                reason = "duplicate text"
            if reason:
                outputs.reject(rejected, name, part.source, reason)
                continue
            seen.add(digest)
            yield [(name, name, "document", "", text, None)]


def _documents(part: inputs.Part, form: str) -> Iterator[str]:
    """All documents with a character in them, read as a stream."""
    pieces: list[str] = []
    size = 0
    for line in part.lines:
        for index, piece in enumerate(line.split(END_OF_TEXT) if form == "endoftext" else [line]):
            if form == "lines" or index > 0 or (form == "paragraphs" and not piece.strip()):
                yield from _joined(pieces)
                pieces, size = [], 0
            pieces.append(piece)
            size += len(piece)
        if size > inputs.LONGEST:
            raise ValueError(
                f"{part.source}: a document of more than {inputs.LONGEST} characters: mend "
                f"`source.format`, which is {form}"
            )
    yield from _joined(pieces)


def _joined(pieces: list[str]) -> Iterator[str]:
    if (document := "".join(pieces)).strip():
        yield document
