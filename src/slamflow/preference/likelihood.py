"""Log-probabilities of answers after their prompts."""

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from slamflow.lm import flops as work
from slamflow.preference.packing import Packed
from slamflow.preference.reading import Preferences


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


def flops(model: PreTrainedModel, pairs: Preferences) -> np.ndarray:
    """FLOP of each pair in an update, [pairs], as `lm.flops` counts them; see `packing`."""
    own = pairs.counted - pairs.whole - pairs.common[:, None]
    trunk = pairs.lengths - own.sum(1)
    seen = trunk**2 / 2 + (own * (trunk[:, None] + own / 2)).sum(1)
    return np.asarray(work.update(model, pairs.lengths, seen))
