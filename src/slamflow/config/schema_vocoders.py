"""Vocoders, as pydantic models."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from slamflow.config.fields import Block, Name, Names, Part, Positive, machine, reference, setting
from slamflow.config.schema_files import Text
from slamflow.config.schema_hifigan import HifiganArchitecture, HifiganTraining
from slamflow.config.schema_training import Optimisation


class VocoderTraining(Optimisation):
    """What the trainings of all kinds of vocoder have."""

    batch_seconds: float = setting(gt=0, is_about="speech in a step, over all ranks (s)")


class MelArchitecture(Block):
    """A network of convolutions, first over units, then over mels."""

    size: Positive = setting(192, is_about="width")
    layers: Positive = setting(6, is_about="convolutions over units")
    mel_layers: Positive = setting(3, is_about="convolutions over mels")
    kernel: Positive = setting(5, is_about="width of a convolution; odd")

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} must be odd")
        return self


class MelTraining(VocoderTraining):
    """Regression of log-mels and durations."""

    duration_weight: float = setting(1.0, ge=0, is_about="of durations in the loss")


class VocoderQuality(Block):
    """How well a vocoder's speech is understood: by the tokeniser and by pocketsphinx."""

    corpora: Names = reference("corpora", is_about="speech measured; nothing trained on")
    utterances: Positive = setting(50, is_about="measured of each corpus, spread over it")
    text: Names = reference(
        "corpora", is_about="whose texts tell pocketsphinx which words follow which"
    )
    workers: Positive | None = machine(None, is_about="processes that listen")


class Speaking(Block):
    """What all vocoders have."""

    tokeniser: Name = reference("tokenisers", is_about="its units are spoken")
    quality: VocoderQuality | None = setting(None, is_about="null: it is not measured")


class Trained(Speaking):
    """What vocoders that are trained here have."""

    corpora: Names = reference("corpora", is_about="speech whose units are read")
    voice: Text | None = setting(
        None, is_about="the speaker whose speech is learnt; null: that of all"
    )
    hours: float | None = setting(None, gt=0, is_about="of speech at most; null: all")
    held_out: Part = setting(0.02, is_about="share of the utterances that are not trained on")


class MelVocoder(Trained):
    """A light vocoder of one voice: mels of centroids, and Griffin-Lim.

    It speaks the units of any tokeniser of the same layer of the same HuBERT, whose frames are a
    multiple of 128 samples: those at 25 Hz are, those at 50 Hz are not.
    """

    kind: Literal["mel"]
    speech: list[Name] | None = reference(
        "corpora",
        None,
        is_about="for each of `corpora` one in which the same is said, and which is learnt: so that"
        " units of many voices are spoken in one; null: the corpora themselves",
    )
    architecture: MelArchitecture = setting(MelArchitecture(), is_about="the network's shape")
    training: MelTraining = setting(is_about="how it is trained")

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if self.speech is not None and len(self.speech) != len(self.corpora):
            raise ValueError(
                f"`speech` needs one for each of `corpora`, {len(self.corpora)}, not"
                f" {len(self.speech)}"
            )
        return self


class HifiganVocoder(Trained):
    """A Code-HiFi-GAN, for GPUs: of one voice, or of many; it speaks the units of its tokeniser."""

    kind: Literal["hifigan"]
    voices: Literal["one", "many"] = setting(
        "one",
        is_about="many: it learns all that speak in the corpora, and says in each voice what was"
        " said in it, and as `voice` (null: the first by name) what was said by others",
    )
    architecture: HifiganArchitecture = setting(HifiganArchitecture(), is_about="its shape")
    training: HifiganTraining = setting(is_about="how it is trained")


class ReleasedVocoder(Speaking):
    """A released Code-HiFi-GAN, converted; nothing in its files is run."""

    kind: Literal["released"]
    download: Name | None = reference("downloads", None, is_about="where its files are")
    folder: Text | None = setting(
        None, is_about="in place of a download: their folder, below `data_root`"
    )
    weights: Text = setting(is_about="the file with the generator's weights")
    settings: Text = setting("config.json", is_about="the JSON file that belongs to it")
    voice: Text = setting(is_about="the speaker's name")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.download is None) == (self.folder is None):
            raise ValueError("needs either `download` or `folder`")
        return self


class ShippedVocoder(Speaking):
    """A vocoder that was trained before."""

    kind: Literal["shipped"]
    path: Text = setting(is_about="its folder, relative to the checkout")


Vocoder = Annotated[
    MelVocoder | HifiganVocoder | ReleasedVocoder | ShippedVocoder, Field(discriminator="kind")
]
