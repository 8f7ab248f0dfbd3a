"""The bootstrap: known limits, clusters and strata."""

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
