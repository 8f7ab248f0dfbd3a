"""The files that the things of a config are made from: inputs of the rules."""

from collections.abc import Callable, Iterable
from typing import Any

from slamflow.config import blocks, lineages, questions, reported
from slamflow.config.schema import Config
from slamflow.config.schema_models import (
    AlignedModel,
    NgramModel,
    PretrainedModel,
    PublishedModel,
)

RESULTS = "results"


class Inputs:
    """The files of a config's things by their names; paths are relative to the checkout."""

    def __init__(self, config: Config) -> None:
        self.config = config

    # corpora

    def manifest(self, corpus: str) -> list[str]:
        """The list of the files of a corpus's download, if it has one."""
        return manifest_of(getattr(self.config.corpora[corpus].source, "download", None))

    def weights(self, rule: str) -> Callable[[Any], list[str]]:
        """Input function: the list of the download that an engine's weights come from, if any."""
        return lambda wildcards: manifest_of(
            getattr(blocks.engine(self.config, rule, wildcards), "download", None)
        )

    def heard_in(self, corpus: str) -> list[str]:
        """The training text that a corpus's words are chosen from, if it is so chosen."""
        training = getattr(self.config.corpora[corpus].source, "heard_in", None)
        return [f"{RESULTS}/text/{training}.parquet"] if training else []

    def speech(self, corpora: Iterable[str]) -> list[str]:
        """The speech of corpora, all shards."""
        return self._shards("speech", corpora)

    def phone_alignments(self, corpora: Iterable[str]) -> list[str]:
        """The alignments of those corpora whose phones are found, all shards."""
        return self._alignments("knows_phones", corpora)

    def word_alignments(self, corpora: Iterable[str]) -> list[str]:
        """The alignments of those corpora whose words are found, which needs texts, all shards."""
        return self._alignments("needs_text", corpora)

    def _alignments(self, trait: str, corpora: Iterable[str]) -> list[str]:
        aligned = [
            corpus
            for corpus in corpora
            if getattr(self.config.corpora[corpus].alignment, trait, False)
        ]
        return self._shards("alignments", aligned)

    def units(self, tokeniser: str, corpora: Iterable[str]) -> list[str]:
        """The units of corpora, all shards."""
        return self._shards(f"units/{tokeniser}", corpora)

    def mixture_units(self, mixture: str) -> list[str]:
        """The units of a mixture's corpora, all shards."""
        found = self.config.mixtures[mixture]
        return self.units(found.tokeniser, found.corpora)

    def mixture_text(self, mixture: str) -> list[str]:
        """The text of an interleaved mixture's corpora, all shards."""
        found = self.config.mixtures[mixture]
        return self.units(str(found.text), found.corpora)

    def benchmark_units(self, model: str, benchmark: str) -> list[str]:
        """A benchmark's items as units that a model reads."""
        return self.units(self.tokeniser(model), [self.config.benchmarks[benchmark].corpus])

    def benchmark_speech(self, model: str, benchmark: str) -> list[str]:
        """The speech of a benchmark, if it can tell where the prompts of its items end.

        That is where the times of its words and of the model's units are known.
        """
        corpus = self.config.benchmarks[benchmark].corpus
        features = self.config.tokenisers[self.tokeniser(model)].features
        timed = features in ("hubert", "mfcc") and self.has_words(corpus)
        return self.speech([corpus] if timed else [])

    def benchmark_alignments(self, model: str, benchmark: str) -> list[str]:
        """The alignments that go with `benchmark_speech`."""
        corpus = self.config.benchmarks[benchmark].corpus
        return self.word_alignments([corpus] if self.benchmark_speech(model, benchmark) else [])

    def has_words(self, corpus: str) -> bool:
        """Whether it is known when words are spoken; of Parquet files only they tell."""
        found = self.config.corpora[corpus]
        if found.speech:
            return self.config.synthesisers[found.speech.synthesiser].engine != "command"
        return found.source.kind == "parquet" or getattr(found.alignment, "needs_text", False)

    def _shards(self, folder: str, corpora: Iterable[str]) -> list[str]:
        return [
            f"{RESULTS}/{folder}/{corpus}/{shard:04d}.parquet"
            for corpus in corpora
            for shard in range(self.config.corpora[corpus].shards)
        ]

    # HuBERTs and tokenisers

    def hubert(self, tokeniser: str) -> list[str]:
        """The weights of a tokeniser's HuBERT, or the list of the download that has them.

        None, where they come from the hub when they are needed.
        """
        name = self.config.tokenisers[tokeniser].hubert
        if name is None:
            return []
        found = self.config.huberts[name]
        if found.training:
            return [f"{RESULTS}/huberts/{name}/model.safetensors"]
        return [f"{found.path}/model.safetensors"] if found.path else manifest_of(found.download)

    def shapes(self) -> list[str]:
        """What says how large the HuBERTs are that came with the checkout."""
        return [f"{it.path}/config.json" for it in self.config.huberts.values() if it.path]

    def initial(self, hubert: str) -> list[str]:
        """The weights that a HuBERT's training goes on from, if it does."""
        name = self.config.huberts[hubert].initial
        return [f"{RESULTS}/huberts/{name}/model.safetensors"] if name else []

    def targets(self, hubert: str) -> str:
        """The tokeniser whose units a HuBERT learns to predict."""
        return str(self.config.huberts[hubert].targets)

    def gate(self, tokeniser: str) -> list[str]:
        """The quality of a tokeniser, if it has to be good enough to be a HuBERT's targets."""
        quality = self.config.tokenisers[tokeniser].quality
        gated = quality is not None and quality.least_gain is not None
        return self._qualities([tokeniser] if gated else [])

    def codebook(self, tokeniser: str) -> str:
        """What says which units a tokeniser has."""
        features = self.config.tokenisers[tokeniser].features
        file = {"phones": "phones.json", "bpe": "tokenizer.json"}.get(features)
        return f"{RESULTS}/tokenisers/{tokeniser}/{file or 'kmeans.safetensors'}"

    def converted(self, tokeniser: str) -> list[str]:
        """The list of the download that a codebook is converted from, if it is from one."""
        kmeans = self.config.tokenisers[tokeniser].kmeans
        return manifest_of(kmeans.download if kmeans else None)

    def qualities(self) -> list[str]:
        """The quality of each tokeniser that an evaluated model uses, where it is measured."""
        return self._qualities(self.tokeniser(model) for model in self._models())

    def all_qualities(self) -> list[str]:
        """The quality of each tokeniser that is measured."""
        return self._qualities(self.config.tokenisers)

    def _qualities(self, tokenisers: Iterable[str]) -> list[str]:
        return [
            f"{RESULTS}/tokenisers/{name}/quality.json"
            for name in dict.fromkeys(tokenisers)
            if self.config.tokenisers[name].quality
        ]

    # models

    def model(self, name: str) -> str:
        """The weights of a model."""
        return f"{RESULTS}/models/{name}/model.safetensors"

    def base(self, model: str) -> str:
        """The model that an aligned model starts from."""
        found = self.config.models[model]
        assert isinstance(found, AlignedModel)
        return found.base

    def initial_model(self, model: str) -> list[str]:
        """The weights that a model starts from, or the list of the download that has them.

        None, where they are drawn, or come from the hub when they are needed.
        """
        found = self.config.models[model]
        assert isinstance(found, PretrainedModel)
        twist = found.twist
        if twist is None:
            return []
        if twist.base:
            return [self.model(twist.base)]
        return [f"{twist.path}/model.safetensors"] if twist.path else manifest_of(twist.download)

    def published(self, model: str) -> list[str]:
        """The list of the download that a published model is in, if it is in one."""
        found = self.config.models[model]
        assert isinstance(found, PublishedModel)
        return manifest_of(found.download)

    def preferences(self, model: str) -> str:
        """The corpus of preferences that an aligned model learns from."""
        found = self.config.models[model]
        assert isinstance(found, AlignedModel)
        return found.corpus

    def unaligned(self, model: str) -> PretrainedModel | NgramModel | PublishedModel:
        """A model itself or, if it is aligned, the one that its bases begin with."""
        return lineages.unaligned(self.config, model)

    def mixture(self, model: str) -> str:
        """The mixture that a model, or its base, is trained on."""
        found = self.unaligned(model)
        assert not isinstance(found, PublishedModel)
        return found.mixture

    def tokeniser(self, model: str) -> str:
        """The tokeniser whose units a model reads."""
        return lineages.tokeniser(self.config, model)

    def text_tokeniser(self, model: str) -> str | None:
        """The tokeniser whose text a model reads beside units, if it does."""
        found = self.unaligned(model)
        return (
            None if isinstance(found, PublishedModel) else self.config.mixtures[found.mixture].text
        )

    def text_codebook(self, model: str) -> str:
        """What says which text a model reads beside units.

        Raises:
            ValueError: it reads none.
        """
        tokeniser = self.text_tokeniser(model)
        if tokeniser is None:
            raise ValueError(
                f"{model} knows no text beside units: name one of an interleaved mixture"
            )
        return self.codebook(tokeniser)

    def evaluated(self) -> list[tuple[str, str]]:
        """Each (model, benchmark) of `evaluate`, then of `questions`, once, in their order."""
        return blocks.evaluated(self.config)

    def scores(self) -> list[str]:
        """The score tables behind eval.tsv."""
        return [
            f"{RESULTS}/scores/{model}/{benchmark}.parquet"
            for model, benchmark in blocks.scored(self.config)
        ]

    def submitted(self, model: str, task: str, split: str) -> str:
        """The scores of a model on a split of ZeroSpeech, to be submitted.

        Raises:
            ValueError: no benchmark asks for this split.
        """
        name = blocks.official(self.config, task, split)
        return f"{RESULTS}/scores/{model}/{name}.parquet"

    def cards(self) -> list[str]:
        """The card of each evaluated model that is trained, or published."""
        return [
            f"{RESULTS}/models/{name}/card.md"
            for name in self._models()
            if not isinstance(self.config.models[name], NgramModel)
        ]

    # the study

    def question_scores(self, question: str) -> list[str]:
        """The score tables behind the answer to a question."""
        return [
            f"{RESULTS}/scores/{model}/{benchmark}.parquet"
            for model, benchmark in questions.pairs(self.config, question)
        ]

    def question_trainings(self, question: str) -> list[str]:
        """The logs of all trainings that a question's models took."""
        return [
            f"{RESULTS}/models/{model}/training.parquet"
            for model in questions.trained(self.config, question)
        ]

    def answers(self, wildcards: Any = None) -> list[str]:
        """The answer to each question.

        Raises:
            ValueError: nothing is asked.
        """
        if not self.config.questions:
            raise ValueError("the config has no `questions`; try --config recipe=ablations")
        return [f"{RESULTS}/study/{question}.tsv" for question in self.config.questions]

    def reported(self) -> list[str]:
        """The logs, cards and speech that the page of all results shows."""
        return reported.files(self.config, self.evaluated())

    def _models(self) -> list[str]:
        return list(dict.fromkeys(model for model, _ in self.evaluated()))


def manifest_of(download: str | None) -> list[str]:
    """The list of the files of a download, if there is one."""
    return [f"{RESULTS}/downloads/{download}.parquet"] if download else []
