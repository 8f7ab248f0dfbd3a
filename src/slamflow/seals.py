"""Digests that files carry of themselves, so that a flipped byte is noticed when they are read.

A digest is the SHA-256 of what it stands in, taken with zeros in its own place: the footer of a
Parquet file (pages have checksums of their own) or a whole file of weights. That of a JSON object
is over its other keys. What has none, made by others or by older versions, is believed.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KEY = "sha256"
BLANK = "0" * 64

_KEY = KEY.encode() + b"\x18\x40"  # in Thrift, a text of 64 bytes follows
_SEALED = re.compile(_KEY + b"(.{64})", re.DOTALL)
_END = 8  # bytes behind a footer: its size, and PAR1


def seal_footer(path: Path) -> None:
    """Put the digest of a Parquet file's footer where its metadata have BLANK as KEY."""
    footer = _footer(path)
    place = footer.rindex(_KEY + BLANK.encode()) + len(_KEY)
    with Path(path).open("r+b") as stream:
        stream.seek(place - len(footer) - _END, os.SEEK_END)
        stream.write(hashlib.sha256(footer).hexdigest().encode())


def footer_holds(path: Path) -> bool:
    """Whether the footer of a Parquet file has no digest, or its own."""
    footer = _footer(path)
    found = list(_SEALED.finditer(footer))
    return not found or _is_of(footer, found[-1])


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with its digest."""
    return {**content, KEY: _digest(json.loads(json.dumps(content)))}


def opened(content: Any) -> Any:
    """A JSON object without its digest; None if that is of another one."""
    if not isinstance(content, dict) or KEY not in content:
        return content
    rest = {key: value for key, value in content.items() if key != KEY}
    return rest if content[KEY] == _digest(rest) else None


def _is_of(content: bytes, found: re.Match[bytes]) -> bool:
    """Whether the digest that was found in `content`, as group 1, is its own."""
    first, end = found.span(1)
    blank = hashlib.sha256(content[:first] + BLANK.encode() + content[end:])
    return blank.hexdigest().encode() == found[1]


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _footer(path: Path) -> bytes:
    """The footer of a Parquet file, as its end says where it is."""
    with Path(path).open("rb") as stream:
        length = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, length - _END))
        size = int.from_bytes(stream.read(4), "little")
        if size + _END > length:
            return b""
        stream.seek(length - _END - size)
        return stream.read(size)
