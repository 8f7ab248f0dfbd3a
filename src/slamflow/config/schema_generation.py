"""How continuations are transcribed and measured, as pydantic models."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from slamflow.config.fields import Block, Name, Positive, machine, reference, setting
from slamflow.config.schema_files import Text
from slamflow.config.schema_voices import Weights

Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#@]+$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Heard(Block):
    """What is a transcript."""

    prompt: Literal["counted", "given"] = setting(
        "counted",
        is_about="counted: prompt and continuation are one transcript; given: each is heard by"
        " itself, and what is measured is the continuation, given the prompt",
    )


class SphinxTranscription(Heard):
    """By pocketsphinx, whose wheel holds an English model."""

    engine: Literal["sphinx"]
    text: Name = reference(
        "corpora", is_about="whose words it may hear, and which word follows which"
    )
    workers: Positive | None = machine(None, is_about="processes that listen")


class WhisperTranscription(Heard, Weights):
    """By a Whisper of transformers."""

    engine: Literal["whisper"]
    micro_batch: Positive | None = machine(
        None, is_about="pieces of 30 s in memory at once; default: chosen by the stage"
    )


Transcription = Annotated[SphinxTranscription | WhisperTranscription, Field(discriminator="engine")]


class Perplexity(Weights):
    """GenPPL by a causal language model of text."""

    lm: Name | None = reference(
        "models", None, is_about="or a text model (features: bpe) that is trained here"
    )
    micro_batch: Positive | None = machine(
        None, is_about="tokens in memory at once; default: chosen by the stage"
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.lm is None:
            self.check_place()
        elif self.model or self.download or self.revision:
            raise ValueError("needs only one of `lm`, `model` and `download`")
        return self


class Judge(Block):
    """Scores from 1 to 5 by a language model behind an API that speaks as OpenAI's does."""

    url: Url = setting(
        "https://api.openai.com/v1", is_about="of the API, before `/chat/completions`"
    )
    model: Text = setting(is_about="its name there")
    key: Variable | None = setting(
        "OPENAI_API_KEY",
        is_about="the environment variable that holds the key; null: none is wanted",
    )
    instructions: str | None = setting(
        None,
        is_about="what it is asked, in which {text} stands for the transcript and {prompt} for that"
        " of the prompt; null: the stage's own words",
    )
    workers: Positive | None = machine(None, is_about="requests at once")

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if self.instructions is not None and "{text}" not in self.instructions:
            raise ValueError("`instructions` need {text}, where the transcript stands")
        return self
