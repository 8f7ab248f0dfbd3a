"""FLOP of an update: one convention for pretraining and DPO, for all architectures."""

import numpy as np
import pytest
import training_job

from slamflow.lm import architecture, flops
from slamflow.preference import likelihood
from slamflow.preference.reading import Preferences

LAYER = 3 * 32 * 64  # of the MLP: three matrices with a gate
ATTENTION = {"qwen2": 32 * (32 + 2 * 16 + 32), "qwen3": 32 * 2 * (4 * 24)}
PAIRS = Preferences(
    ids=["a", "b"],
    prompts=[np.arange(4), np.arange(1)],
    chosen=[np.array([5, 6, 7]), np.array([2])],
    rejected=[np.array([5, 8]), np.array([3, 4])],
    whole=np.array([[True, True], [False, True]]),
)


def of(kind: str, **changes: object) -> architecture.PreTrainedModel:
    return architecture.build({**training_job.INIT, "architecture": kind, **changes}, 50, 128)


@pytest.mark.parametrize(
    ("kind", "changes", "products", "width"),
    [
        ("qwen2", {}, 2 * (LAYER + ATTENTION["qwen2"]) + 50 * 32, 32),
        ("qwen2", {"tie": False}, 2 * (LAYER + ATTENTION["qwen2"]) + 50 * 32, 32),
        # two heads of 24, which are not hidden_size / heads, as are those of the keys
        (
            "qwen3",
            {"kv_heads": 2, "options": {"head_dim": 24}},
            2 * (LAYER + ATTENTION["qwen3"]) + 50 * 32,
            48,
        ),
        # two matrices in the MLP; positions are looked up
        ("gpt2", {"kv_heads": None}, 2 * (2 * 32 * 64 + 32 * 32 * 4) + 50 * 32, 32),
    ],
)
def test_by_hand(kind: str, changes: dict, products: int, width: int) -> None:
    """6 a weight of a product and token, 12 a layer and dimension for all pairs of tokens."""
    model = of(kind, **changes)
    assert flops.products(model) == products
    expected = 6 * products * 10 + 12 * 2 * width * 10**2
    assert flops.update(model, 10, 10**2 / 2) == expected
    # trunk `<S>`, 4 units and the first of both answers; then 2 units, 1 unit; no end is read
    tokens = np.array([6 + 2 + 1, 2 + 1 + 2])
    pairs = np.array([6**2 + 2 * (2 * 6 + 2) + 1 * (2 * 6 + 1), 2**2 + (2 * 2 + 1) + 2 * (4 + 2)])
    assert list(PAIRS.lengths) == list(tokens)
    found = likelihood.flops(model, PAIRS)
    np.testing.assert_allclose(found, 6 * products * tokens + 12 * 2 * width * pairs)


def test_a_pair_costs_what_its_answers_do_less_the_trunk() -> None:
    """Two documents, `<S>` prompt answer, of which the trunk is computed once."""
    model = of("qwen2")
    trunk, rests = 6, (2, 1)
    documents = sum(flops.update(model, trunk + n, (trunk + n) ** 2 / 2) for n in rests)
    once = flops.update(model, trunk, trunk**2 / 2)
    assert likelihood.flops(model, PAIRS)[0] == pytest.approx(documents - once)
