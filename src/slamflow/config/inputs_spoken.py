"""The files that vocoders and spoken continuations are made from: inputs of their rules."""

from slamflow.config import generation, vocoders
from slamflow.config.inputs import RESULTS, Inputs, manifest_of


class SpokenInputs(Inputs):
    """Also the files of what is spoken."""

    # vocoders

    def vocoder(self, name: str) -> str:
        """The weights of a vocoder."""
        return vocoders.weights(self.config, name)

    def vocoder_units(self, name: str) -> list[str]:
        """The units that a vocoder learns to speak."""
        found = self.config.vocoders[name]
        return self.units(found.tokeniser, getattr(found, "corpora", []))

    def vocoder_speech(self, name: str) -> list[str]:
        """The speech that a vocoder learns."""
        return self.speech(vocoders.spoken(self.config, name))

    def vocoder_pace(self, name: str) -> list[str]:
        """The speech whose pace the speech that a vocoder learns gets, if it is another's."""
        return self.speech(vocoders.pace(self.config, name))

    def released(self, vocoder: str) -> list[str]:
        """The list of the download that a released vocoder is in, if it is in one."""
        return manifest_of(getattr(self.config.vocoders[vocoder], "download", None))

    def measured(self, vocoder: str) -> list[str]:
        """The corpora that a vocoder is measured with."""
        quality = self.config.vocoders[vocoder].quality
        return list(quality.corpora) if quality else []

    # spoken continuations

    def heard_words(self, benchmark: str) -> list[str]:
        """The speech whose texts say which words may be heard in continuations, if any does."""
        transcription = self.config.benchmarks[benchmark].transcription
        return self.speech([text] if (text := getattr(transcription, "text", None)) else [])

    def transcripts(self, model: str, benchmark: str) -> str:
        """What is heard in a model's continuations."""
        vocoder = self.config.benchmarks[benchmark].vocoder
        return f"{RESULTS}/transcripts/{vocoder}/{model}/{benchmark}.parquet"

    def judgements(self, model: str, benchmark: str) -> list[str]:
        """What a judge says of a model's transcripts, if one is asked."""
        judged = self.config.benchmarks[benchmark].judge is not None
        return [f"{RESULTS}/judgements/{model}/{benchmark}.parquet"] if judged else []

    def text_model(self, benchmark: str) -> list[str]:
        """The weights of the model that reads transcripts, or the list of its download, if any."""
        found = self.config.benchmarks[benchmark].perplexity
        if found is None:
            return []
        return [self.model(found.lm)] if found.lm else manifest_of(found.download)

    def text_entries(self, benchmark: str) -> list[str]:
        """The tokenizer of the model that reads transcripts, if it is trained here."""
        found = self.config.benchmarks[benchmark].perplexity
        return [self.codebook(self.tokeniser(found.lm))] if found and found.lm else []

    def measures(self) -> list[str]:
        """The measures of spoken continuations behind eval.tsv."""
        return [
            f"{RESULTS}/generation/{model}/{benchmark}.json"
            for model, benchmark in generation.measured(self.config, self.evaluated())
        ]
