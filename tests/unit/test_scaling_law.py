"""The scaling law against values that were worked out by hand."""

import math

import pytest

from slamflow.report import scaling_law


def test_loss() -> None:
    # 1e8 ** 0.25 = 100; 1e10 ** 0.24 = 10 ** 2.4 = 251.1886
    assert scaling_law.loss(1e8, 1e10) == pytest.approx(1.73 + 0.139 + 39.8 / 251.1886, rel=1e-6)


@pytest.mark.parametrize("flop", [1e15, 8e16, 3e18, 1e21])
def test_the_optimum_is_one(flop: float) -> None:
    parameters, tokens = scaling_law.optimum(flop)
    assert 6 * parameters * tokens == pytest.approx(flop)
    least = scaling_law.loss(parameters, tokens)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert scaling_law.loss(parameters * factor, tokens / factor) > least


def test_scores_of_a_loss() -> None:
    assert scaling_law.score("sBLIMP", 2.0) == pytest.approx(50 + math.exp(2.153))  # 58.6
    assert scaling_law.score("tSC", 1.9) == pytest.approx(50 + math.exp(3.129 + 0.2169))
    assert scaling_law.score("sSC", 2.1) == pytest.approx(50 + math.exp(1.495 - 0.5101))
    assert scaling_law.score("tSC", 99.0) == pytest.approx(50)


def test_the_prediction_for_a_day_on_one_gpu() -> None:
    """Cuervo and Marxer's law says 56.85, 54.09 and 70.49 for some 3e18 FLOP (arXiv 2502.15814)."""
    found = {name: scaling_law.predicted(name, 3e18) for name in scaling_law.SCORES}
    assert found == pytest.approx({"sBLIMP": 56.85, "sSC": 54.09, "tSC": 70.49}, abs=1.0)


def test_where_there_are_no_data() -> None:
    assert scaling_law.extrapolated(7e16) and not scaling_law.extrapolated(9e16)
