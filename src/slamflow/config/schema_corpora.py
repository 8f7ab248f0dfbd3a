"""Corpora, as pydantic models."""

from typing import Annotated, Self

from pydantic import Field, model_validator

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
from slamflow.config.schema_recordings import (
    AudioSource,
    ParquetSource,
    SalmonSource,
    SlamkitSource,
    StoryclozeSource,
    ZerospeechSource,
)
from slamflow.config.schema_texts import (
    BlimpSource,
    GeneratedSource,
    SwagSource,
    TextSource,
    WordsSource,
)
from slamflow.config.schema_voices import Alignment

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


class Speech(Block):
    """How the text of a corpus is spoken."""

    synthesiser: Name = reference("synthesisers", is_about="who speaks")
    shards: Shards = setting(1, is_about="parts of equally many utterances, each a job")
    renditions: Positive = setting(1, is_about="how often each text is spoken, each time anew")
    seed: Seed = setting(0, is_about="draws the voice of each utterance")
    sampling_rate: int = setting(16_000, ge=8_000, le=192_000, is_about="of the stored audio (Hz)")
    workers: Positive | None = machine(None, is_about="processes; default: the job's threads")
    micro_batch: Positive | None = machine(
        None, is_about="neural voices: tokens spoken at once; default: chosen by the stage"
    )
    rejected_at_most: Share = machine(
        0.1, is_about="share of a job's texts that may fail before the stage fails"
    )


class Pairs(Block):
    """How preferences are cut."""

    length: Positive = setting(1022, is_about="units of prompt and answer; answers are cut to fit")
    prompt: Positive = setting(511, is_about="units of the prompt; cut on its left")

    @model_validator(mode="after")
    def _room(self) -> Self:
        if self.prompt >= self.length:
            raise ValueError(f"prompt {self.prompt} must be shorter than length {self.length}")
        return self


class Corpus(Block):
    """Utterances: documents, pairs or preferences."""

    source: Source = setting(is_about="where the utterances come from")
    speech: Speech | None = setting(None, is_about="how text is spoken; recorded speech has none")
    alignment: Alignment | None = setting(
        None, is_about="how words and phones are found in speech that is not known to have them"
    )
    pairs: Pairs | None = setting(None, is_about="how preferences are cut; only they have it")

    @property
    def shards(self) -> int:
        """How many parts its speech has."""
        return self.speech.shards if self.speech else self.source.shards  # type: ignore[union-attr]

    @model_validator(mode="after")
    def _spoken_or_recorded(self) -> Self:
        if self.source.recorded == (self.speech is not None):
            raise ValueError(
                f"recorded speech (source.kind: {self.source.kind}) has no `speech` block"
                if self.source.recorded
                else f"text (source.kind: {self.source.kind}) needs a `speech` block"
            )
        return self
