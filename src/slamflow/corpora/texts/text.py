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
from slamflow.corpora.texts.outputs import Rejected

END_OF_TEXT = "<|endoftext|>"


def read(
    config: Mapping[str, Any], sources: pa.Table, data_root: Path, heard: pa.Table | None = None
) -> tuple[pa.Table, pa.Table]:
    """The documents of text files, blanks collapsed, each text once.

    Args:
        config: `folder`, `format` (`paragraphs` parted by blank lines, `endoftext`, `lines`),
            `count` (the first so many, null: all; what follows is not looked at), `minimum_words`,
            `maximum_words`, and `members` for zips.
        sources: what `listing.text` made.

    Returns:
        A table of the text schema and one of the rejected schema: every document with a character
        in it is in one of them. The id counts all documents of its file, so that it stays the same
        when count or lengths change.

    Raises:
        ValueError: a file cannot be read (see `inputs.parts`), or no document fits.
    """
    rejected: list[Rejected] = []
    with contextlib.closing(_fitting(config, sources, data_root, rejected)) as fitting:
        return outputs.tables(islice(fitting, config.get("count")), rejected, sources)


def _fitting(
    config: Mapping[str, Any], sources: pa.Table, data_root: Path, rejected: list[Rejected]
) -> Generator[Row, None, None]:
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
                rejected.append((name, part.source, reason))
                continue
            seen.add(digest)
            yield name, name, "document", "", text, None


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
