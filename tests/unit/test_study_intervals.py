"""The bootstrap over seeds and items, on numbers whose results are known."""

import numpy as np
import pytest

from slamflow.report import study_intervals as intervals

SEEDS, CLUSTERS = 3, 200


def sampled(outcomes: np.ndarray) -> intervals.Sampled:
    """Of outcomes [seeds, items], each item a cluster."""
    names = np.array([f"{place:04d}" for place in range(outcomes.shape[1])])
    return intervals.over_items([intervals.part(list(outcomes), names)])


def test_clusters_are_summed_whatever_the_order_of_rows() -> None:
    clusters = np.array(["b", "a", "b", "c"])
    outcomes = [np.array([1.0, 0.0, 0.5, 1.0]), np.array([0.0, 1.0, 0.0, 0.0])]
    found = intervals.part(outcomes, clusters)
    assert found.sums.tolist() == [[0.0, 1.5, 1.0], [1.0, 0.0, 0.0]]
    assert found.counts.tolist() == [1.0, 2.0, 1.0]
    order = [2, 3, 1, 0]
    again = intervals.part([values[order] for values in outcomes], clusters[order])
    assert np.array_equal(found.sums, again.sums)
    assert intervals.over_items([found]).means.tolist() == [2.5 / 4, 1 / 4]


def test_several_parts_count_alike_whatever_their_sizes() -> None:
    small = intervals.part([np.array([1.0])], np.array(["a"]))
    large = intervals.part([np.zeros(9)], np.arange(9).astype(str))
    found = intervals.over_items([small, large])
    assert found.means.tolist() == [0.5]
    assert (found.samples == 0.5).all()


def test_seeds_that_differ_on_every_item_alike_vary_as_their_means_do() -> None:
    """No interaction: the variance of the mean is that of the seeds' means, a third of it."""
    items = np.linspace(0, 1, CLUSTERS)
    effects = np.array([-0.1, 0.0, 0.1])
    found = sampled(items + effects[:, None])
    alone = found.samples.mean(1)
    added = intervals.over_seeds(found) - alone
    assert added.var() == pytest.approx(effects.var(ddof=1) / SEEDS, rel=0.1)
    assert np.cov(added, alone)[0, 1] == pytest.approx(0.0, abs=2e-5)


def test_seeds_that_differ_for_their_items_sake_alone_add_nothing() -> None:
    """Three seeds of the same mean that are right on different items."""
    outcomes = np.zeros((SEEDS, 300))
    for seed in range(SEEDS):
        outcomes[seed, seed::SEEDS] = 1.0
    found = sampled(outcomes)
    assert np.allclose(intervals.over_seeds(found), found.samples.mean(1))


def test_one_seed_has_the_interval_of_its_items() -> None:
    from slamflow.benchmarks.intervals import interval, stratum

    outcomes = np.random.default_rng(1).random((1, CLUSTERS))
    names = np.array([f"{place:04d}" for place in range(CLUSTERS)])
    low, high = intervals.ends(intervals.over_seeds(sampled(outcomes)))
    assert (low, high) == pytest.approx(interval([stratum(outcomes[0], names)]))


def test_the_same_numbers_give_the_same_samples() -> None:
    outcomes = np.random.default_rng(2).random((SEEDS, CLUSTERS)) + np.arange(SEEDS)[:, None]
    first, second = (intervals.over_seeds(sampled(outcomes)) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, intervals.over_seeds(sampled(outcomes), stream=1))


def test_what_two_arms_share_cancels_in_a_difference() -> None:
    generator = np.random.default_rng(3)
    shared = generator.normal(0, 1, (1, CLUSTERS)) + generator.normal(0, 1, (SEEDS, 1))
    ours, theirs = (sampled(shared + offset) for offset in (0.25, 0.0))
    paired = intervals.over_seeds(ours - theirs)
    assert np.allclose(paired, 0.25)
    apart = intervals.over_seeds(ours) - intervals.over_seeds(theirs, stream=1)
    assert apart.std() > 0.1


@pytest.mark.parametrize(("spread", "least"), [(0.0, 0.9), (0.15, 0.82)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(spread: float, least: float) -> None:
    """Differences of two arms of three seeds whose truth is 0, by right and wrong answers.

    `spread` is that of the seeds, beside 1 of items and 1 of each answer: 0.15 makes the mean of
    three vary more than 160 items do, and items alone would promise too much.
    """
    generator = np.random.default_rng(4)
    trials, held, items_alone = 80, 0, 0
    for _ in range(trials):
        level = 0.3 + generator.normal(0, 1, 160) + generator.normal(0, spread, (2, SEEDS, 1))
        ours, theirs = (level + generator.normal(0, 1, (2, SEEDS, 160)) > 0).astype(float)
        found = sampled(ours) - sampled(theirs)
        low, high = intervals.ends(intervals.over_seeds(found))
        held += low <= 0 <= high
        low, high = intervals.ends(found.samples.mean(1))
        items_alone += low <= 0 <= high
    assert least * trials <= held < trials
    assert items_alone < 0.85 * trials or not spread
