"""Sampling from a causal language model of units: how it goes on after a prompt.

transformers generates: padding on the left, positions, caches, what changes logits and when to
stop. Ours is the draw: each prompt has random numbers of its own, so that what follows it depends
on the seed, its name and the model, not on the prompts beside it.

What remains is rounding: a row's logits differ with what else is in the batch, by up to 1e-5 as
seen. Probabilities are taken from them in float64 and drawn from by their cumulated sum, so another
token is drawn only where a random number lies that near to a border between two tokens, and a
greedy choice differs only where two logits are that near to each other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from slamflow import logs
from slamflow.lm import shares
from slamflow.lm.vocabulary import Layout, layout

TOKENS_A_BATCH = {"cpu": 8192, "cuda": 32768}  # prompts and continuations, padding included
Processor = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # tokens, logits -> logits


@dataclass(frozen=True)
class Sampling:
    """How continuations are drawn; the values of the Slam recipe, but for the penalty after DPO.

    Attributes:
        new_tokens: the most tokens of a continuation, the end token included.
        temperature: divides the logits; 0 takes the likeliest token.
        top_k: only the so many likeliest tokens are drawn; None: all.
        top_p: only the likeliest tokens whose probabilities make so much together are drawn.
        penalty: the logit of each token that has occurred, in the prompt too, `<S>` too, is divided
            by it if positive, else multiplied (Keskar et al. 2019, arXiv 1909.05858).
        seed: of the random numbers.
    """

    new_tokens: int = 150
    temperature: float = 0.8
    top_k: int | None = 25
    top_p: float = 1.0
    penalty: float = 1.0
    seed: int = 0


class Continuation(NamedTuple):
    """Units int64 [n], and whether the end token followed them."""

    units: np.ndarray
    finished: bool


def room(network: PreTrainedModel, units: int, sampling: Sampling) -> int:
    """How many tokens may follow a prompt of so many units: no more than the context leaves."""
    context = getattr(network.config, "max_position_embeddings", None)
    left = sampling.new_tokens if context is None else context - 1 - units
    return min(sampling.new_tokens, left)


def extend(
    network: PreTrainedModel,
    prompts: Mapping[str, np.ndarray],
    sampling: Sampling,
    budget: int,
    label: str = "sampling",
) -> dict[str, Continuation]:
    """Continuations of prompts, each a name and its units [n]; no units: `<S>` alone.

    They hold units only. Logits are float32, what is done to them is float64. The model's own
    settings of generation are replaced by transformers' defaults.

    Args:
        network: a causal language model whose config says where its units are, in eval mode.
        budget: tokens a batch, see TOKENS_A_BATCH; one prompt at least.
        label: begins the progress line.

    Raises:
        ValueError: a prompt that leaves no room in the context, logits that are not finite, or
            settings that cannot be.
    """
    if sampling.new_tokens < 1:
        raise ValueError(f"sampling: new_tokens is {sampling.new_tokens} and must be 1 or more")
    network.generation_config = GenerationConfig()
    rooms = {name: room(network, len(prompt), sampling) for name, prompt in prompts.items()}
    found: dict[str, Continuation] = {}
    progress = logs.Progress(label, len(prompts), "prompts")
    order = sorted(prompts, key=lambda name: (rooms[name], len(prompts[name]), name))
    # Prompts of one batch end together: positions after the context's end may not exist.
    for steps, names in groupby(order, rooms.__getitem__):
        group = list(names)
        if steps < 1:
            raise ValueError(
                f"{label}: the prompt `{group[-1]}` has {len(prompts[group[-1]])} units, which"
                " leave no room in the model's context; shorten it (`seconds`)"
            )
        size = max(1, budget // (1 + len(prompts[group[-1]]) + steps))
        for first in range(0, len(group), size):
            batch = group[first : first + size]
            numbers = np.stack([shares.generator(sampling.seed, n).random(steps) for n in batch])
            made = _batch(network, [prompts[n] for n in batch], numbers, sampling)
            found |= zip(batch, made, strict=True)
            progress.update(len(found))
    return {name: found[name] for name in prompts}


def _batch(
    network: PreTrainedModel,
    prompts: Sequence[np.ndarray],
    numbers: np.ndarray,
    sampling: Sampling,
) -> list[Continuation]:
    """Continuations of prompts together; `numbers` in [0, 1), float64 [prompts, steps]."""
    ids, device = layout(network.config), network.device
    width = 1 + max(map(len, prompts))
    padding = torch.tensor([width - 1 - len(prompt) for prompt in prompts])
    tokens = torch.full((len(prompts), width), ids.pad)
    for row, prompt in enumerate(prompts):
        given = np.concatenate([[ids.start], prompt.astype(np.int64) + ids.offset])
        tokens[row, width - len(given) :] = torch.from_numpy(given)
    processors: list[Any] = [_only_units(ids, network.config.vocab_size, device)]
    if sampling.penalty != 1:
        processors.append(RepetitionPenaltyLogitsProcessor(float(sampling.penalty), padding))
    if sampling.temperature:
        processors.append(TemperatureLogitsWarper(float(sampling.temperature)))
        if sampling.top_k is not None:
            processors.append(TopKLogitsWarper(sampling.top_k))
        if sampling.top_p < 1:
            processors.append(TopPLogitsWarper(float(sampling.top_p)))
        processors.append(drawing(torch.from_numpy(numbers).to(device), width))
    settings = GenerationConfig(
        do_sample=False,  # the likeliest token: what `drawing` leaves
        max_new_tokens=numbers.shape[1],
        eos_token_id=ids.end,
        pad_token_id=ids.pad,
        use_cache=True,
    )
    made = network.generate(
        tokens.to(device),
        attention_mask=(torch.arange(width) >= padding[:, None]).long().to(device),
        generation_config=settings,
        logits_processor=LogitsProcessorList(processors),
    )
    return [_cut(row, ids) for row in made[:, width:].cpu().numpy()]


def _only_units(ids: Layout, vocabulary: int, device: torch.device) -> Processor:
    """Leaves units and the end token; in float64 from here on."""
    allowed = torch.zeros(vocabulary, dtype=torch.bool, device=device)
    allowed[ids.offset : ids.offset + ids.units] = True
    allowed[ids.end] = True

    def restrict(tokens: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        if not logits[:, allowed].isfinite().all():
            raise ValueError(
                "the model's logits are not finite; its weights are damaged or training diverged"
            )
        return logits.double().masked_fill(~allowed, -torch.inf)

    return restrict


def drawing(numbers: torch.Tensor, width: int) -> Processor:
    """Leaves one token a row: the first up to which probabilities sum to more than its number.

    Args:
        numbers: in [0, 1), float64 [rows, steps].
        width: the tokens of a row before the first step.
    """

    def draw(tokens: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        cumulated = logits.double().softmax(-1).cumsum(-1)
        step = tokens.shape[1] - width
        aim = numbers[:, step, None] * cumulated[:, -1:]  # the sum is 1 but for rounding
        drawn = torch.searchsorted(cumulated, aim, right=True)
        return torch.full_like(logits, -torch.inf).scatter_(1, drawn, 0.0)

    return draw


def _cut(tokens: np.ndarray, ids: Layout) -> Continuation:
    ends = np.flatnonzero(tokens == ids.end)
    return Continuation(tokens[: ends[0] if len(ends) else None] - ids.offset, bool(len(ends)))
