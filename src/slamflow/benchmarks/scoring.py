"""Likelihoods of a benchmark's utterances under a causal language model, in one batched pass.

An utterance is `<S> u1 … un <S>` with one id for both `<S>`; every token after the first is
predicted, the end token too (facts of the published metrics: slamkit's likelihood convention).
Sequences are padded on the right: under causal attention no real token sees the padding, so a
row's score does not depend on its batch but for rounding. With `modality: units` probabilities are
those among units, PAD and `<S>`, whatever else the model knows.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from slamflow import logs
from slamflow.benchmarks import utterances
from slamflow.lm import saved, vocabulary
from slamflow.training.device import prepare

TOKENS_A_BATCH = {"cpu": 8192, "cuda": 131072}  # padding included


def score(
    config: dict,
    model: Path,
    units: Sequence[Path],
    output: Path,
    machine: dict,
    label: str = "score_benchmark",
) -> None:
    """Write the scores table of one model on one benchmark.

    Args:
        config: the `scoring` block: `start` (`bos`), `modality` (`all`, the default, or `units`).
        model: folder in transformers layout; its config.json may say its number of `units`.
        units: the units tables of the benchmark's corpus.
        output: path of the scores table.
        machine: `device` (`auto`: cuda if there is one), `threads` (of the CPU), `micro_batch`
            (tokens a batch, padding included).
        label: for progress lines.

    Raises:
        ValueError: units outside the model's vocabulary, ids that occur twice, likelihoods that
            are not finite, or `modality: units` of a model that does not say how many it has.
    """
    start, modality = utterances.check_start(config), utterances.check_modality(config)
    name = Path(model).name
    device = torch.device(prepare(machine))
    network = saved.load(model).to(device)
    ids = vocabulary.layout(network.config)
    if modality == "units" and getattr(network.config, "units", None) is None:
        raise ValueError(
            f"{model}/config.json: does not say how many `units` the model has, which modality: "
            "units needs; train it anew, or score it with modality: all"
        )
    spoken = utterances.read(units, ids, name)
    longest = len(spoken.distinct[-1])
    context = getattr(network.config, "max_position_embeddings", longest)
    if longest > context:
        over = sum(len(sequence) > context for sequence in spoken.distinct)
        logs.say(
            f"{label}: {over} utterances are longer than the model's context of {context} tokens "
            f"(the longest has {longest}); their scores are extrapolated"
        )
    budget = machine.get("micro_batch") or TOKENS_A_BATCH[device.type]
    among = ids.size if modality == "units" else network.config.vocab_size
    terms = likelihoods(network, spoken.distinct, budget, label, among)
    utterances.write(spoken, terms, start, output, name)


def likelihoods(
    network: PreTrainedModel,
    sequences: Sequence[np.ndarray],
    budget: int,
    label: str = "scoring",
    among: int | None = None,
) -> utterances.Terms:
    """Negative log-likelihoods of token sequences sorted by length, each of at least two tokens.

    Logits are taken in float32, a token's term is `logsumexp(logits) - logits[token]`, and terms
    are summed in float64.

    Args:
        network: a causal language model; its `logits` are [batch, time, vocabulary].
        sequences: int64 arrays.
        budget: tokens a batch, padding included; a longer sequence is a batch of its own.
        label: begins the progress line.
        among: probabilities are among the first so many ids; default all.
    """
    device = next(network.parameters()).device
    pad = vocabulary.layout(network.config).pad
    total, first, end = (np.full(len(sequences), np.nan) for _ in range(3))
    progress = logs.Progress(label, len(sequences), "utterances")
    done = 0
    with torch.inference_mode():
        for batch in batches([len(sequence) for sequence in sequences], budget):
            lengths = torch.tensor([len(sequences[index]) for index in batch])
            tokens = torch.full((len(batch), int(lengths.max())), pad)
            for row, index in enumerate(batch):
                tokens[row, : len(sequences[index])] = torch.from_numpy(sequences[index])
            tokens = tokens.to(device)
            logits = network(input_ids=tokens[:, :-1], use_cache=False).logits[..., :among].float()
            terms = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1),  # rows in one piece: over a transposed view it is slower
                tokens[:, 1:].flatten(),
                reduction="none",
            )
            terms = terms.view(len(batch), -1).cpu().double()
            predicted = torch.arange(terms.shape[1])[None, :] < (lengths - 1)[:, None]
            total[batch] = terms.where(predicted, 0.0).sum(1).numpy()
            end[batch] = terms[torch.arange(len(batch)), lengths - 2].numpy()
            first[batch] = terms[:, 0].where(lengths > 2, torch.nan).numpy()
            done += len(batch)
            progress.update(done)
    return utterances.Terms(total, first, end)


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices in batches of neighbours whose padded size is at most `budget`, longest first.

    The longest come first so that a batch that does not fit in memory fails at once. A batch has
    one sequence at least.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        if batch and lengths[batch[0]] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
