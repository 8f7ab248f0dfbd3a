"""Whether a model reads packed preferences as pairs of answers that do not see each other.

Not all that transformers calls a causal model does: some have an attention of their own and do not
heed what they are told of blocks. So it is tried before references are taken, and before training.
"""

import numpy as np
import torch
from transformers import PreTrainedModel

from slamflow import pretrained
from slamflow.lm.borders import ERRORS, NOISE
from slamflow.lm.vocabulary import BOUNDARY, UNITS
from slamflow.preference import attention, likelihood, packing
from slamflow.preference.reading import Preferences

PROMPTS, ANSWERS = (3, 5), (4, 6)  # units of two pairs; answers begin with the same one


def by_blocks(model: PreTrainedModel) -> None:
    """Call `attention.by_blocks`, and see that answers have the likelihoods that they have alone.

    Raises:
        ValueError: they do not.
    """
    kind, training = model.config.model_type, model.training
    pairs = _pairs(model.config.vocab_size - UNITS)
    model.eval()
    try:
        expected, noise = _alone(model, pairs)
        attention.by_blocks(model)
        packed = packing.pack(pairs, np.arange(2), packing.Room(2**10), str(model.device))
        with torch.no_grad():
            found = likelihood.answers(model, packed, 2).cpu().numpy()
    except ERRORS as error:
        raise ValueError(
            f"base: {kind} cannot read packed preferences ({pretrained.reason(error)}); choose a"
            " base of another architecture"
        ) from None
    finally:
        model.train(training)
    if np.abs(found - expected).max() > noise:
        raise ValueError(
            f"base: {kind} does not keep the answers of a pair apart; choose a base of another"
            " architecture"
        )


def _alone(model: PreTrainedModel, pairs: Preferences) -> tuple[np.ndarray, float]:
    """ln p of each answer, [2, pairs]: chosen, rejected; and what rounding may change."""
    rows, spreads = [], []
    for answers in (pairs.chosen, pairs.rejected):
        for prompt, answer in zip(pairs.prompts, answers, strict=True):
            units = np.concatenate([prompt, answer]) + UNITS
            tokens = torch.tensor([BOUNDARY, *units, BOUNDARY], device=model.device)
            with torch.no_grad():
                logits = model(input_ids=tokens[None], use_cache=False).logits[0, :-1].double()
            terms = logits.log_softmax(-1).gather(1, tokens[1:, None])[len(prompt) :]
            rows.append(float(terms.sum()))
            spreads.append(float(logits.std()) * len(terms))
    return np.array(rows).reshape(2, -1), NOISE * min(spreads)


def _pairs(clusters: int) -> Preferences:
    """Two preferences of all kinds of units."""
    rng = np.random.default_rng(0)
    prompts, chosen = (
        [rng.integers(clusters, size=size) for size in sizes] for sizes in (PROMPTS, ANSWERS)
    )
    rejected = [np.append(units[:1], (units[1:-1] + 1) % clusters) for units in chosen]
    return Preferences(["a", "b"], prompts, chosen, rejected, np.ones((2, 2), dtype=bool))
