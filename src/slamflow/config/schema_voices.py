"""Voices and alignments, as pydantic models."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from slamflow.config.fields import Block, Positive, setting

Text = Annotated[str, Field(min_length=1)]
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


class Neural(Block):
    """A neural voice of transformers."""

    model: Text = setting(is_about="hub id, or folder of a checkpoint in transformers' layout")
    revision: str | None = setting(None, is_about="commit, tag or branch of the hub")
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


class Kokoro(Block):
    """Kokoro, the voice of SpokenSwag; needs the extra `kokoro`."""

    knows_phones: ClassVar[bool] = False
    engine: Literal["kokoro"]
    model: Text = setting("hexgrad/Kokoro-82M", is_about="hub id or folder")
    revision: str | None = setting(None, is_about="commit, tag or branch of the hub")
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


Synthesiser = Annotated[
    Espeak | Vits | Fastspeech2 | Kokoro | Command, Field(discriminator="engine")
]


class Aligner(Block):
    """How words are found."""

    least_score: float | None = setting(
        None, is_about="what scores less has another text, and is left unaligned; null: nothing is"
    )


class CtcAlignment(Aligner):
    """Words by forced alignment with a CTC model."""

    engine: Literal["ctc"]
    model: Text = setting(is_about="hub id, or folder of a checkpoint in transformers' layout")
    revision: str | None = setting(None, is_about="commit, tag or branch of the hub")


class SphinxAlignment(Aligner):
    """Words and phones by pocketsphinx, whose wheel holds an English model."""

    engine: Literal["sphinx"]


Alignment = Annotated[CtcAlignment | SphinxAlignment, Field(discriminator="engine")]
