"""Safetensors that carry a digest of themselves, and of the files beside them.

Other programs read them as any; weights of others, which have none, are believed.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from slamflow import files
from slamflow.seals import BLANK, KEY

BESIDE = "beside"  # in the metadata: file name -> SHA-256, as JSON
METADATA = "__metadata__"
LARGEST = 100_000_000  # bytes of a header; the library reads no larger one
MADE = "results"  # folder of what a workflow makes here, and can make anew
ANEW = (
    "fetch both anew, or open them as they are with transformers and save the model anew by"
    " `save_pretrained`"
)

_SEALED = re.compile(rb'"%b":"([^"]{64})"' % KEY.encode())


def seal(source: BinaryIO, target: Path, beside: Sequence[Path] = ()) -> None:
    """Write a safetensors file with its digest.

    Args:
        source: the file without it.
        beside: files in the folder that `target` will lie in, without which the weights mean
            something else, as config.json.
    """
    header = json.loads(source.read(int.from_bytes(source.read(8), "little")))
    metadata = {**header.pop(METADATA, {}), KEY: BLANK}
    if beside:
        digests = {path.name: files.sha256(path) for path in beside}
        metadata[BESIDE] = json.dumps(digests, sort_keys=True)
    metadata = dict(sorted(metadata.items()))  # the library would write another order every time
    text = json.dumps({METADATA: metadata, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with Path(target).open("w+b") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        shutil.copyfileobj(source, stream, 1 << 20)
        stream.seek(0)
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(8 + text.index(BLANK.encode()))
        stream.write(digest.encode())


def check(path: Path) -> None:
    """See that a safetensors file, and what was sealed with it, is as it was written.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: one is not as it was.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    with path.open("rb") as stream:
        size = stream.read(8)
        header = stream.read(min(int.from_bytes(size, "little"), LARGEST))
        found = _SEALED.search(header)
        if not found:
            return
        first, end = found.span(1)
        digest = hashlib.sha256(size + header[:first] + BLANK.encode() + header[end:])
        while portion := stream.read(1 << 20):
            digest.update(portion)
    made = MADE in path.absolute().parts
    if digest.hexdigest().encode() != found[1]:
        repair = files.REMAKE if made else "fetch this model anew"
        raise ValueError(f"{path}: damaged (it has not the digest it had); {repair}")
    for name, wanted in json.loads(json.loads(header)[METADATA].get(BESIDE, "{}")).items():
        other = path.with_name(name)
        if other.is_file() and files.sha256(other) != wanted:
            again = f"delete {path.name} and run snakemake again to make both anew"
            raise ValueError(
                f"{other}: is not what {path.name} was written with; {again if made else ANEW}"
            )
