"""The config as pydantic models: every section, and what models are asked."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from slamflow.config.fields import Block, Name, Positive, Seed, machine, reference, setting
from slamflow.config.schema_corpora import Corpus
from slamflow.config.schema_downloads import Download
from slamflow.config.schema_generation import Judge, Perplexity, Transcription
from slamflow.config.schema_models import Mixture, Model
from slamflow.config.schema_study import Question
from slamflow.config.schema_units import Hubert, Tokeniser
from slamflow.config.schema_vocoders import Vocoder
from slamflow.config.schema_voices import Synthesiser

Some = Annotated[list[Name], Field(min_length=1)]
Result = Annotated[str, StringConstraints(pattern=r"^results/.")]
Accuracy = Literal[
    "slamkit-mean",
    "slamkit-sum",
    "zerospeech-mean",
    "zerospeech-sum",
    "slm-scaling",
    "slm-scaling-cloze",
    "salmon-mean",
    "salmon-sum",
    "conditional-mean",
    "conditional-sum",
]


class Scoring(Block):
    """How a model reads the items."""

    start: Literal["bos", "eos", "none"] = setting(
        "bos",
        is_about="token before the first unit; conventions differ in it: slm-scaling has eos,"
        " salmon none, the others bos",
    )
    modality: Literal["all", "units"] = setting(
        "all", is_about="units: of a model that knows text, too, likelihoods among units only"
    )
    context: Literal["units", "text"] = setting(
        "units",
        is_about="what the words are that both members of an item begin with; text: for models that"
        " know both",
        only="crossing",
    )
    ending: Literal["units", "text"] = setting(
        "units", is_about="what follows the context", only="crossing"
    )
    micro_batch: Positive | None = machine(
        None, is_about="tokens in memory at once, padding included; default: chosen by the stage"
    )

    @property
    def crossed(self) -> bool:
        """Whether any of an item is text."""
        return "text" in (self.context, self.ending)

    @model_validator(mode="after")
    def _of_both(self) -> Self:
        if self.crossed and (self.start, self.modality) != ("bos", "all"):
            raise ValueError("with text, `start` must be bos and `modality` all")
        return self


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


class Sampling(Block):
    """How models go on after the beginnings of utterances; the defaults are the Slam paper's."""

    seconds: float | None = setting(
        3.0, gt=0, is_about="length of a prompt (s); null: whole utterances"
    )
    prompts: Positive | None = setting(1000, is_about="how many, drawn by seed; null: all")
    new_tokens: Positive = setting(150, is_about="the most tokens, the end token included")
    temperature: float = setting(0.8, ge=0, is_about="0: the likeliest unit each time")
    top_k: Positive | None = setting(25, is_about="among how many units is drawn; null: all")
    top_p: float = setting(1.0, gt=0, le=1, is_about="among units of this probability together")
    penalty: float = setting(
        1.0, gt=0, is_about="of units that were there before; the paper has 1.1 after DPO"
    )
    seed: Seed = setting(0, is_about="draws prompts and units")
    micro_batch: Positive | None = machine(
        None, is_about="tokens in memory at once; default: chosen by the stage"
    )


class Benchmark(Block):
    """A corpus of pairs, and how it is scored and averaged; or of prompts, which are continued."""

    corpus: Name = reference(
        "corpora", is_about="pairs (positive and negative), or what is only continued"
    )
    scored: bool = setting(True, is_about="false: pairs are continued, and not scored")
    scoring: Scoring = setting(Scoring(), is_about="how a model reads the items")
    metrics: Metrics = setting(Metrics(), is_about="how items are averaged")
    sampling: Sampling | None = setting(
        None, is_about="how models continue its items; null: they do not"
    )
    vocoder: Name | None = reference(
        "vocoders", None, is_about="what speaks the continuations; null: they stay units"
    )
    transcription: Transcription | None = setting(
        None,
        is_about="how their words are heard, which auto-BLEU and the share of empty transcripts are"
        " taken of; null: they are not",
    )
    perplexity: Perplexity | None = setting(
        None, is_about="GenPPL: the language model that reads the transcripts; null: none"
    )
    judge: Judge | None = setting(None, is_about="GPTScore: what judges them; null: nothing")

    @property
    def continued(self) -> bool:
        """Whether models continue its items."""
        return self.sampling is not None

    @property
    def transcribed(self) -> bool:
        """Whether the words of continuations are heard."""
        return self.transcription is not None

    @property
    def judged(self) -> bool:
        """Whether a judge reads the transcripts."""
        return self.judge is not None

    @property
    def crossed(self) -> bool:
        """Whether any of its items is text."""
        return self.scoring.crossed


class Evaluation(Block):
    """Each of the models meets each of the benchmarks."""

    models: Some = reference("models", is_about="which models")
    benchmarks: Some = reference("benchmarks", is_about="which benchmarks")


class Config(Block):
    """A whole config: a recipe under the user's `config.yaml`."""

    recipe: str = setting(is_about="a file in recipes/ that this config overrides")
    data_root: str = machine("data", is_about="folder that the paths of corpora are relative to")
    device: Literal["auto", "cpu", "cuda"] = machine("auto", is_about="where tensors live")
    downloads: dict[Name, Download] = setting({}, is_about="what is fetched from elsewhere")
    corpora: dict[Name, Corpus] = setting({}, is_about="utterances")
    synthesisers: dict[Name, Synthesiser] = setting({}, is_about="text-to-speech engines")
    huberts: dict[Name, Hubert] = setting({}, is_about="speech encoders")
    tokenisers: dict[Name, Tokeniser] = setting({}, is_about="speech to units")
    mixtures: dict[Name, Mixture] = setting({}, is_about="packed training rows")
    models: dict[Name, Model] = setting({}, is_about="language models of units and baselines")
    vocoders: dict[Name, Vocoder] = setting({}, is_about="units to speech")
    benchmarks: dict[Name, Benchmark] = setting({}, is_about="what models are asked")
    evaluate: list[Evaluation] = setting([], is_about="which models meet which benchmarks")
    questions: dict[Name, Question] = setting({}, is_about="what a study asks: results/study.tsv")
    plan: Annotated[list[Result], Field(min_length=1)] = setting(
        ["results/eval.tsv"], is_about="what results/plan.tsv plans; nothing else looks at it"
    )
