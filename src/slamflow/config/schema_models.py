"""Mixtures and language models, as pydantic models."""

from typing import Annotated, Any, Literal, Self

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
    reference,
    setting,
)
from slamflow.config.schema_training import Optimisation
from slamflow.config.schema_voices import Weights

Weight = Annotated[float, Field(ge=0)]


class Packing(Block):
    """How documents become training rows."""

    context: int = setting(ge=8, le=65_536, is_about="tokens of a row")
    cut: Literal["longer", "all"] = setting(
        "longer",
        is_about="longer: only documents longer than a row are cut; all: also others, so that every"
        " row is full",
    )
    held_out: Part = setting(0.0, is_about="share of the documents kept for validation")
    seed: Seed = setting(0, is_about="draws the held-out documents and the order of rows")


class Amount(Block):
    """How much of a corpus is in a mixture: one of these."""

    epochs: Weight | None = setting(None, is_about="how often each document is in it, on average")
    tokens: Positive | None = setting(None, is_about="or as often as makes so many tokens")
    weight: Weight | None = setting(
        None,
        is_about="or tokens in proportion to the weights; the corpus that runs out first is used"
        " exactly once",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(each is not None for each in (self.epochs, self.tokens, self.weight)) != 1:
            raise ValueError("needs one of `epochs`, `tokens` and `weight`")
        return self


class Interleaving(Block):
    """Documents of speech, of text, and such in which words are either."""

    draw: Literal["poisson", "word"] = setting(
        "poisson",
        is_about="poisson: spans of speech amid text; word: speech and text change at random words",
    )
    span: float = setting(10.0, gt=0, is_about="poisson: mean length of a span of speech (words)")
    share: Share = setting(0.3, is_about="poisson: share of the words that are speech")
    switch: Share = setting(0.1, is_about="word: how probably the next word is of the other kind")
    balance: tuple[Weight, Weight, Weight] = setting(
        (1.0, 1.0, 1.0), is_about="tokens of speech, text and interleaved documents, as weights"
    )


class Mixture(Block):
    """Packed training rows of one or several corpora as units of one tokeniser, or with text."""

    tokeniser: Name = reference("tokenisers", is_about="whose units")
    text: Name | None = reference(
        "tokenisers", None, is_about="interleaving: whose entries (features: bpe) the text is"
    )
    corpora: Names = reference("corpora", is_about="what is mixed")
    shares: dict[Name, Amount] = setting(
        {}, is_about="how much of each corpus; of those that are not named, all of it once"
    )
    interleaving: Interleaving | None = setting(
        None, is_about="null: documents of units alone, in `interleaving` those of text, too"
    )
    packing: Packing = setting(is_about="how documents become rows")

    @property
    def interleaved(self) -> bool:
        """Whether text is in it, too."""
        return self.interleaving is not None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.text is None) != (self.interleaving is None):
            raise ValueError("`text` and `interleaving` go together")
        if self.interleaving and not sum(self.interleaving.balance):
            raise ValueError("interleaving.balance: one of the weights must be above 0")
        if unknown := sorted(self.shares.keys() - set(self.corpora)):
            raise ValueError(f"shares: {unknown[0]} is none of its corpora")
        return self


class Architecture(Block):
    """A causal language model with random weights, in transformers' terms."""

    architecture: str = setting(
        "qwen2", is_about="transformers' model type of a causal language model"
    )
    hidden_size: Positive = setting(is_about="width")
    intermediate_size: Positive | None = setting(
        None, is_about="width of the feed-forward layers; null: the architecture's own"
    )
    layers: Positive = setting(is_about="number of layers")
    heads: Positive = setting(is_about="attention heads")
    kv_heads: Positive | None = setting(
        None,
        is_about="key and value heads, where it has such; null: as many as heads",
    )
    rope_theta: float | None = setting(
        None, gt=0, is_about="base of the rotary positions, where it has such; null: 10,000"
    )
    tie: bool = setting(True, is_about="one table for token embeddings and the output")
    options: dict[str, Any] = setting(
        {}, is_about="what else transformers' config of the architecture has, by its own names"
    )
    seed: Seed = setting(0, is_about="draws the weights")

    @model_validator(mode="after")
    def _heads(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError(f"hidden_size {self.hidden_size} is no multiple of heads {self.heads}")
        if self.kv_heads and self.heads % self.kv_heads:
            raise ValueError(f"heads {self.heads} is no multiple of kv_heads {self.kv_heads}")
        if self.hidden_size // self.heads % 2:
            raise ValueError(
                f"hidden_size {self.hidden_size} / heads {self.heads} must be even: rotary"
                " positions turn pairs of numbers"
            )
        return self


class Twist(Weights):
    """A start from a text model: its body is kept, its token table made anew (TWIST)."""

    base: Name | None = reference("models", None, is_about="or one trained here")
    path: str | None = setting(
        None, is_about="or a folder with its model.safetensors, relative to the checkout"
    )
    table: Literal["first", "mean", "random"] = setting(
        "first",
        is_about="how the new token table starts: the first rows of the old one; its mean and a"
        " little noise; at random, with its mean and spread",
    )
    rope_theta: float | None = setting(
        None, gt=0, is_about="base of the rotary positions; null: as the model has it"
    )
    options: dict[str, Any] = setting(
        {}, is_about="what else of its config is changed, by transformers' own names"
    )
    seed: Seed = setting(0, is_about="draws what is random in the token table")
    parameters: float | None = estimate(is_about="size of the model that is made of it")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.base is None and self.path is None:
            self.check_place()
        elif sum(map(bool, (self.base, self.path, self.model, self.download))) > 1:
            raise ValueError("needs only one of `base`, `path`, `model` and `download`")
        return self


class Pretraining(Optimisation):
    """Next-unit prediction over packed rows."""

    batch_tokens: Positive = setting(is_about="tokens of a step, over all ranks")
    validation_steps: Annotated[int, Field(ge=0)] = setting(
        0, is_about="steps between two looks at held-out documents; 0: only at the end"
    )


class Alignment(Optimisation):
    """Direct preference optimisation."""

    pairs: Positive = setting(is_about="pairs of a step, over all ranks")
    beta: float = setting(0.1, gt=0, is_about="strength of the tie to the base model")


class PretrainedModel(Block):
    """A language model of units, trained on a mixture."""

    kind: Literal["pretrain"]
    mixture: Name = reference("mixtures", is_about="what it is trained on")
    init: Architecture | None = setting(None, is_about="its shape; its weights are drawn")
    twist: Twist | None = setting(
        None, is_about="in place of `init`: the text model it starts from"
    )
    training: Pretraining = setting(is_about="how it is trained")

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if (self.init is None) == (self.twist is None):
            raise ValueError("needs either `init` or `twist`; null removes the other")
        return self


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


class PublishedModel(Weights):
    """A model of units that others trained and published, with its weights as safetensors."""

    kind: Literal["published"]
    layout: Literal["slamkit", "twist", "slm-scaling"] = setting(
        is_about="whose files these are: slamkit's UnitLM (slprl/slam), those of textlesslib's"
        " TWIST, or slm_scaling's TransformerLM (tiagoCuervo/gslm-scaling-…)"
    )
    tokeniser: Name = reference("tokenisers", is_about="whose units it was trained on")
    parameters: float | None = estimate(is_about="its size")


Model = Annotated[
    PretrainedModel | AlignedModel | NgramModel | PublishedModel, Field(discriminator="kind")
]
