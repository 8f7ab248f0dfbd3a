"""How well a text language model predicts transcripts.

The likelihood of a text is that of its tokens after the model's start token, which is not itself
predicted, nor is an end token. Where the model has no start token, the first token is predicted
from nothing and not counted. A prompt that is given comes before the text and is not counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoTokenizer, PreTrainedModel

from slamflow import files, logs, pretrained
from slamflow.generation import hub_tokenizer
from slamflow.lm import saved
from slamflow.lm.vocabulary import layout
from slamflow.tokeniser import bpe

LOGITS = 1 << 28  # in memory at once, unless the machine says otherwise
MOST = 8192  # tokens at once


class Text(NamedTuple):
    """Ids of a text: those that are there, and how many of them are not counted."""

    ids: list[int]
    given: int


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model of text.

    Attributes:
        network: in transformers' layout.
        name: for messages.
        start: what each text begins with, at most one id.
        encode: the ids of a text; of one that goes on, if the second argument is true.
    """

    network: PreTrainedModel
    name: str
    start: list[int]
    encode: Any

    def read(self, text: str, prompt: str | None) -> Text:
        """A text after its prompt, if it has one."""
        before = self.start + (self.encode(prompt, False) if prompt else [])
        return Text(before + self.encode(text, bool(prompt)), max(len(before), 1))


def trained_here(model: Path, tokenizer: Path) -> LanguageModel:
    """A text model of this workflow.

    Args:
        model: its folder.
        tokenizer: tokenizer.json of the entries that it was trained on.

    Raises:
        ValueError: it is no such model, or of other entries.
    """
    network, entries = saved.load(model), bpe.load(tokenizer)
    ids = layout(network.config)
    if entries.get_vocab_size() != ids.units:
        raise ValueError(
            f"{model}: knows {ids.units} entries, and {tokenizer} has {entries.get_vocab_size()};"
            f" {files.REMAKE}"
        )
    return LanguageModel(
        network,
        Path(model).name,
        [ids.start],
        lambda text, _: [int(entry) + ids.offset for entry in bpe.encode(entries, [text])[0]],
    )


def published(config: Mapping[str, Any], machine: Mapping[str, Any]) -> LanguageModel:
    """A model of others, with its own tokenizer; texts begin as that begins them.

    Args:
        config: `model`, a folder or a hub id; `revision` of the hub's, or None.
        machine: `data_root`, if it is known.

    Raises:
        ValueError: there is no such model, or it has no tokenizer.
    """
    folder = pretrained.fetch(config, machine, hub_tokenizer.PATTERNS)
    network = saved.load(folder)
    tokenizer = hub_tokenizer.load(AutoTokenizer, folder)
    begun = tokenizer("a").input_ids[:1]
    return LanguageModel(
        network,
        str(config["model"]),
        begun if begun == [tokenizer.bos_token_id] else [],
        lambda text, goes_on: (
            tokenizer(f" {text}" if goes_on else text, add_special_tokens=False).input_ids
        ),
    )


def negative_log_likelihoods(
    model: LanguageModel,
    texts: Sequence[tuple[str | None, str]],
    budget: int | None = None,
    label: str = "perplexity",
) -> tuple[np.ndarray, np.ndarray]:
    """Of each (prompt or None, text): the sum over the counted tokens in nats, and their number.

    Both are float64 [texts]. What the model's context has no room for is left out at the end.

    Args:
        budget: tokens in memory at once, padding included; at least one text is.
        label: for progress lines.
    """
    network = model.network
    read = [model.read(text, prompt) for prompt, text in texts]
    room = getattr(network.config, "max_position_embeddings", None) or max(
        (len(each.ids) for each in read), default=0
    )
    if long := sum(len(each.ids) > room for each in read):
        logs.say(f"{label}: of {long} texts {model.name} reads only the first {room} tokens")
    read = [Text(each.ids[:room], each.given) for each in read]
    budget = budget or max(1, min(MOST, LOGITS // network.config.vocab_size))
    sums, counts = np.zeros(len(read)), np.zeros(len(read))
    order = sorted(range(len(read)), key=lambda index: len(read[index].ids))
    progress, done = logs.Progress(label, len(read), "texts"), 0
    while done < len(order):
        size = 1
        while done + size < len(order) and (size + 1) * len(read[order[done + size]].ids) <= budget:
            size += 1
        part = order[done : done + size]
        sums[part], counts[part] = _batch(network, [read[index] for index in part])
        progress.update(done := done + size)
    return sums, counts


@torch.inference_mode()
def _batch(network: PreTrainedModel, texts: Sequence[Text]) -> tuple[np.ndarray, np.ndarray]:
    rows = [torch.tensor(text.ids, dtype=torch.long) for text in texts]
    ids = pad_sequence(rows, batch_first=True).to(network.device)
    lengths = torch.tensor([len(row) for row in rows], device=ids.device)
    place = torch.arange(ids.shape[1], device=ids.device)
    there = place < lengths[:, None]
    counted = there & (place >= torch.tensor([t.given for t in texts], device=ids.device)[:, None])
    logits = network(input_ids=ids, attention_mask=there.long()).logits[:, :-1].float()
    taken = logits.gather(2, ids[:, 1:, None])[..., 0]
    losses = (logits.logsumexp(2) - taken).double().where(counted[:, 1:], 0.0)
    return losses.sum(1).cpu().numpy(), counted[:, 1:].sum(1).double().cpu().numpy()
