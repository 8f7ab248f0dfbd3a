"""Where the utterances of a corpus come from, as pydantic models."""

import os
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from slamflow.config.fields import (
    Block,
    Name,
    Positive,
    Seed,
    Shards,
    Share,
    machine,
    reference,
    setting,
)

Content = Literal["documents", "pairs", "preferences"]
Text = Annotated[str, Field(min_length=1)]
MIRRORED = {"topic_cloze", "story_cloze", "syntactic", "preferences"}


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


def _with_group(expression: str) -> str:
    try:
        groups = re.compile(expression).groups
    except re.error as error:
        raise ValueError(f"{expression} is no regular expression: {error}") from None
    if not groups:
        raise ValueError(f"{expression} has no group: put ( ) round what names the speaker")
    return expression


Below = Annotated[str, Field(min_length=1), AfterValidator(_relative)]
Pattern = Annotated[str, AfterValidator(_relative), AfterValidator(_files_below)]


class GeneratedSource(Block):
    """Text from the seeded generators in `slamflow.corpora.generated`."""

    recorded: ClassVar[bool] = False
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

    @property
    def holds(self) -> Content:
        """What the utterances are."""
        named: dict[str, Content] = {"stories": "documents", "preferences": "preferences"}
        return named.get(self.content, "pairs")

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


class Files(Block):
    """Files below `data_root`, or of a download."""

    recorded: ClassVar[bool]
    holds: ClassVar[Content]
    download: Name | None = reference("downloads", None, is_about="where the files come from")
    folder: Below = setting(".", is_about="path relative to the download, or else to `data_root`")
    version: int = setting(0, is_about="raise it when the files have changed: they are listed anew")
    rejected_at_most: Share = machine(
        0.1, is_about="share of a job's inputs that may be left out before the stage fails"
    )


class TextFiles(Files):
    """Text, spoken afterwards."""

    recorded: ClassVar[bool] = False
    file: Pattern = setting(is_about="path below `folder`, or a pattern of several")
    members: str | None = setting(None, is_about="of a zip: which of its files, as a pattern")
    count: Positive | None = setting(None, is_about="how many are taken, from the first; null: all")


class Worded(TextFiles):
    """Text whose length is bounded."""

    minimum_words: Positive = setting(1, is_about="shorter texts are left out")
    maximum_words: Positive = setting(10_000, is_about="longer texts are left out")

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        if self.minimum_words > self.maximum_words:
            raise ValueError(
                f"minimum_words {self.minimum_words} is above maximum_words {self.maximum_words}"
            )
        return self


class TextSource(Worded):
    """Documents in text files."""

    holds: ClassVar[Content] = "documents"
    kind: Literal["text"]
    format: Literal["paragraphs", "endoftext", "lines"] = setting(
        is_about="how documents are parted: blank lines, <|endoftext|>, or a line each"
    )


class SwagSource(Worded):
    """Preferences from SWAG or HellaSwag: the right ending against a wrong one."""

    holds: ClassVar[Content] = "preferences"
    kind: Literal["swag"]
    format: Literal["swag", "hellaswag"] = setting(
        "swag", is_about="swag: CSV with SWAG's columns; hellaswag: JSON lines"
    )
    rejected: Literal["random", "nearest_length"] = setting(
        "random", is_about="which wrong ending: any, or the one nearest to the right one in length"
    )
    maximum_auto_bleu: Share | None = setting(
        None, is_about="repetitive texts, of a larger bigram auto-BLEU, are left out"
    )
    seed: Seed = setting(0, is_about="draws the wrong ending")


class BlimpSource(TextFiles):
    """BLiMP's minimal pairs of sentences."""

    holds: ClassVar[Content] = "pairs"
    kind: Literal["blimp"]
    per_paradigm: Positive | None = setting(None, is_about="pairs drawn of each; null: all")
    group: Literal["paradigm", "term"] = setting(
        "term", is_about="what results are grouped by: 67 paradigms or 12 linguistic terms"
    )
    seed: Seed = setting(0, is_about="draws the pairs")


class WordsSource(Files):
    """Words of a pronouncing dictionary against pseudo-words, spoken by phonemes."""

    recorded: ClassVar[bool] = False
    holds: ClassVar[Content] = "pairs"
    kind: Literal["words"]
    dictionary: Pattern = setting(is_about="CMUdict: a word and its phones a line")
    frequency: Pattern = setting(is_about="a word and its count a line; other words are not asked")
    count: Positive = setting(is_about="how many pairs")
    seed: Seed = setting(0, is_about="draws words and pseudo-words")
    heard_in: Name = reference("corpora", is_about="the training text in which words are counted")
    minimum_heard: int = setting(0, ge=0, is_about="how often a word occurs in `heard_in` at least")
    accents: list[Text] = setting(
        min_length=1, is_about="espeak voices in none of which a pseudo-word is a word"
    )


