"""Work ahead of the one that needs it."""

from collections.abc import Iterator

import pytest

from slamflow import workers


def test_workers_are_by_default_the_threads_of_the_job() -> None:
    assert workers.number({"threads": 3}) == workers.number({"workers": None, "threads": 3}) == 3
    assert workers.number({"workers": 2, "threads": 3}) == 2
    assert workers.number({}) == 1


def test_work_ahead_is_in_order_and_bounded() -> None:
    begun: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(1000):
            begun.append(number)
            yield number
        raise ValueError("the end")

    waves = workers.ahead(workers.in_order(lambda n: n * n, numbers(), 3, each=2), 2)
    assert [next(waves) for _ in range(5)] == [0, 1, 4, 9, 16]
    assert len(begun) <= 5 + 2 + 2 * 3
    with pytest.raises(ValueError, match="the end"):
        list(waves)
    given_up = workers.ahead(numbers(), 2)
    next(given_up)
    given_up.close()
    assert list(workers.ahead([], 2)) == []
