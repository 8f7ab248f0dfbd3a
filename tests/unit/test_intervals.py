"""The bootstrap: known limits, clusters and strata."""

import itertools
import math

import numpy as np
import pytest

from slamflow.benchmarks import intervals


def test_close_to_the_normal_interval_of_a_mean() -> None:
    values = (np.random.default_rng(1).random(1000) < 0.7).astype(float)
    low, high = intervals.interval([intervals.stratum(values, np.arange(1000))])
    half = 1.96 * np.sqrt(values.mean() * (1 - values.mean()) / 1000)
    assert low == pytest.approx(values.mean() - half, abs=0.004)
    assert high == pytest.approx(values.mean() + half, abs=0.004)


def test_clusters_that_agree_widen_the_interval() -> None:
    values = np.repeat((np.random.default_rng(1).random(100) < 0.6).astype(float), 4)
    alone = intervals.interval([intervals.stratum(values, np.arange(400))])
    together = intervals.interval([intervals.stratum(values, np.repeat(np.arange(100), 4))])
    assert together[1] - together[0] == pytest.approx(2 * (alone[1] - alone[0]), rel=0.15)


def test_order_of_rows_does_not_matter() -> None:
    generator = np.random.default_rng(2)
    values, clusters = generator.random(50), generator.integers(9, size=50)
    order = generator.permutation(50)
    one = intervals.interval([intervals.stratum(values, clusters)])
    other = intervals.interval([intervals.stratum(values[order], clusters[order])])
    assert one == pytest.approx(other, abs=1e-12)


def test_strata_weigh_alike_whatever_their_size() -> None:
    strata = [
        intervals.stratum(np.ones(10), np.arange(10)),
        intervals.stratum(np.zeros(1000), np.arange(1000)),
    ]
    assert intervals.mean(strata) == 0.5
    assert intervals.interval(strata) == (0.5, 0.5)


def test_many_clusters_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    part = intervals.stratum(np.random.default_rng(3).random(300), np.arange(300))
    whole = intervals.interval([part])
    monkeypatch.setattr(intervals, "DRAWS_AT_ONCE", 1000)
    assert intervals.interval([part]) == whole


def test_coverage_is_near_its_level() -> None:
    generator = np.random.default_rng(4)
    inside = 0
    for _ in range(200):
        # 80 clusters of 1 to 4 values around their own mean
        clusters = np.repeat(np.arange(80), generator.integers(1, 5, size=80))
        chances = generator.beta(6, 4, size=80)[clusters]
        values = (generator.random(len(clusters)) < chances).astype(float)
        low, high = intervals.interval([intervals.stratum(values, clusters)], resamples=500)
        inside += low <= 0.6 <= high
    assert 180 <= inside <= 199


def by_hand(values: np.ndarray, clusters: np.ndarray) -> float:
    """The share of all ways to exchange the models, cluster by cluster, that differ as much."""
    names = sorted(set(clusters.tolist()))
    means = [
        abs(np.mean([signs[names.index(c)] * v for v, c in zip(values, clusters, strict=True)]))
        for signs in itertools.product((1, -1), repeat=len(names))
    ]
    return float(np.mean(np.array(means) >= abs(values.mean()) - 1e-12))


def test_p_of_few_clusters_is_that_of_all_flips() -> None:
    generator = np.random.default_rng(5)
    for _ in range(20):
        clusters = np.repeat(np.arange(8), generator.integers(1, 4, size=8))
        values = generator.integers(-2, 3, size=len(clusters)) / 2
        found = intervals.p_value([intervals.stratum(values, clusters)])
        assert found == pytest.approx(by_hand(values, clusters), abs=1e-12)
    assert intervals.p_value([intervals.stratum(np.zeros(9), np.arange(9))]) == 1.0
    assert intervals.p_value([intervals.stratum(np.ones(9), np.arange(9))]) == 2 / 2**9


def test_p_of_many_clusters_is_that_of_a_sign_test() -> None:
    values = np.repeat([1.0, -1.0, 0.0], [35, 18, 400])
    exact = 2 * sum(math.comb(53, k) for k in range(35, 54)) / 2**53
    found = intervals.p_value([intervals.stratum(values, np.arange(len(values)))])
    assert found == pytest.approx(exact, rel=1e-9)
    # the same values in clusters that agree say no more, as if alone they would
    thrice, clusters = np.repeat(values, 3), np.repeat(np.arange(453), 3)
    together = intervals.p_value([intervals.stratum(thrice, clusters)])
    assert together == pytest.approx(exact, rel=1e-9)
    alone = intervals.p_value([intervals.stratum(thrice, np.arange(1359))])
    assert alone < exact / 10


def test_p_of_drawn_flips() -> None:
    """Differences of many sizes: near the normal approximation, and never 0."""
    generator = np.random.default_rng(7)
    values = generator.normal(size=300)
    values += 0.12 - values.mean()
    strata = [intervals.stratum(values, np.arange(300))]
    z = abs(values.sum()) / np.sqrt((values**2).sum())
    assert 0.005 < intervals.p_value(strata) < 0.5
    assert intervals.p_value(strata) == pytest.approx(math.erfc(z / math.sqrt(2)), abs=0.015)
    assert intervals.p_value(strata) == intervals.p_value(strata)
    assert intervals.p_value([intervals.stratum(values + 3, np.arange(300))]) == 1e-4


def test_p_of_models_that_are_alike_is_even() -> None:
    generator, found = np.random.default_rng(6), []
    for _ in range(300):
        values = generator.choice([-1.0, 0.0, 1.0], p=[0.15, 0.7, 0.15], size=200)
        groups = (values[:50], values[50:])
        strata = [intervals.stratum(group, np.arange(len(group))) for group in groups]
        found.append(intervals.p_value(strata, flips=499))
    assert np.mean(np.array(found) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(np.array(found) <= 0.5) == pytest.approx(0.5, abs=0.08)
