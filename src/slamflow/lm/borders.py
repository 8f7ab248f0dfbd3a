"""How a model reads packed rows so that documents do not see each other, nor a token later ones.

Not all that transformers calls a causal model does: some look ahead, some carry a state over
borders, some do not pass on what they are told of borders. So it is tried before training.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from slamflow import pretrained
from slamflow.lm import attention, inputs
from slamflow.lm.rows import Rows
from slamflow.lm.vocabulary import BOUNDARY, UNITS

Reader = Callable[[Rows, np.ndarray], tuple[dict[str, Any], torch.Tensor]]
LENGTH = 5  # tokens of the documents that are tried
NOISE = 1e-3  # of the logits' standard deviation: what rounding may change
ERRORS = (*pretrained.ERRORS, TypeError, AttributeError, IndexError, AssertionError)


def reader(model: PreTrainedModel, device: str) -> Reader:
    """The quickest way that keeps documents apart to make a model's inputs and labels of rows.

    For a processor that is `inputs.in_one_row`, and the model computes attention by documents from
    now on, unless it cannot; else it is `inputs.tensors` on `device`. The model is on the CPU.

    Raises:
        ValueError: the model looks ahead, or keeps no documents apart.
    """
    masked = functools.partial(inputs.tensors, device="cpu")
    kind, training = model.config.model_type, model.training
    model.eval()
    why = ""
    try:
        alone = _alone(model)
        if device == "cpu":
            before = model.config._attn_implementation
            try:
                attention.by_documents(model)
                if _apart(model, inputs.in_one_row, alone):
                    return inputs.in_one_row
            except ERRORS as error:  # it has an attention of its own
                why = f" ({pretrained.reason(error)})"
            model.set_attn_implementation(before)
        if _apart(model, masked, alone):
            return functools.partial(inputs.tensors, device=device)
    except ERRORS as error:
        raise ValueError(
            f"init: {kind} cannot be trained on packed rows ({pretrained.reason(error)}); see its"
            " config's own names for `options`, or choose another architecture"
        ) from None
    finally:
        model.train(training)
    raise ValueError(
        f"init: {kind} does not keep the documents of a packed row apart{why}; choose another"
        " architecture"
    )


def _alone(model: PreTrainedModel) -> torch.Tensor:
    """Logits of the documents, each alone, [documents, LENGTH - 1, ids], without their ends."""
    documents = _documents(model)
    changed = documents[:1].clone()
    changed[0, 2:] = documents[1, 2:]
    with torch.no_grad():
        found = model(input_ids=torch.cat([documents, changed])).logits
    if not _near(found[2, :2], found[0, :2]):
        raise ValueError("it looks ahead: a token changes what is predicted before it")
    return found[:2, :-1]


def _apart(model: PreTrainedModel, read: Reader, alone: torch.Tensor) -> bool:
    """Whether two documents in a packed row have the logits that they have alone."""
    tokens = _documents(model).reshape(1, -1).numpy()
    taken, labels = read(Rows(tokens, np.repeat([0, 1], LENGTH)[None]), np.arange(1))
    with torch.no_grad():
        logits = model(**taken, use_cache=False).logits[labels != inputs.IGNORED]
    return _near(logits, alone.flatten(0, 1))


def _documents(model: PreTrainedModel) -> torch.Tensor:
    """Two of one length, [2, LENGTH]."""
    inner = torch.arange(2 * (LENGTH - 2)).view(2, -1) % (model.config.vocab_size - UNITS)
    return functional.pad(inner + UNITS, (1, 1), value=BOUNDARY)


def _near(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool((one - other).abs().max() <= NOISE * float(other.std()))
