"""Sources of text, which is spoken afterwards, as pydantic models."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from slamflow.config.fields import Block, Name, Positive, Seed, Share, reference, setting
from slamflow.config.schema_files import Content, Files, Pattern, Text

MIRRORED = {"topic_cloze", "story_cloze", "syntactic", "preferences"}


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


class TextFiles(Files):
    """Text in files."""

    recorded: ClassVar[bool] = False
    file: Pattern = setting(is_about="path below `folder`, or a pattern of several")
    members: str | None = setting(
        None, only="reading", is_about="of a zip: which of its files, as a pattern"
    )
    count: Positive | None = setting(
        None, only="reading", is_about="how many are taken, from the first; null: all"
    )


class Worded(TextFiles):
    """Text whose length is bounded."""

    minimum_words: Positive = setting(1, only="reading", is_about="shorter texts are left out")
    maximum_words: Positive = setting(10_000, only="reading", is_about="longer texts are left out")

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
        only="reading",
        is_about="how documents are parted: blank lines, <|endoftext|>, or a line each",
    )


class SwagSource(Worded):
    """Preferences from SWAG or HellaSwag: the right ending against a wrong one."""

    holds: ClassVar[Content] = "preferences"
    kind: Literal["swag"]
    format: Literal["swag", "hellaswag"] = setting(
        "swag",
        only="reading",
        is_about="swag: CSV with SWAG's columns; hellaswag: JSON lines",
    )
    rejected: Literal["random", "nearest_length"] = setting(
        "random",
        only="reading",
        is_about="which wrong ending: any, or the one nearest to the right one in length",
    )
    maximum_auto_bleu: Share | None = setting(
        None,
        only="reading",
        is_about="repetitive texts, of a larger bigram auto-BLEU, are left out",
    )
    seed: Seed = setting(0, only="reading", is_about="draws the wrong ending")


class BlimpSource(TextFiles):
    """BLiMP's minimal pairs of sentences."""

    holds: ClassVar[Content] = "pairs"
    kind: Literal["blimp"]
    per_paradigm: Positive | None = setting(
        None, only="reading", is_about="pairs drawn of each; null: all"
    )
    group: Literal["paradigm", "term"] = setting(
        "term",
        only="reading",
        is_about="what results are grouped by: 67 paradigms or 12 linguistic terms",
    )
    seed: Seed = setting(0, only="reading", is_about="draws the pairs")


class WordsSource(Files):
    """Words of a pronouncing dictionary against pseudo-words, spoken by phonemes."""

    recorded: ClassVar[bool] = False
    holds: ClassVar[Content] = "pairs"
    kind: Literal["words"]
    dictionary: Pattern = setting(is_about="CMUdict: a word and its phones a line")
    frequency: Pattern = setting(is_about="a word and its count a line; other words are not asked")
    count: Positive = setting(only="reading", is_about="how many pairs")
    seed: Seed = setting(0, only="reading", is_about="draws words and pseudo-words")
    heard_in: Name = reference("corpora", is_about="the training text in which words are counted")
    minimum_heard: int = setting(
        0, ge=0, only="reading", is_about="how often a word occurs in `heard_in` at least"
    )
    accents: list[Text] = setting(
        min_length=1,
        only="reading",
        is_about="espeak voices in none of which a pseudo-word is a word",
    )
