"""The config as pydantic models: every section, every block and every key with its meaning."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from slamflow.config.fields import Block, Name, Seed, Share, machine, reference, setting

Positive = Annotated[int, Field(ge=1)]
Accuracy = Literal["slamkit-mean", "slamkit-sum", "zerospeech-mean", "zerospeech-sum"]


# corpora


class GeneratedSource(Block):
    """Text from the seeded generators in `slamflow.corpora.generated`."""

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
    accents: list[str] | None = setting(
        None, is_about="lexical: espeak voices in none of which a pseudo-word is a word"
    )

    @model_validator(mode="after")
    def _lexical_keys(self) -> Self:
        for key in ("heard_in", "minimum_heard", "accents"):
            if (self.content == "lexical") != (getattr(self, key) is not None):
                verb = "needs" if self.content == "lexical" else "has no"
                raise ValueError(f"content: {self.content} {verb} `{key}`")
        return self


class TextSource(Block):
    """Text in a file under `data_root`, spoken afterwards."""

    kind: Literal["text"]
    file: str = setting(is_about="path relative to `data_root`")
    format: Literal["paragraphs", "endoftext", "lines"] = setting(
        is_about="how documents are parted: blank lines, <|endoftext|> lines, or a line each"
    )
    count: Positive | None = setting(None, is_about="documents taken, from the first; null: all")
    minimum_words: Positive = setting(1, is_about="shorter documents are left out")
    maximum_words: Positive = setting(10_000, is_about="longer documents are left out")
    version: int = setting(0, is_about="raise it when the file has changed: it is listed again")


class AudioSource(Block):
    """Recorded speech: a folder tree of audio files under `data_root`."""

    kind: Literal["audio"]
    folder: str = setting(is_about="path relative to `data_root`")
    pattern: str = setting("**/*.flac", is_about="which files, as a glob below the folder")
    speaker: str | None = setting(
        None, is_about="regular expression whose first group, in a file's path, is the speaker"
    )
    shards: Positive = setting(1, is_about="parts of equal duration, each a job")
    minimum: float = setting(0.5, ge=0, is_about="shorter files are left out (s)")
    maximum: float = setting(30.0, gt=0, is_about="longer files are cut at quiet points (s)")
    version: int = setting(
        0, is_about="raise it when the files have changed: they are listed again"
    )


Source = Annotated[GeneratedSource | TextSource | AudioSource, Field(discriminator="kind")]


class Speech(Block):
    """How the text of a corpus is spoken."""

    synthesiser: Name = reference("synthesisers", is_about="who speaks")
    shards: Positive = setting(1, is_about="parts of equally many utterances, each a job")
    renditions: Positive = setting(1, is_about="how often each text is spoken, each time anew")
    seed: Seed = setting(0, is_about="draws voice, rate and pitch of each utterance")
    sampling_rate: Positive = setting(16_000, is_about="of the stored audio (Hz)")
    workers: Positive | None = machine(None, is_about="processes; default: the job's threads")


class Pairs(Block):
    """How preferences are cut."""

    length: Positive = setting(1024, is_about="units of prompt and answer; answers are cut to fit")
    prompt: Positive = setting(512, is_about="units of the prompt; cut on its left")


class Corpus(Block):
    """Utterances: documents, pairs or preferences."""

    source: Source = setting(is_about="where the utterances come from")
    speech: Speech | None = setting(None, is_about="how text is spoken; recorded speech has none")
    pairs: Pairs | None = setting(None, is_about="how preferences are cut; only they have it")

    @model_validator(mode="after")
    def _spoken_or_recorded(self) -> Self:
        if (self.source.kind == "audio") == (self.speech is not None):
            raise ValueError(
                "recorded speech (source.kind: audio) has no `speech` block, every text has one"
            )
        return self


class Synthesiser(Block):
    """A text-to-speech engine and its voices."""

    engine: Literal["espeak"] = setting(
        is_about="espeak: espeak-ng, from the wheel espeakng-loader"
    )
    voices: list[str] = setting(min_length=1, is_about="voices drawn from, e.g. en-us+f3")
    rates: tuple[int, int] = setting((175, 175), is_about="range drawn from (words a minute)")
    pitches: tuple[int, int] = setting((50, 50), is_about="range drawn from (espeak's 0–99)")

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        for name, (low, high) in (("rates", self.rates), ("pitches", self.pitches)):
            if low > high:
                raise ValueError(f"{name}: the lower end {low} is above the upper end {high}")
        if self.rates[0] < 80 or self.rates[1] > 450:
            raise ValueError("rates: espeak speaks 80 to 450 words a minute")
        if self.pitches[0] < 0 or self.pitches[1] > 99:
            raise ValueError("pitches: espeak's pitches are 0 to 99")
        return self


# training, shared by every loop


class Optimisation(Block):
    """What every training loop has: steps, optimiser and schedule."""

    steps: int = setting(ge=0, is_about="optimiser steps; 0 keeps the initial weights")
    optimiser: Literal["adamw", "muon"] = setting(
        "adamw", is_about="muon: for the matrices of the transformer's layers, AdamW for the rest"
    )
    learning_rate: float = setting(gt=0, is_about="the schedule's peak")
    muon_factor: float = setting(
        1.0, gt=0, is_about="muon: learning rate of its matrices, as a multiple of the others'"
    )
    betas: tuple[float, float] = setting((0.9, 0.999), is_about="AdamW's decay rates")
    eps: float = setting(1e-8, gt=0, is_about="AdamW's epsilon")
    weight_decay: float = setting(0.0, ge=0, is_about="AdamW's decoupled weight decay")
    schedule: Literal["cosine", "inverse_sqrt"] = setting(
        "cosine", is_about="cosine: down to `floor`; inverse_sqrt: × √(warm-up / step)"
    )
    warmup: Share = setting(0.01, is_about="share of the steps that warm up linearly")
    floor: Share = setting(0.05, is_about="the cosine's end, as a share of the peak")
    clip: float = setting(0.5, gt=0, is_about="largest norm of the gradient")
    precision: Literal["float32", "bfloat16"] = setting(
        "float32", is_about="bfloat16: autocast over float32 weights"
    )
    seed: Seed = setting(0, is_about="order of the data, masks")
    ranks: Positive | None = machine(None, is_about="processes; default: one a GPU, or one")
    micro_batch: Positive | None = machine(
        None, is_about="documents, rows or crops in memory at once; default: chosen by the stage"
    )
    checkpoint_minutes: float = machine(2.0, gt=0, is_about="time between checkpoints (min)")
    checkpoint_steps: Positive | None = machine(None, is_about="or: steps between checkpoints")


# units


class HubertArchitecture(Block):
    """A HuBERT in transformers' terms."""

    conv_dim: list[Positive] = setting(is_about="channels of each convolution")
    conv_kernel: list[Positive] = setting(is_about="kernel of each convolution (frames)")
    conv_stride: list[Positive] = setting(
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
        if self.hidden_size % self.heads:
            raise ValueError(f"hidden_size {self.hidden_size} is no multiple of heads {self.heads}")
        return self


class HubertTraining(Optimisation):
    """Masked prediction of MFCC k-means targets."""

    architecture: HubertArchitecture = setting(is_about="the model's shape")
    target_clusters: Positive = setting(100, is_about="K of the MFCC k-means that makes targets")
    crop_seconds: float = setting(gt=0, is_about="length of a training crop (s)")
    batch_seconds: float = setting(gt=0, is_about="audio in a step, over all ranks (s)")
    mask_share: Share = setting(0.08, is_about="frames that start a masked span")
    mask_frames: Positive = setting(5, is_about="length of a masked span (frames)")


class Hubert(Block):
    """A HuBERT: a checkpoint in transformers' layout, or one trained here."""

    path: str | None = setting(None, is_about="folder of a checkpoint, relative to the checkout")
    corpora: list[Name] | None = reference("corpora", None, is_about="speech to train on")
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
    clusters: Positive = setting(is_about="K, the number of units")
    frames: Positive = setting(is_about="frames that it is fitted on, drawn by seed")
    seed: Seed = setting(0, is_about="draws frames and first centroids")


class Quality(Block):
    """How units are compared with the true phones."""

    utterances: Positive = setting(500, is_about="utterances measured, spread over the corpora")


class Tokeniser(Block):
    """A layer of a HuBERT and a k-means codebook; or MFCC; or, as a topline, the true phones."""

    features: Literal["hubert", "mfcc", "phones"] = setting(
        "hubert", is_about="what is clustered; phones: the known phones themselves are the units"
    )
    hubert: Name | None = reference("huberts", None, is_about="features: hubert")
    corpora: list[Name] = reference("corpora", is_about="speech that the codebook is fitted on")
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


# language models


class Packing(Block):
    """How documents become training rows."""

    context: int = setting(ge=8, le=65_536, is_about="tokens of a row; longer documents are cut")
    held_out: Share = setting(0.0, is_about="share of the documents kept for validation")
    seed: Seed = setting(0, is_about="draws the held-out documents and the order of rows")


class Mixture(Block):
    """Packed training rows of one or several corpora as units of one tokeniser."""

    tokeniser: Name = reference("tokenisers", is_about="whose units")
    corpora: list[Name] = reference("corpora", is_about="what is mixed")
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
        if self.hidden_size % self.heads or self.heads % self.kv_heads:
            raise ValueError("hidden_size must be a multiple of heads, and heads of kv_heads")
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
    order: Literal[0, 1, 2] = setting(
        is_about="0: all units alike, so that fewer units win; 1: unigram; 2: bigram"
    )


Model = Annotated[PretrainedModel | AlignedModel | NgramModel, Field(discriminator="kind")]


# evaluation


class Scoring(Block):
    """How a model reads the items."""

    start: Literal["bos"] = setting("bos", is_about="token before the first unit: <S>")


class Metrics(Block):
    """How items are averaged; a change here scores nothing again."""

    convention: Accuracy = setting("slamkit-mean", is_about="the default row of eval.tsv")
    average: Literal["micro", "macro"] = setting(
        "micro", is_about="macro: mean over groups (phenomena)"
    )
    cluster: Literal["item", "couple"] = setting(
        "item",
        is_about="what the bootstrap draws: items, or couples of mirrored items (2n, 2n + 1)",
    )


class Benchmark(Block):
    """A corpus of pairs, and how it is scored and averaged."""

    corpus: Name = reference("corpora", is_about="pairs: positive and negative")
    scoring: Scoring = setting(Scoring(), is_about="how a model reads the items")
    metrics: Metrics = setting(Metrics(), is_about="how items are averaged")


class Evaluation(Block):
    """Each of the models meets each of the benchmarks."""

    models: list[Name] = reference("models", is_about="which models")
    benchmarks: list[Name] = reference("benchmarks", is_about="which benchmarks")


class Config(Block):
    """A whole config: a recipe under the user's `config.yaml`."""

    recipe: str = setting(is_about="a file in recipes/ that this config overrides")
    data_root: str = machine("data", is_about="folder that the paths of corpora are relative to")
    device: Literal["auto", "cpu", "cuda"] = machine("auto", is_about="where tensors live")
    corpora: dict[Name, Corpus] = setting({}, is_about="utterances")
    synthesisers: dict[Name, Synthesiser] = setting({}, is_about="text-to-speech engines")
    huberts: dict[Name, Hubert] = setting({}, is_about="speech encoders")
    tokenisers: dict[Name, Tokeniser] = setting({}, is_about="speech to units")
    mixtures: dict[Name, Mixture] = setting({}, is_about="packed training rows")
    models: dict[Name, Model] = setting({}, is_about="language models of units and baselines")
    benchmarks: dict[Name, Benchmark] = setting({}, is_about="what models are asked")
    evaluate: list[Evaluation] = setting([], is_about="which models meet which benchmarks")
