"""Mixtures and language models, as pydantic models."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from slamflow.config.fields import Block, Name, Names, Part, Positive, Seed, reference, setting
from slamflow.config.schema_training import Optimisation


class Packing(Block):
    """How documents become training rows."""

    context: int = setting(ge=8, le=65_536, is_about="tokens of a row; longer documents are cut")
    held_out: Part = setting(0.0, is_about="share of the documents kept for validation")
    seed: Seed = setting(0, is_about="draws the held-out documents and the order of rows")


class Mixture(Block):
    """Packed training rows of one or several corpora as units of one tokeniser."""

    tokeniser: Name = reference("tokenisers", is_about="whose units")
    corpora: Names = reference("corpora", is_about="what is mixed")
    packing: Packing = setting(is_about="how documents become rows")


class Architecture(Block):
    """A causal language model with fresh weights, in transformers' terms."""

    architecture: Literal["qwen2"] = setting("qwen2", is_about="transformers' model type")
    hidden_size: Positive = setting(is_about="width")
    intermediate_size: Positive = setting(is_about="width of the feed-forward layers")
    layers: Positive = setting(is_about="number of layers")
    heads: Positive = setting(is_about="attention heads")
    kv_heads: Positive = setting(is_about="key and value heads")
    rope_theta: float = setting(10_000.0, gt=0, is_about="base of the rotary positions")
    tie: bool = setting(True, is_about="one table for token embeddings and the output")
    seed: Seed = setting(0, is_about="draws the weights")

    @model_validator(mode="after")
    def _heads(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError(f"hidden_size {self.hidden_size} is no multiple of heads {self.heads}")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads {self.heads} is no multiple of kv_heads {self.kv_heads}")
        if self.hidden_size // self.heads % 2:
            raise ValueError(
                f"hidden_size {self.hidden_size} / heads {self.heads} must be even: rotary"
                " positions turn pairs of numbers"
            )
        return self


class Pretraining(Optimisation):
    """Next-unit prediction over packed rows."""

    batch_tokens: Positive = setting(is_about="tokens of a step, over all ranks")


class Alignment(Optimisation):
    """Direct preference optimisation."""

    pairs: Positive = setting(is_about="pairs of a step, over all ranks")
    beta: float = setting(0.1, gt=0, is_about="strength of the tie to the base model")


class PretrainedModel(Block):
    """A language model of units, trained on a mixture."""

    kind: Literal["pretrain"]
    mixture: Name = reference("mixtures", is_about="what it is trained on")
    init: Architecture = setting(is_about="where its weights start")
    training: Pretraining = setting(is_about="how it is trained")


class AlignedModel(Block):
    """A model aligned by DPO."""

    kind: Literal["align"]
    base: Name = reference("models", is_about="the model that it starts from and is held to")
    corpus: Name = reference("corpora", is_about="preferences: prompt, chosen, rejected")
    training: Alignment = setting(is_about="how it is aligned")


class NgramModel(Block):
    """A baseline without a network: counts of units."""

    kind: Literal["ngram"]
    mixture: Name = reference("mixtures", is_about="what is counted")
    order: int = setting(
        ge=0,
        le=2,
        is_about="0: all units alike, so that fewer units win; 1: unigram; 2: bigram",
    )


Model = Annotated[PretrainedModel | AlignedModel | NgramModel, Field(discriminator="kind")]