class Recorded(Files):
    """Recorded speech, which stays where it is."""

    recorded: ClassVar[bool] = True
    shards: Shards = setting(1, is_about="parts of equal duration, each a job")
    minimum: float = setting(0.5, ge=0, is_about="shorter utterances are left out (s)")
    maximum: float | None = setting(None, gt=0, is_about="see the kind (s); null: no limit")

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        if self.maximum is not None and self.minimum >= self.maximum:
            raise ValueError(f"minimum {self.minimum:g} is not below maximum {self.maximum:g}")
        return self


class AudioSource(Recorded):
    """A folder tree of audio files."""

    holds: ClassVar[Content] = "documents"
    kind: Literal["audio"]
    pattern: Pattern | None = setting(
        None, is_about="which files, as a glob below the folder; null: flac, wav, ogg, opus, mp3"
    )
    speaker: Annotated[str, AfterValidator(_with_group)] | None = setting(
        None, is_about="regular expression whose first group, in a file's path, is the speaker"
    )
    transcripts: Pattern | None = setting(
        None, is_about="texts: *.trans.txt as in LibriSpeech, or a .tsv or .csv with path and text"
    )
    maximum: float | None = setting(
        30.0, gt=0, is_about="longer files are cut at pauses (s); null: never"
    )
    segments: Text = setting(
        "vad",
        is_about="where long files are cut: vad (a voice-activity detector), libri-light (the"
        " .json beside each file), or a .csv, .tsv or .parquet of path, start and end",
    )


class ParquetSource(Recorded):
    """Parquet tables with audio inside, as Hugging Face datasets are stored."""

    kind: Literal["parquet"]
    files: Pattern = setting("**/*.parquet", is_about="which tables, as a glob below the folder")
    content: Literal["documents", "preferences"] = setting(
        "documents", is_about="an utterance a row, or prompt, chosen and rejected"
    )
    columns: dict[str, Text] = setting(
        {}, is_about="names of columns that are not audio, text, aligned_text, speaker, prompt, …"
    )
    at_most: dict[str, float] = setting(
        {}, is_about="rows whose column is above are left out, e.g. {auto_bleu2: 0.3}"
    )
    maximum: float | None = setting(
        None, gt=0, is_about="longer utterances are left out (s); null: none"
    )

    @property
    def holds(self) -> Content:  # type: ignore[override]
        """What the utterances are."""
        return self.content


class Pairs(Recorded):
    """A benchmark as its authors laid it out: nothing is cut or left out for its length."""

    holds: ClassVar[Content] = "pairs"
    minimum: float = setting(0.0, ge=0, is_about="shorter utterances are left out (s)")


class ZerospeechSource(Pairs):
    """sWUGGY or sBLIMP of ZeroSpeech 2021: {task}/{split}/*.wav and gold.csv."""

    kind: Literal["zerospeech"]
    task: Literal["lexical", "syntactic"] = setting(is_about="lexical: sWUGGY; syntactic: sBLIMP")
    split: Literal["dev", "test"] = setting(is_about="which items")


class StoryclozeSource(Pairs):
    """Spoken or Topic StoryCloze: {number}_{tag}.wav."""

    kind: Literal["storycloze"]
    positive: Text = setting("correct", is_about="tag of the right ending")
    negative: Text = setting("incorrect", is_about="tag of the wrong ending")


class SalmonSource(Pairs):
    """SALMon: {part}/sample_{i}_{j}.wav."""

    kind: Literal["salmon"]
    parts: list[Text] | None = setting(None, min_length=1, is_about="which parts; null: all eight")


class SlamkitSource(Pairs):
    """sWUGGY or sBLIMP in slamkit's own folders."""

    kind: Literal["slamkit"]
    layout: Literal["swuggy", "sblimp"] = setting(is_about="which of the two")
    positive: Text = setting(
        "correct", is_about="regular expression for what follows the number in a right file's name"
    )
    negative: Text = setting("incorrect", is_about="the same for a wrong file")


Source = Annotated[
    GeneratedSource
    | TextSource
    | SwagSource
    | BlimpSource
    | WordsSource
    | AudioSource
    | ParquetSource
    | ZerospeechSource
    | StoryclozeSource
    | SalmonSource
    | SlamkitSource,
    Field(discriminator="kind"),
]
