"""HuBERTs and tokenisers, as pydantic models."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from slamflow.config.fields import (
    Block,
    Name,
    Names,
    Positive,
    Seed,
    Share,
    machine,
    reference,
    setting,
)
from slamflow.config.schema_training import Optimisation

MFCC_STEP = 160  # samples at 16 kHz
Sizes = Annotated[list[Positive], Field(min_length=1)]


class HubertArchitecture(Block):
    """A HuBERT in transformers' terms."""

    conv_dim: Sizes = setting(is_about="channels of each convolution")
    conv_kernel: Sizes = setting(is_about="kernel of each convolution (frames)")
    conv_stride: Sizes = setting(
        is_about="stride of each convolution; their product is the samples a frame"
    )
    hidden_size: Positive = setting(is_about="width of the transformer")
    intermediate_size: Positive = setting(is_about="width of its feed-forward layers")
    layers: Positive = setting(is_about="number of its layers")
    heads: Positive = setting(is_about="attention heads")
    position_kernel: Positive = setting(
        32, is_about="kernel of the positional convolution (frames)"
    )
    position_groups: Positive = setting(16, is_about="its groups")
    norm: Literal["group", "layer"] = setting(
        "group",
        is_about="group: group norm after the first convolution, layers normalised after each"
        " block (HuBERT base); layer: layer norm after every convolution and before each block",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not len(self.conv_dim) == len(self.conv_kernel) == len(self.conv_stride):
            raise ValueError("conv_dim, conv_kernel and conv_stride must be equally long")
        hop = math.prod(self.conv_stride)
        if hop % MFCC_STEP:
            raise ValueError(
                f"conv_stride makes frames of {hop} samples, which must be a multiple of"
                f" {MFCC_STEP}, as those of MFCC, which the targets are made of"
            )
        for name in ("heads", "position_groups"):
            if self.hidden_size % getattr(self, name):
                raise ValueError(
                    f"hidden_size {self.hidden_size} is no multiple of {name} {getattr(self, name)}"
                )
        return self


class HubertTraining(Optimisation):
    """Masked prediction of MFCC k-means targets."""

    architecture: HubertArchitecture = setting(is_about="the model's shape")
    target_clusters: int = setting(
        100, ge=1, le=65_536, is_about="K of the MFCC k-means that makes targets"
    )
    crop_seconds: float = setting(gt=0, is_about="length of a training crop (s)")
    batch_seconds: float = setting(gt=0, is_about="audio in a step, over all ranks (s)")
    mask_share: Share = setting(0.08, is_about="frames that start a masked span")
    mask_frames: Positive = setting(5, is_about="length of a masked span (frames)")


class Hubert(Block):
    """A HuBERT: a checkpoint in transformers' layout, or one trained here."""

    path: str | None = setting(None, is_about="folder of a checkpoint, relative to the checkout")
    corpora: Names | None = reference("corpora", None, is_about="speech to train on")
    training: HubertTraining | None = setting(None, is_about="how it is trained")

    @model_validator(mode="after")
    def _checkpoint_or_training(self) -> Self:
        trained = self.corpora is not None and self.training is not None
        if trained == (self.path is not None) or (self.corpora is None) != (self.training is None):
            raise ValueError("needs either `path`, or both `corpora` and `training`")
        return self


class Kmeans(Block):
    """The codebook."""

    layer: int = setting(0, ge=0, is_about="hubert: the tapped layer; 0 is the transformer's input")
    # ids of 16 bits, two of which are no units
    clusters: int = setting(ge=1, le=65_534, is_about="K, the number of units")
    frames: Positive = setting(is_about="frames that it is fitted on, drawn by seed")
    seed: Seed = setting(0, is_about="draws frames and first centroids")

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.frames < self.clusters:
            raise ValueError(f"frames {self.frames} are too few for clusters {self.clusters}")
        return self


class Quality(Block):
    """How units are compared with the true phones."""

    utterances: Positive = setting(500, is_about="utterances measured, spread over the corpora")


class Tokeniser(Block):
    """A layer of a HuBERT and a k-means codebook; or MFCC; or, as a topline, the true phones."""

    features: Literal["hubert", "mfcc", "phones"] = setting(
        "hubert", is_about="what is clustered; phones: the known phones themselves are the units"
    )
    hubert: Name | None = reference("huberts", None, is_about="features: hubert")
    corpora: Names = reference("corpora", is_about="speech that the codebook is fitted on")
    kmeans: Kmeans | None = setting(None, is_about="the codebook; phones have none")
    quality: Quality | None = setting(None, is_about="null: units are not measured")
    micro_batch: Positive | None = machine(None, is_about="seconds of audio in memory at once")

    @model_validator(mode="after")
    def _parts(self) -> Self:
        if (self.features == "hubert") != (self.hubert is not None):
            raise ValueError(f"features: {self.features} with hubert: {self.hubert or 'null'}")
        if (self.features == "phones") != (self.kmeans is None):
            raise ValueError("hubert and mfcc need a `kmeans` block, phones have none")
        if self.features == "phones" and self.quality:
            raise ValueError("true phones need no `quality` block")
        return self
