"""Voices and alignments, as pydantic models."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from slamflow.config.fields import Block, Name, Positive, Share, machine, reference, setting
from slamflow.config.schema_files import Text

Rate = Annotated[int, Field(ge=80, le=450)]
Pitch = Annotated[int, Field(ge=0, le=99)]


def _rising(ends: tuple[int, int]) -> tuple[int, int]:
    if ends[0] > ends[1]:
        raise ValueError(f"the lower end {ends[0]} is above the upper end {ends[1]}")
    return ends


class Espeak(Block):
    """espeak-ng, from the wheel espeakng-loader."""

    knows_phones: ClassVar[bool] = True
    engine: Literal["espeak"]
    voices: list[Text] = setting(min_length=1, is_about="voices drawn from, e.g. en-us+f3")
    rates: Annotated[tuple[Rate, Rate], AfterValidator(_rising)] = setting(
        (175, 175), is_about="range drawn from (words a minute)"
    )
    pitches: Annotated[tuple[Pitch, Pitch], AfterValidator(_rising)] = setting(
        (50, 50), is_about="range drawn from (espeak's 0–99)"
    )


class Weights(Block):
    """Weights of a hub, of a folder, or of a download."""

    model: Text | None = setting(None, is_about="hub id, or folder in transformers' layout")
    revision: str | None = setting(None, is_about="commit, tag or branch of the hub")
    download: Name | None = reference(
        "downloads", None, is_about="in place of a model: its files, fetched beforehand"
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        self.check_place()
        return self

    def check_place(self) -> None:
        """Raise ValueError unless the weights are in one place."""
        if (self.model is None) == (self.download is None):
            raise ValueError("needs either `model` or `download`")
        if self.download and self.revision:
            raise ValueError("the revision is that of the download: leave `revision` out")


class Neural(Weights):
    """A neural voice of transformers."""

    speakers: list[Annotated[int, Field(ge=0)]] | None = setting(
        None, min_length=1, is_about="speakers drawn from; null: a model of one voice"
    )
    speaking_rate: float = setting(1.0, gt=0, is_about="faster above 1")


class Vits(Neural):
    """VITS, such as the voices of MMS."""

    knows_phones: ClassVar[bool] = False
    engine: Literal["vits"]
    noise_scale: float = setting(0.667, ge=0, is_about="how much the voice varies")
    noise_scale_duration: float = setting(0.8, ge=0, is_about="how much its rhythm varies")


class Fastspeech2(Neural):
    """ESPnet's FastSpeech2 with a conformer; not fairseq's, which sTinyStories was made with."""

    knows_phones: ClassVar[bool] = True
    engine: Literal["fastspeech2"]


class Kokoro(Weights):
    """Kokoro-82M, the voice of SpokenSwag; needs the extra `kokoro`."""

    knows_phones: ClassVar[bool] = False
    engine: Literal["kokoro"]
    voices: list[Text] = setting(
        ["af_heart", "am_fenrir", "bf_emma", "bm_george"],
        min_length=1,
        is_about="voices drawn from",
    )
    speed: float = setting(1.0, gt=0, is_about="faster above 1")


class Command(Block):
    """Any program that reads text and writes a wav."""

    knows_phones: ClassVar[bool] = False
    engine: Literal["command"]
    command: list[Text] = setting(
        min_length=1,
        is_about="program and arguments; {text} or {text_file}, {wav}, {voice} and {seed} stand in",
    )
    voices: list[Text] | None = setting(
        None, min_length=1, is_about="what {voice} is drawn from; null: it has one voice"
    )
    seconds: Positive = setting(60, is_about="an utterance that takes longer is left out (s)")

    @model_validator(mode="after")
    def _placeholders(self) -> Self:
        given = " ".join(self.command)
        if "{wav}" not in given or ("{text}" not in given and "{text_file}" not in given):
            raise ValueError("`command` needs {wav}, and {text} or {text_file}")
        if self.voices and len(self.voices) > 1 and "{voice}" not in given:
            raise ValueError("`command` has no {voice}, and there are several `voices`")
        if not self.voices and "{voice}" in given:
            raise ValueError("`command` has a {voice}, and there are no `voices`")
        return self


Synthesiser = Annotated[
    Espeak | Vits | Fastspeech2 | Kokoro | Command, Field(discriminator="engine")
]


class Aligner(Block):
    """How words are found."""

    needs_text: ClassVar[bool] = True
    rejected_at_most: Share = machine(
        0.1, is_about="share of a job's texts that may stay unaligned before the stage fails"
    )
    least_score: float | None = setting(
        None, is_about="what scores less has another text, and is left unaligned; null: nothing is"
    )


class CtcAlignment(Aligner, Weights):
    """Words by forced alignment with a CTC model."""

    knows_phones: ClassVar[bool] = False
    engine: Literal["ctc"]


class SphinxAlignment(Aligner):
    """Words and phones by pocketsphinx, whose wheel holds an English model."""

    knows_phones: ClassVar[bool] = True
    engine: Literal["sphinx"]


class SphinxPhonesAlignment(Block):
    """Phones that pocketsphinx hears, for English speech without a text; no words."""

    knows_phones: ClassVar[bool] = True
    needs_text: ClassVar[bool] = False
    engine: Literal["sphinx_phones"]
    rejected_at_most: Share = machine(
        0.1, is_about="share of a job's utterances that may have no phones before the stage fails"
    )


Alignment = Annotated[
    CtcAlignment | SphinxAlignment | SphinxPhonesAlignment, Field(discriminator="engine")
]
