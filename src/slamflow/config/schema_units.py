"""HuBERTs and tokenisers, as pydantic models."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from slamflow.config.fields import (
    Block,
    Name,
    Names,
    Part,
    Positive,
    Seed,
    Share,
    estimate,
    machine,
    reference,
    setting,
)
from slamflow.config.schema_files import Text
from slamflow.config.schema_training import Optimisation
from slamflow.config.schema_voices import Weights

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
    final_size: Positive | None = setting(
        None, is_about="dimension in which frames are compared with targets; null: hidden_size"
    )
    dropout: Part = setting(
        0.0, is_about="of the transformer's input, attention and the outputs of its parts"
    )
    layer_drop: Part = setting(0.0, is_about="share of layers left out of a micro-batch")
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
    """Masked prediction of units."""

    architecture: HubertArchitecture = setting(is_about="the model's shape")
    crop_seconds: float = setting(gt=0, is_about="length of a training crop (s)")
    batch_seconds: float = setting(gt=0, is_about="audio in a step, over all ranks (s)")
    mask_share: Share = setting(0.08, is_about="frames that start a masked span")
    mask_frames: Positive = setting(5, is_about="length of a masked span (frames)")
    feature_gradient: float = setting(
        1.0, ge=0, is_about="what the gradient of the convolutions is multiplied by"
    )
    feature_penalty: float = setting(
        0.0, ge=0, is_about="weight of the mean square of the convolutions' output in the loss"
    )


class Hubert(Weights):
    """A HuBERT: a checkpoint in transformers' layout, or one trained here.

    Iterations are a chain of names: units of MFCC are the targets of a first HuBERT, units of one
    of its layers those of a second one.
    """

    path: str | None = setting(None, is_about="or its folder, relative to the checkout")
    corpora: Names | None = reference("corpora", None, is_about="speech to train on")
    targets: Name | None = reference("tokenisers", None, is_about="its units are to be predicted")
    initial: Name | None = reference(
        "huberts", None, is_about="one trained here, to go on from; null: weights are drawn"
    )
    training: HubertTraining | None = setting(None, is_about="how it is trained")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        trained = [part is not None for part in (self.corpora, self.targets, self.training)]
        if self.initial and not any(trained):
            raise ValueError("`initial` is for one that is trained here")
        if self.path is None and not any(trained):
            self.check_place()
        elif self.model or self.download or (self.path and any(trained)) or len(set(trained)) == 2:
            raise ValueError(
                "needs one of `path`, `model` and `download`, or else `corpora`, `targets` and"
                " `training` together"
            )
        return self


class Kmeans(Block):
    """The codebook: fitted here, or converted from a file."""

    layer: int = setting(0, ge=0, is_about="hubert: the tapped layer; 0 is the transformer's input")
    # ids of 16 bits, two of which are no units
    clusters: int = setting(ge=1, le=65_534, is_about="K, the number of units")
    frames: Positive | None = setting(None, is_about="frames that it is fitted on, drawn by seed")
    seed: Seed = setting(0, is_about="draws frames and first centroids")
    padding: int = setting(
        0, ge=0, le=16_000, is_about="hubert: zeros before and after each utterance (samples)"
    )
    frame_rate: Literal[25, 50, 100] = setting(
        25, is_about="mfcc: frames a second; a HuBERT has its own"
    )
    file: Text | None = setting(
        None,
        is_about="in place of `frames`: a codebook of joblib, numpy or safetensors, below"
        " `data_root` or in the download",
    )
    download: Name | None = reference("downloads", None, is_about="where `file` is found")

    @model_validator(mode="after")
    def _origin(self) -> Self:
        if (self.frames is None) == (self.file is None):
            raise ValueError("needs either `frames` or `file`")
        if self.download and not self.file:
            raise ValueError("names a download, but no `file` in it")
        if self.frames is not None and self.frames < self.clusters:
            raise ValueError(f"frames {self.frames} are too few for clusters {self.clusters}")
        return self


class Quality(Block):
    """How units are compared with the true phones, beside those of MFCC."""

    utterances: Positive = setting(500, is_about="utterances measured, spread over the corpora")
    corpora: Names | None = reference(
        "corpora", None, is_about="speech measured; null: that of the tokeniser"
    )
    least_gain: float | None = setting(
        None,
        is_about="fail where PNMI is not higher than that of MFCC by this much; null: no gate",
    )


class Units(Block):
    """How utterances become units."""

    precision: Literal["float32", "bfloat16", "float16"] = setting(
        "float32", is_about="of the HuBERT's matrix products and convolutions"
    )
    agreement: Share = setting(
        0.98,
        is_about="lower precision: fail where a smaller share of the frames has the unit that"
        " float32 gives",
    )


class Bpe(Block):
    """Text as units: a byte-level BPE, of the texts of `corpora`, each different text once."""

    vocabulary: int = setting(
        ge=258, le=65_534, is_about="entries; 256 are the bytes, so that any text has units"
    )


class Tokeniser(Block):
    """A layer of a HuBERT and a k-means codebook; or MFCC; or the true phones; or the text."""

    features: Literal["hubert", "mfcc", "phones", "bpe"] = setting(
        "hubert",
        is_about="what is clustered; phones: the known phones themselves are the units, a topline;"
        " bpe: the text is",
    )
    hubert: Name | None = reference("huberts", None, is_about="features: hubert")
    corpora: Names | None = reference(
        "corpora", None, is_about="speech that the codebook or BPE is fitted on, and measured with"
    )
    kmeans: Kmeans | None = setting(None, is_about="the codebook; phones and bpe have none")
    bpe: Bpe | None = setting(None, is_about="features: bpe")
    units: Units = setting(Units(), is_about="how utterances become units")
    quality: Quality | None = setting(None, is_about="null: units are not measured")
    units_a_second: float | None = estimate(is_about="units of a second of speech, without repeats")
    gigaflops: float | None = estimate(
        is_about="operations of a HuBERT that is not made here, up to the layer, for a second of"
        " speech (GFLOP)"
    )
    micro_batch: Positive | None = machine(None, is_about="seconds of audio in memory at once")
    workers: Positive | None = machine(None, is_about="threads that decode audio ahead")

    @property
    def converted(self) -> bool:
        """Whether the codebook was fitted elsewhere."""
        return self.kmeans is not None and self.kmeans.file is not None

    @property
    def measured(self) -> list[str]:
        """The corpora that the units are measured with."""
        return (self.quality.corpora if self.quality else None) or self.corpora or []

    @model_validator(mode="after")
    def _parts(self) -> Self:
        if (self.features == "hubert") != (self.hubert is not None):
            raise ValueError(f"features: {self.features} with hubert: {self.hubert or 'null'}")
        if (self.features in ("hubert", "mfcc")) != (self.kmeans is not None):
            raise ValueError("hubert and mfcc need a `kmeans` block, phones and bpe have none")
        if (self.features == "bpe") != (self.bpe is not None):
            raise ValueError("features: bpe needs a `bpe` block, the others have none")
        named = {"phones": "true phones", "bpe": "texts"}.get(self.features)
        if named and self.quality:
            raise ValueError(f"{named} need no `quality` block")
        if named and self.units != Units():
            raise ValueError(f"{named} have no precision")
        if self.features == "mfcc" and self.units.precision != "float32":
            raise ValueError(f"MFCC are made in float32, not in {self.units.precision}")
        if self.features == "mfcc" and self.quality and self.quality.least_gain is not None:
            raise ValueError("MFCC have no `least_gain`: it is what units have over MFCC")
        if self.features != "hubert" and self.converted:
            raise ValueError("kmeans.file is a codebook of a HuBERT's features")
        if not self.corpora and not self.converted:
            raise ValueError("needs `corpora`")
        if self.quality and not self.measured:
            raise ValueError("needs `quality.corpora`, or `corpora`, to be measured with")
        return self
