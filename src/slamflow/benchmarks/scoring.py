"""Likelihoods of a benchmark's utterances under a causal language model, in one batched pass.

An utterance is `<S> u1 … un <S>`; every token after the first is predicted, the end token too.
Equal utterances are computed once, and batches have utterances of like lengths, so that hardly
anything is padding. It is on the right: under causal attention no real token sees it, so that a
row's score does not depend on its batch but for rounding. With `modality: units` probabilities are
those among units, PAD and `<S>`, whatever else the model knows.

What the members of an item begin with is computed for each. It is 8 to 18 % of `pocket`'s tokens;
computed once (`preference.packing`), it saved 0.92 of 1.01 s on its syntactic items, and cost 2.71
in place of 2.60 s on its stories; only on phones, of which it is 35 %, it saved a quarter.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from slamflow import logs
from slamflow.benchmarks import prompts, utterances
from slamflow.lm import saved, vocabulary
from slamflow.training.device import prepare

# padding included; on a processor, small batches stay in its cache
TOKENS_A_BATCH = {"cpu": 2048, "cuda": 131072}
# float32: 256 MiB or 2 GiB; models that know text, too, have many a token
LOGITS_A_BATCH = {"cpu": 2**26, "cuda": 2**29}


def score(
    config: dict,
    model: Path,
    units: Sequence[Path],
    output: Path,
    machine: dict,
    label: str = "score_benchmark",
    speech: Sequence[Path] = (),
    alignments: Sequence[Path] = (),
) -> None:
    """Write the scores table of one model on one benchmark.

    Args:
        config: the `scoring` block: `start` (`bos`, the default, `eos` or `none`), `modality`
            (`all`, the default, or `units`).
        model: folder in transformers layout; its config.json may say which ids it has, see
            `vocabulary.layout`.
        units: the units tables of the benchmark's corpus.
        output: path of the scores table.
        machine: `device` (`auto`: cuda if there is one), `threads` (of the CPU), `micro_batch`
            (tokens a batch, padding included).
        label: for progress lines.
        speech, alignments: of the corpus, for the ends of prompts; see `prompts.boundaries`.

    Raises:
        ValueError: units outside the model's vocabulary, ids that occur twice, likelihoods that
            are not finite, or `modality: units` of a model that does not say how many it has.
    """
    start, modality = utterances.check_start(config), utterances.check_modality(config)
    name = Path(model).name
    network = saved.load(model).to(prepare(machine))
    ids, size = vocabulary.layout(network.config), network.config.vocab_size
    if modality == "units" and getattr(network.config, "units", None) is None:
        raise ValueError(
            f"{model}/config.json: does not say how many `units` the model has, which modality: "
            "units needs; train it anew, or score it with modality: all"
        )
    ends = prompts.boundaries(speech, alignments)
    spoken = utterances.read(units, ids, name, start, ends)
    among = ids.size if modality == "units" else size
    terms = fitting(network, spoken.distinct, machine, label, among)
    utterances.write(spoken, terms, "units" if among < size else "all", output, name)


def fitting(
    network: PreTrainedModel,
    sequences: Sequence[np.ndarray],
    machine: dict,
    label: str,
    among: int | None = None,
) -> utterances.Terms:
    """`likelihoods` in batches that fit in memory.

    Args:
        machine: see `score`.
    """
    longest = len(sequences[-1])
    context = getattr(network.config, "max_position_embeddings", longest)
    if longest > context:
        over = sum(len(sequence) > context for sequence in sequences)
        logs.say(
            f"{label}: {over} utterances are longer than the model's context of {context} tokens "
            f"(the longest has {longest}); their scores are extrapolated"
        )
    kind = network.device.type
    most = min(TOKENS_A_BATCH[kind], LOGITS_A_BATCH[kind] // network.config.vocab_size)
    return likelihoods(network, sequences, machine.get("micro_batch") or most, label, among)


@torch.inference_mode()
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
    found = [np.empty(0)] * len(sequences)
    progress, done = logs.Progress(label, len(sequences), "utterances"), 0
    for batch in batches([len(sequence) for sequence in sequences], budget):
        lengths = [len(sequences[index]) for index in batch]
        padded = np.full((len(batch), max(lengths)), pad)
        for row, index in enumerate(batch):
            padded[row, : lengths[row]] = sequences[index]
        tokens = torch.from_numpy(padded).to(device)
        logits = network(input_ids=tokens[:, :-1], use_cache=False).logits[..., :among].float()
        terms = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1),  # rows in one piece: over a transposed view it is slower
            tokens[:, 1:].flatten(),
            reduction="none",
        )
        values = terms.view(len(batch), -1).cpu().double().numpy()
        for row, index in enumerate(batch):
            found[index] = values[row, : lengths[row] - 1]
        done += len(batch)
        progress.update(done)
    return utterances.Terms(found)


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
