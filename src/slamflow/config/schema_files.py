"""What all sources of files have in common, as pydantic models."""

import os
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from slamflow.config.fields import Block, Name, Share, estimate, machine, reference, setting

Content = Literal["documents", "pairs", "preferences"]
Text = Annotated[str, Field(min_length=1)]


def _relative(path: str) -> str:
    if Path(path).is_absolute():
        raise ValueError(f"{path} is absolute: it should be relative to `data_root`")
    if ".." in PurePosixPath(path).parts:
        raise ValueError(f"{path} leaves `data_root`")
    return path


def _files_below(pattern: str) -> str:
    try:
        list(Path(os.devnull).glob(pattern))  # no folder, so that only the pattern is looked at
    except (ValueError, NotImplementedError) as error:
        raise ValueError(f"{pattern!r} is no pattern of files below a folder: {error}") from None
    return pattern


def _expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text} is no regular expression: {error}") from None
    return text


Below = Annotated[str, Field(min_length=1), AfterValidator(_relative)]
Pattern = Annotated[str, AfterValidator(_relative), AfterValidator(_files_below)]
Expression = Annotated[str, Field(min_length=1), AfterValidator(_expression)]


class Files(Block):
    """Files below `data_root`, or of a download."""

    recorded: ClassVar[bool]  # whether they are speech, or text that is spoken
    holds: ClassVar[Content]
    download: Name | None = reference("downloads", None, is_about="where the files come from")
    folder: Below = setting(".", is_about="path relative to the download, or else to `data_root`")
    version: int = setting(
        0, only="listing", is_about="raise it when the files have changed: they are listed anew"
    )
    hours: float | None = estimate(is_about="speech, once it is cut or spoken (h)")
    items: float | None = estimate(is_about="number of documents, pairs or preferences")
    rejected_at_most: Share = machine(
        0.1, is_about="share of a job's inputs that may be left out before the stage fails"
    )

    @property
    def place(self) -> str:
        """The folder relative to `data_root`."""
        parts = ("downloads", self.download, self.folder) if self.download else (self.folder,)
        return str(PurePosixPath(*parts))
