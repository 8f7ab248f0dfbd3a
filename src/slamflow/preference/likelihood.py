"""Log-probabilities of answers after their prompts."""

import torch
from torch.nn import functional

from slamflow.preference.packing import Packed


def answers(model: torch.nn.Module, packed: Packed, pairs: int) -> torch.Tensor:
    """Sums of ln p over each answer's units and its end token, given `<S>` and its prompt.

    Args:
        model: after `attention.by_blocks`.
        packed: so many `pairs`.

    Returns:
        [2, pairs], chosen and rejected, float64, differentiable.
    """
    logits = model(**packed.inputs, use_cache=False).logits[0].float()
    terms = functional.cross_entropy(logits, packed.labels, reduction="none").double()
    sums = torch.zeros(2 * pairs, dtype=torch.float64, device=terms.device)
    return -sums.index_add(0, packed.answers, terms).view(2, pairs)
