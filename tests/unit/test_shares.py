"""Shares of a mixture: each corpus has what it was given, drawn by seed."""

import numpy as np
import pytest

from slamflow.lm import shares

TOKENS = {"a": 1000, "b": 500, "c": 300}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"a": 1, "b": 1, "c": 1}),
        ({"a": {"epochs": 2.5}}, {"a": 2.5, "b": 1, "c": 1}),
        ({"b": {"tokens": 1250}, "c": {"tokens": 0}}, {"a": 1, "b": 2.5, "c": 0}),
        # b runs out first: 500 tokens for weight 1, so 300 for 0.6 and 250 of a for 0.5
        (
            {"a": {"weight": 0.5}, "b": {"weight": 1}, "c": {"weight": 0.6}},
            {"a": 0.25, "b": 1, "c": 1},
        ),
        ({"a": {"weight": 3}, "b": {"weight": 1}}, {"a": 1, "b": 2 / 3, "c": 1}),
        ({"a": {"weight": 0}, "b": {"weight": 1}}, {"a": 0, "b": 1, "c": 1}),
    ],
)
def test_epochs(given: dict, expected: dict[str, float]) -> None:
    assert shares.epochs(TOKENS, given) == pytest.approx(expected)


def test_weights_are_kept_and_one_corpus_is_used_exactly_once() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        tokens = {name: int(rng.integers(1, 10**9)) for name in "abcd"}
        weights = {name: float(rng.uniform(0.01, 5)) for name in "abcd"}
        found = shares.epochs(tokens, {name: {"weight": w} for name, w in weights.items()})
        assert max(found.values()) == 1.0  # not 0.999…, of which nothing would be drawn at random
        parts = np.array([tokens[name] * found[name] / weights[name] for name in "abcd"])
        np.testing.assert_allclose(parts, parts[0])


def test_kinds_of_documents_are_balanced_after_shares() -> None:
    tokens = {"a:speech": 1000, "b:speech": 500, "a:text": 100, "a:interleaved": 400}
    balance = {"speech": 1, "text": 1, "interleaved": 2}
    # twice the text, 200 tokens, is as much as half of the interleaved documents, used once
    found = shares.balanced(tokens, {"a": {"epochs": 2}, "b": {"epochs": 0}}, balance)
    assert found == pytest.approx({"a:speech": 0.2, "b:speech": 0, "a:text": 2, "a:interleaved": 1})
    with pytest.raises(ValueError, match="there are no documents of text to balance"):
        shares.balanced({"a:speech": 10, "a:interleaved": 10}, {}, balance)


@pytest.mark.parametrize("times", [0, 0.3, 1, 1.5, 2.75, 3])
def test_copies(times: float) -> None:
    lengths = np.random.default_rng(1).integers(3, 700, 500)
    found = shares.copies(lengths, times, np.random.default_rng(2))
    assert set(found.tolist()) <= {int(times), int(times) + 1}
    assert (found * lengths).sum() == pytest.approx(times * lengths.sum(), abs=700 / 2)
    if times == int(times):
        assert (found == times).all()
    again, other = (shares.copies(lengths, times, np.random.default_rng(seed)) for seed in (2, 3))
    assert np.array_equal(found, again)
    assert times == int(times) or not np.array_equal(found, other)


def test_what_is_drawn_for_a_name_depends_on_nothing_else() -> None:
    drawn = [shares.generator(*key).integers(2**60) for key in ((1, "a"), (1, "b"), (2, "a"))]
    assert len(set(drawn)) == 3
    assert shares.generator(1, "a").integers(2**60) == drawn[0]
    assert shares.generator(1, "a", "b").integers(2**60) != shares.generator(1, "ab").integers(
        2**60
    )


def test_an_item_is_held_out_of_all_corpora() -> None:
    items = {
        "large": [f"i{i // 2}" for i in range(400)],
        "same": [f"i{i}" for i in range(200)],
        "small": ["x", "y", "z"],
        "single": ["only"],
    }
    found = shares.held_out(items, 0.05, np.random.default_rng(0))
    chosen = {c: {i for i, m in zip(items[c], found[c], strict=True) if m} for c in items}
    assert len(chosen["large"]) == 10 and chosen["same"] == chosen["large"]
    assert found["large"].sum() == 20  # both documents of each item
    assert len(chosen["small"]) == 1 and not chosen["single"]
    nothing = shares.held_out(items, 0.0, np.random.default_rng(0))
    assert not any(mask.any() for mask in nothing.values())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"d": {"epochs": 1}}, r"shares: d is none of the mixture's corpora \(a, b, c\)"),
        ({"a": {"epochs": 1, "tokens": 5}}, r"shares: a has .*; give one of epochs, tokens and"),
        ({"a": {}}, "shares: a has {}; give one"),
        ({"a": {"times": 2}}, "give one of epochs"),
        ({"a": {"epochs": -1}}, "give one of epochs"),
    ],
)
def test_impossible_shares(given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shares.epochs(TOKENS, given)


def test_tokens_of_an_empty_corpus() -> None:
    with pytest.raises(ValueError, match="shares: a has no training tokens"):
        shares.epochs({"a": 0}, {"a": {"weight": 1}})
