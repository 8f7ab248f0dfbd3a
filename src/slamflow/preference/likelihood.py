"""Log-probabilities of answers after their prompts."""

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel

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
    """FLOP of each pair in an update, [pairs].

    A token takes 6 for each weight of a matrix that it is multiplied by (2 forwards, 4 backwards),
    and 12 a layer and dimension for each token that it sees; see `packing` for what that is.
    """
    weights = sum(p.numel() for p in model.parameters() if p.ndim == 2)
    if not model.config.tie_word_embeddings:
        weights -= model.get_input_embeddings().weight.numel()  # looked up, not multiplied
    own = pairs.counted - pairs.whole - pairs.common[:, None]
    trunk = pairs.lengths - own.sum(1)
    seen = trunk**2 / 2 + (own * (trunk[:, None] + own / 2)).sum(1)
    width = model.config.num_hidden_layers * model.config.hidden_size
    return np.asarray(6.0 * weights * pairs.lengths + 12.0 * width * seen)
