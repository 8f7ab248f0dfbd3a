"""Downloads, as pydantic models."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from slamflow.config.fields import Block, Positive, estimate, machine, setting

CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}")


def _checksum(text: str) -> str:
    if not CHECKSUM.fullmatch(text):
        raise ValueError(f"{text} is neither sha256: and 64 hexadecimal digits nor md5: and 32")
    return text


class Archive(Block):
    """A file of a web server: tar or zip, which is unpacked, or a plain file, which is kept.

    PyTorch's weights (.pt, .pth, .bin, .ckpt) are kept, too, though they are archives inside.
    """

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")] = setting(
        is_about="where it lies"
    )
    checksum: Annotated[str, AfterValidator(_checksum)] | None = setting(
        None, is_about="sha256:… or md5:…; null: not checked, since none is published"
    )
    gigabytes: float | None = estimate(is_about="its size (GB)")


class Fetched(Block):
    """How files are fetched."""

    connections: Positive = machine(4, is_about="files fetched at a time")
    retries: int = machine(7, ge=0, is_about="tries after a passing failure")
    retry_wait: float = machine(
        1.0, ge=0, is_about="before the first of them; twice as long before each other (s)"
    )


class ArchiveDownload(Fetched):
    """Files of a web server, unpacked into one folder."""

    kind: Literal["archive"]
    archives: list[Archive] = setting(min_length=1, is_about="what is fetched")
    strip: int = setting(0, ge=0, is_about="leading folders left out of the members' names")


class HuggingfaceDownload(Fetched):
    """Files of a repository of a Hugging Face hub; the token comes from HF_TOKEN."""

    kind: Literal["huggingface"]
    repository: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")] = setting(
        is_about="owner/name"
    )
    type: Literal["dataset", "model"] = setting("dataset", is_about="what the repository holds")
    revision: Annotated[str, Field(min_length=1)] = setting(
        is_about="commit, tag or branch; the commit that it stood for is recorded"
    )
    patterns: list[str] | None = setting(
        None, min_length=1, is_about="which files, e.g. data/*.parquet; null: all"
    )
    gigabytes: float | None = estimate(is_about="the size of these files (GB)")


Download = Annotated[ArchiveDownload | HuggingfaceDownload, Field(discriminator="kind")]
