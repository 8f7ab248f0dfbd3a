"""Attention of a processor: long documents block by block give what the masked rows give."""

import numpy as np
import pytest
import torch
import training_job
from torch.nn import functional

from slamflow.lm import architecture, attention, borders, inputs, rows

VOCABULARY = training_job.CLUSTERS + 2


def of(lengths: list[int], context: int = 1100) -> rows.Rows:
    """A packed row of random documents."""
    rng = np.random.default_rng(0)
    tokens = np.zeros((1, context), dtype=np.uint16)
    tokens[0, : sum(lengths)] = rng.integers(1, VOCABULARY, sum(lengths))
    documents = np.zeros((1, context), dtype=np.uint16)
    documents[0, : sum(lengths)] = np.repeat(np.arange(len(lengths)), lengths)
    documents[0, sum(lengths) :] = len(lengths) - 1
    return rows.Rows(tokens, documents)


@pytest.mark.parametrize(
    "lengths", [[attention.WHOLE + 1, 40, 500], [1024, 70], [attention.WHOLE, attention.WHOLE]]
)
def test_long_documents_have_the_loss_and_gradients_of_masked_rows(lengths: list[int]) -> None:
    model = architecture.build(training_job.INIT, VOCABULARY, 1100).double()
    packed, index = of(lengths), np.arange(1)
    taken, labels = inputs.tensors(packed, index, "cpu")
    expected = measured(model, taken, labels)
    attention.by_documents(model)
    found = measured(model, *inputs.in_one_row(packed, index))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-8)


def measured(model: torch.nn.Module, taken: dict, labels: torch.Tensor) -> list[torch.Tensor]:
    """The loss and its gradients."""
    logits = model(**taken, use_cache=False).logits
    loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    return [loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))]


def test_blocks_keep_less_for_the_backward_pass() -> None:
    sizes = []
    given = [torch.randn(1, 2, 1024, 8, requires_grad=True) for _ in range(3)]
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: sizes.append(tensor.numel()) or tensor, lambda tensor: tensor
    ):
        attention._causal(*given, 1.0)
    assert sum(sizes) < 0.6 * 2 * 1024**2


@pytest.mark.parametrize(
    ("kind", "has"), [("gemma2", "softcap"), ("vaultgemma", "softcap"), ("gpt_oss", "s_aux")]
)
def test_what_products_cannot_do_is_refused(kind: str, has: str) -> None:
    """Soft-capping is not visible in initial weights, but would be lost in training."""
    model = architecture.build({**training_job.INIT, "architecture": kind}, VOCABULARY, 64)
    with pytest.raises(ValueError, match=f"init: {kind} .*its attention has {has}.*architecture"):
        borders.reader(model, "cpu")
    assert model.config._attn_implementation != attention.NAME


def test_without_soft_capping_the_same_architecture_is_trained() -> None:
    init = {**training_job.INIT, "architecture": "gemma2"}
    init["options"] = {"attn_logit_softcapping": None}
    model = architecture.build(init, VOCABULARY, 64)
    assert borders.reader(model, "cpu") is inputs.in_one_row
