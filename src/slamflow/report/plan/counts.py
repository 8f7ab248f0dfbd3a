"""How much there is of the things of a config before any of it is there."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SPEECH_RATE = 16_000  # samples a second that a HuBERT hears
PARADIGMS = 67  # of BLiMP
GATED = ("qwen2", "qwen3", "llama", "mistral")  # three matrices in a feed-forward layer
PLAIN = ("opt", "gpt2", "gpt_neox")  # two
PHONES = 40  # of an English topline, within a few


class Unknown(Exception):
    """What is not known, as `hours of spokenswag`."""


class Counts:
    """Sizes of things by their names; what is not known raises `Unknown`.

    Args:
        config: all of a config but machine settings, as plain values.
        yields: (what, of it): hours of speech of an item of generated text, by its content, and
            units a second of a tokeniser, by its features: see `rates.yields`.
    """

    def __init__(self, config: Mapping[str, Any], yields: Mapping[tuple[str, str], float]) -> None:
        self.config = config
        self.yields = yields

    def gigabytes(self, download: str) -> float:
        """Size of a download."""
        found = self.config["downloads"][download]
        parts = found["archives"] if found["kind"] == "archive" else [found]
        return sum(_known(part["gigabytes"], f"size of {download}") for part in parts)

    def items(self, corpus: str) -> float:
        """Documents, pairs or preferences of a corpus."""
        source = self.config["corpora"][corpus]["source"]
        count = source.get("items") or source.get("count")
        if count is None and source.get("per_paradigm"):
            count = PARADIGMS * source["per_paradigm"]
        return float(_known(count, f"items of {corpus}"))

    def hours(self, corpus: str) -> float:
        """Speech of a corpus, in all renditions."""
        found = self.config["corpora"][corpus]
        if found["source"].get("hours") is not None:
            return float(found["source"]["hours"])
        spoken = ("hour", found["source"].get("content") or found["source"]["kind"])
        an_item = _known(self.yields.get(spoken), f"hours of {corpus}")
        return self.items(corpus) * float(found["speech"]["renditions"]) * an_item

    def rate(self, tokeniser: str) -> float:
        """Units a second."""
        found = self.config["tokenisers"][tokeniser]
        usual = self.yields.get(("unit", found["features"]))
        return float(_known(found["units_a_second"] or usual, f"units a second of {tokeniser}"))

    def tokens(self, tokeniser: str, corpus: str) -> float:
        """Units of a corpus."""
        return self.hours(corpus) * 3600 * self.rate(tokeniser)

    def mixed(self, mixture: str) -> float:
        """Units of a mixture's corpora, once each, and as much text where it is interleaved."""
        found = self.config["mixtures"][mixture]
        tokenisers = [found["tokeniser"], *([found["text"]] if found["text"] else [])]
        return sum(self.tokens(each, corpus) for each in tokenisers for corpus in found["corpora"])

    def vocabulary(self, tokeniser: str) -> int:
        """Units of a tokeniser."""
        found = self.config["tokenisers"][tokeniser]
        if found["bpe"]:
            return int(found["bpe"]["vocabulary"])
        return int(found["kmeans"]["clusters"]) if found["kmeans"] else PHONES

    def tokeniser(self, model: str) -> str:
        """The tokeniser of a model's units."""
        found = self.config["models"][model]
        if found["kind"] == "align":
            return self.tokeniser(found["base"])
        if found["kind"] == "published":
            return str(found["tokeniser"])
        return str(self.config["mixtures"][found["mixture"]]["tokeniser"])

    def parameters(self, model: str) -> float:
        """Weights of a model's matrix products; those of the token table once, as its output."""
        found = self.config["models"][model]
        if found["kind"] == "align":
            return self.parameters(found["base"])
        if found["kind"] == "ngram":
            return 0.0
        start = found.get("init") or found.get("twist") or found
        if start.get("base"):
            return self.parameters(start["base"])
        if "layers" not in start:
            return float(_known(start["parameters"], f"size of {model}"))
        mixture = self.config["mixtures"][found["mixture"]]
        entries = 2 + sum(
            self.vocabulary(each) for each in (mixture["tokeniser"], mixture["text"]) if each
        )
        return _matrices(start, model) + float(entries * start["hidden_size"])

    def flops(self, tokeniser: str) -> float:
        """Operations of a tokeniser's HuBERT, up to its layer, for a second of speech."""
        found = self.config["tokenisers"][tokeniser]
        hubert = self.config["huberts"][found["hubert"]]
        layers = found["kmeans"]["layer"]
        if hubert["training"]:
            return hearing(hubert["training"]["architecture"], layers)
        if hubert["path"]:
            return hearing(_architecture(Path(hubert["path"]) / "config.json"), layers)
        return 1e9 * float(_known(found["gigaflops"], f"gigaflops of {tokeniser}"))


def hearing(shape: Mapping[str, Any], layers: int) -> float:
    """Operations of a HuBERT for a second of speech, attention's own left out.

    Args:
        shape: as `huberts.*.training.architecture`.
        layers: of the transformer.
    """
    rate, channels, products = float(SPEECH_RATE), 1, 0.0
    sizes = zip(shape["conv_dim"], shape["conv_kernel"], shape["conv_stride"], strict=True)
    for dim, kernel, stride in sizes:
        rate /= stride
        products += rate * dim * channels * kernel
        channels = dim
    width = shape["hidden_size"]
    grouped = width * shape["position_kernel"] / shape["position_groups"]
    layer = 4 * width + 2 * shape["intermediate_size"]
    return 2 * (products + rate * width * (channels + grouped + layers * layer))


def frames(shape: Mapping[str, Any]) -> float:
    """Frames a second of a HuBERT."""
    return float(SPEECH_RATE / math.prod(shape["conv_stride"]))


def _architecture(path: Path) -> dict[str, Any]:
    """A HuBERT's shape, of transformers' description of it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        shape = {name: found[name] for name in ("conv_dim", "conv_kernel", "conv_stride")}
        shape |= {name: found[name] for name in ("hidden_size", "intermediate_size")}
        shape["position_kernel"] = found["num_conv_pos_embeddings"]
        shape["position_groups"] = found["num_conv_pos_embedding_groups"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: no description of a HuBERT ({error!r})") from None
    return shape


def _matrices(init: Mapping[str, Any], model: str) -> float:
    """Weights of the layers of a language model, biases and norms left out."""
    kind, width, wide = init["architecture"], init["hidden_size"], init["intermediate_size"]
    known = (kind in GATED and wide is not None) or kind in PLAIN
    _known(known or None, f"size of {model}, whose architecture is {kind}")
    share = (init["kv_heads"] or init["heads"]) / init["heads"]
    fed = (3 if kind in GATED else 2) * (wide or 4 * width)
    return float(init["layers"] * width * (2 * width + 2 * width * share + fed))


def _known(value: Any, what: str) -> Any:
    if value is None:
        raise Unknown(what)
    return value
