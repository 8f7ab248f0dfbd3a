"""Which columns of a Parquet table hold what, checked before a row is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

ROLES = {"documents": ("document",), "preferences": ("prompt", "chosen", "rejected")}
WORD = ("word", "start_time", "end_time")


@dataclass(frozen=True)
class Member:
    """An utterance of a row: its role, and the columns of its audio and text."""

    role: str
    audio: str
    text: str | None


@dataclass(frozen=True)
class Columns:
    """Names of the columns that are read; None where there is no such column."""

    members: tuple[Member, ...]
    words: str | None
    speaker: str | None
    at_most: Mapping[str, float]

    @property
    def names(self) -> list[str]:
        """All of them, each once."""
        found = [self.words, self.speaker, *self.at_most]
        for member in self.members:
            found += [member.audio, member.text]
        return list(dict.fromkeys(name for name in found if name is not None))


def columns_of(path: Path, schema: pa.Schema, config: Mapping[str, Any]) -> Columns:
    """The columns of a table.

    Documents have `audio`, `text`, `aligned_text` (a list of {word, start_time, end_time} in s) and
    `speaker`; preferences have `prompt`, `chosen`, `rejected`, each with its `…_text`, and
    `speaker`. Only audio must be there, and what `columns` or `at_most` name.

    Args:
        path: for messages.
        config: `content`, `columns` (which of the above has another name, and which), `at_most`.

    Raises:
        ValueError: a column is missing or of another type; it names the file and the column.
    """
    renamed: Mapping[str, str] = config.get("columns") or {}
    roles = ROLES[config["content"]]
    audio = ("audio",) if len(roles) == 1 else roles
    texts = ("text",) if len(roles) == 1 else tuple(f"{role}_text" for role in roles)
    words = ("aligned_text",) if len(roles) == 1 else ()
    for key in renamed:
        if key not in (known := (*audio, *texts, *words, "speaker")):
            raise ValueError(f"source.columns: `{key}` is none of {', '.join(known)}")

    def find(key: str, kind: str, needed: bool = False) -> str | None:
        name = renamed.get(key, key)
        if name in schema.names:
            _check(path, schema.field(name), kind)
            return name
        if needed or key in renamed:
            raise ValueError(
                f"{path}: has no column `{name}` (it has {', '.join(schema.names)}); name the"
                f" right one as `source.columns.{key}`"
            )
        return None

    members = []
    for role, sound, text in zip(roles, audio, texts, strict=True):
        column = find(sound, "audio", needed=True)
        assert column is not None
        members.append(Member(role, column, find(text, "text")))
    at_most: Mapping[str, float] = config.get("at_most") or {}
    for name in at_most:
        if name not in schema.names:
            raise ValueError(f"{path}: has no column `{name}`; mend `source.at_most`")
        _check(path, schema.field(name), "number")
    return Columns(
        members=tuple(members),
        words=find(words[0], "words") if words else None,
        speaker=find("speaker", "label"),
        at_most=at_most,
    )


def _check(path: Path, field: pa.Field, kind: str) -> None:
    if not _FITS[kind][0](field.type):
        raise ValueError(
            f"{path}: column `{field.name}` is {field.type} and should be {_FITS[kind][1]}; name"
            " the right one in `source.columns`"
        )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _is_audio(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    content = kind.field("bytes").type
    named = kind.get_field_index("path") < 0 or _is_text(kind.field("path").type)
    return named and bool(pa.types.is_binary(content) or pa.types.is_large_binary(content))


def _are_words(kind: pa.DataType) -> bool:
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    word = kind.value_type
    if not pa.types.is_struct(word) or any(word.get_field_index(name) < 0 for name in WORD):
        return False
    return _is_text(word.field("word").type) and all(
        _is_number(word.field(name).type) for name in WORD[1:]
    )


_FITS = {
    "audio": (_is_audio, "a struct of bytes and path"),
    "text": (_is_text, "text"),
    "label": (lambda kind: _is_text(kind) or bool(pa.types.is_integer(kind)), "text or integers"),
    "number": (_is_number, "numbers"),
    "words": (_are_words, "a list of {word, start_time, end_time}"),
}
