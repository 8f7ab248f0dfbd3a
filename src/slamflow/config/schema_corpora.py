"""Corpora and the voices that speak them, as pydantic models."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from slamflow.config.fields import Block, Name, Positive, Seed, Shards, machine, reference, setting

MIRRORED = {"topic_cloze", "story_cloze", "syntactic", "preferences"}
Text = Annotated[str, Field(min_length=1)]
Rate = Annotated[int, Field(ge=80, le=450)]
Pitch = Annotated[int, Field(ge=0, le=99)]


def _relative(path: str) -> str:
    if Path(path).is_absolute():
        raise ValueError(f"{path} is absolute: it should be relative to `data_root`")
    return path


def _files_below(pattern: str) -> str:
    try:
        list(Path(os.devnull).glob(pattern))  # no folder, so that only the pattern is looked at
    except (ValueError, NotImplementedError) as error:
        raise ValueError(f"{pattern!r} is no pattern of files below a folder: {error}") from None
    return pattern


def _with_group(expression: str) -> str:
    try:
        groups = re.compile(expression).groups
    except re.error as error:
        raise ValueError(f"{expression} is no regular expression: {error}") from None
    if not groups:
        raise ValueError(f"{expression} has no group: put ( ) round what names the speaker")
    return expression


def _rising(ends: tuple[int, int]) -> tuple[int, int]:
    if ends[0] > ends[1]:
        raise ValueError(f"the lower end {ends[0]} is above the upper end {ends[1]}")
    return ends


class GeneratedSource(Block):
    """Text from the seeded generators in `slamflow.corpora.generated`."""

    kind: Literal["generated"]
    content: Literal[
        "stories", "topic_cloze", "story_cloze", "syntactic", "lexical", "preferences"
    ] = setting(is_about="what to generate: training stories, pairs of a benchmark or preferences")
    count: Positive = setting(is_about="how many stories, pairs or preferences")
    seed: Seed = setting(0, is_about="another seed, other text")
    heard_in: Name | None = reference(
        "corpora", None, is_about="lexical: the training corpus whose words are asked for"
    )
    minimum_heard: Positive | None = setting(
        None, is_about="lexical: how often a word occurs in `heard_in` at least"
    )
    accents: list[Text] | None = setting(
        None,
        min_length=1,
        is_about="lexical: espeak voices in none of which a pseudo-word is a word",
    )

    @model_validator(mode="after")
    def _lexical_keys(self) -> Self:
        for key in ("heard_in", "minimum_heard", "accents"):
            if (self.content == "lexical") != (getattr(self, key) is not None):
                verb = "needs" if self.content == "lexical" else "has no"
                raise ValueError(f"content: {self.content} {verb} `{key}`")
        return self

    @model_validator(mode="after")
    def _mirrored(self) -> Self:
        if self.content in MIRRORED and self.count % 2:
            raise ValueError(
                f"items of content: {self.content} come in mirrored pairs, and count"
                f" {self.count} is odd"
            )
        return self


class TextSource(Block):
    """Text in a file under `data_root`, spoken afterwards."""

    kind: Literal["text"]
    file: Text = setting(is_about="path relative to `data_root`")
    format: Literal["paragraphs", "endoftext", "lines"] = setting(
        is_about="how documents are parted: blank lines, <|endoftext|> lines, or a line each"
    )
    count: Positive | None = setting(None, is_about="documents taken, from the first; null: all")
    minimum_words: Positive = setting(1, is_about="shorter documents are left out")
    maximum_words: Positive = setting(10_000, is_about="longer documents are left out")
    version: int = setting(0, is_about="raise it when the file has changed: it is listed again")

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        if self.minimum_words > self.maximum_words:
            raise ValueError(
                f"minimum_words {self.minimum_words} is above maximum_words {self.maximum_words}"
            )
        return self


class AudioSource(Block):
    """Recorded speech: a folder tree of audio files under `data_root`."""

    kind: Literal["audio"]
    folder: Annotated[str, AfterValidator(_relative)] = setting(
        is_about="path relative to `data_root`"
    )
    pattern: Annotated[str, AfterValidator(_files_below)] = setting(
        "**/*.flac", is_about="which files, as a glob below the folder"
    )
    speaker: Annotated[str, AfterValidator(_with_group)] | None = setting(
        None, is_about="regular expression whose first group, in a file's path, is the speaker"
    )
    shards: Shards = setting(1, is_about="parts of equal duration, each a job")
    minimum: float = setting(0.5, ge=0, is_about="shorter files are left out (s)")
    maximum: float = setting(30.0, gt=0, is_about="longer files are cut at quiet points (s)")
    version: int = setting(
        0, is_about="raise it when the files have changed: they are listed again"
    )

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        if self.minimum >= self.maximum:
            raise ValueError(f"minimum {self.minimum:g} is not below maximum {self.maximum:g}")
        return self


Source = Annotated[GeneratedSource | TextSource | AudioSource, Field(discriminator="kind")]


class Speech(Block):
    """How the text of a corpus is spoken."""

    synthesiser: Name = reference("synthesisers", is_about="who speaks")
    shards: Shards = setting(1, is_about="parts of equally many utterances, each a job")
    renditions: Positive = setting(1, is_about="how often each text is spoken, each time anew")
    seed: Seed = setting(0, is_about="draws voice, rate and pitch of each utterance")
    sampling_rate: int = setting(16_000, ge=8_000, le=192_000, is_about="of the stored audio (Hz)")
    workers: Positive | None = machine(None, is_about="processes; default: the job's threads")


class Pairs(Block):
    """How preferences are cut."""

    length: Positive = setting(1024, is_about="units of prompt and answer; answers are cut to fit")
    prompt: Positive = setting(512, is_about="units of the prompt; cut on its left")

    @model_validator(mode="after")
    def _room(self) -> Self:
        if self.prompt >= self.length:
            raise ValueError(f"prompt {self.prompt} must be shorter than length {self.length}")
        return self


class Corpus(Block):
    """Utterances: documents, pairs or preferences."""

    source: Source = setting(is_about="where the utterances come from")
    speech: Speech | None = setting(None, is_about="how text is spoken; recorded speech has none")
    pairs: Pairs | None = setting(None, is_about="how preferences are cut; only they have it")

    @model_validator(mode="after")
    def _spoken_or_recorded(self) -> Self:
        if (self.source.kind == "audio") == (self.speech is not None):
            raise ValueError(
                "recorded speech (source.kind: audio) has no `speech` block, every text has one"
            )
        return self


class Synthesiser(Block):
    """A text-to-speech engine and its voices."""

    engine: Literal["espeak"] = setting(
        is_about="espeak: espeak-ng, from the wheel espeakng-loader"
    )
    voices: list[Text] = setting(min_length=1, is_about="voices drawn from, e.g. en-us+f3")
    rates: Annotated[tuple[Rate, Rate], AfterValidator(_rising)] = setting(
        (175, 175), is_about="range drawn from (words a minute)"
    )
    pitches: Annotated[tuple[Pitch, Pitch], AfterValidator(_rising)] = setting(
        (50, 50), is_about="range drawn from (espeak's 0–99)"
    )
