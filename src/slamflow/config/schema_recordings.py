"""Sources of recorded speech, which stays where it is, as pydantic models."""

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, model_validator

from slamflow.config.fields import Shards, setting
from slamflow.config.schema_files import Below, Content, Expression, Files, Pattern, Text

LISTS = (".csv", ".tsv", ".parquet")


def _with_group(expression: str) -> str:
    if not re.compile(expression).groups:
        raise ValueError(f"{expression} has no group: put ( ) round what names the speaker")
    return expression


def _segments(text: str) -> str:
    if text not in ("vad", "libri-light") and not text.endswith(LISTS):
        raise ValueError(f"{text} is neither vad nor libri-light nor a file {', '.join(LISTS)}")
    return text


class Recorded(Files):
    """Recorded speech."""

    recorded: ClassVar[bool] = True
    shards: Shards = setting(1, only="listing", is_about="parts of equal duration, each a job")
    minimum: float = setting(
        0.5, ge=0, only="reading", is_about="shorter utterances are left out (s)"
    )

    @model_validator(mode="after")
    def _lengths(self) -> Self:
        maximum = getattr(self, "maximum", None)
        if maximum is not None and self.minimum >= maximum:
            raise ValueError(f"minimum {self.minimum:g} is not below maximum {maximum:g}")
        return self


class AudioSource(Recorded):
    """A folder tree of audio files."""

    holds: ClassVar[Content] = "documents"
    kind: Literal["audio"]
    pattern: Pattern | None = setting(
        None,
        only="listing",
        is_about="which files, as a glob below the folder; null: flac, wav, ogg, opus, mp3",
    )
    speaker: Annotated[Expression, AfterValidator(_with_group)] | None = setting(
        None,
        only="listing",
        is_about="regular expression whose first group, in a file's path below `folder`, is the"
        " speaker",
    )
    transcripts: Pattern | None = setting(
        None,
        only="listing",
        is_about="texts, below `folder`: *.trans.txt as in LibriSpeech, or a .tsv or .csv with"
        " `path` and `text`",
    )
    maximum: float | None = setting(
        30.0, gt=0, only="reading", is_about="longer files are cut at pauses (s); null: never"
    )
    segments: Annotated[Below, AfterValidator(_segments)] = setting(
        "vad",
        only="reading",
        is_about="where long files are cut: vad (a voice-activity detector), libri-light (the"
        " .json beside each file), or a .csv, .tsv or .parquet below `data_root` of path (below"
        " `folder`), start and end",
    )


class ParquetSource(Recorded):
    """Parquet tables with audio inside, as Hugging Face datasets are stored."""

    kind: Literal["parquet"]
    files: Pattern = setting(
        "**/*.parquet", only="listing", is_about="which tables, as a glob below the folder"
    )
    content: Literal["documents", "preferences"] = setting(
        "documents",
        only="reading",
        is_about="an utterance a row, or prompt, chosen and rejected",
    )
    columns: dict[str, Text] = setting(
        {},
        only="reading",
        is_about="names of columns that are not audio, text, aligned_text, speaker, prompt, …",
    )
    at_most: dict[str, float] = setting(
        {},
        only="reading",
        is_about="rows whose column is above are left out, e.g. {auto_bleu2: 0.3}",
    )
    maximum: float | None = setting(
        None, gt=0, only="reading", is_about="longer utterances are left out (s); null: none"
    )

    @property
    def holds(self) -> Content:  # type: ignore[override]
        """What the utterances are."""
        return self.content


class Pairs(Recorded):
    """A benchmark as its authors laid it out: nothing is cut or left out for its length."""

    holds: ClassVar[Content] = "pairs"
    minimum: float = setting(
        0.0, ge=0, only="reading", is_about="shorter utterances are left out (s)"
    )


class ZerospeechSource(Pairs):
    """sWUGGY or sBLIMP of ZeroSpeech 2021: {task}/{split}/*.wav and gold.csv."""

    kind: Literal["zerospeech"]
    task: Literal["lexical", "syntactic"] = setting(
        only="listing", is_about="lexical: sWUGGY; syntactic: sBLIMP"
    )
    split: Literal["dev", "test"] = setting(only="listing", is_about="which items")


class StoryclozeSource(Pairs):
    """Spoken or Topic StoryCloze: {number}_{tag}.wav."""

    kind: Literal["storycloze"]
    positive: Text = setting("correct", only="listing", is_about="tag of the right ending")
    negative: Text = setting("incorrect", only="listing", is_about="tag of the wrong ending")
    published: Literal["spoken", "topic"] | None = setting(
        None,
        only="report",
        is_about="which set of one speaker it is of those that others publish scores of, for"
        " results/report.html; null: none of them",
    )


class SalmonSource(Pairs):
    """SALMon: {part}/sample_{i}_{j}.wav."""

    kind: Literal["salmon"]
    parts: list[Text] | None = setting(
        None, min_length=1, only="listing", is_about="which parts; null: all eight"
    )


class SlamkitSource(Pairs):
    """sWUGGY or sBLIMP in slamkit's own folders."""

    kind: Literal["slamkit"]
    layout: Literal["swuggy", "sblimp"] = setting(only="listing", is_about="which of the two")
    positive: Expression = setting(
        "correct",
        only="listing",
        is_about="regular expression for what follows the number in a right file's name",
    )
    negative: Expression = setting(
        "incorrect", only="listing", is_about="the same for a wrong file"
    )
