"""Work that threads or processes do ahead of the one that needs it, in order, in bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def number(machine: Mapping[str, Any]) -> int:
    """The machine setting `workers`, by default the job's threads."""
    return int(machine.get("workers") or machine.get("threads") or 1)


def ahead(items: Iterable[Item], count: int) -> Iterator[Item]:
    """The same items; up to `count` of them are made by a thread before they are asked for."""
    iterator, end = iter(items), object()
    pool = ThreadPoolExecutor(1)
    try:
        waiting = deque(pool.submit(next, iterator, end) for _ in range(count))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, iterator, end))
            yield item  # type: ignore[misc]
    finally:
        pool.shutdown(cancel_futures=True)


def in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    each: int = 4,
    pool: Callable[[int], Executor] = ThreadPoolExecutor,
) -> Iterator[Result]:
    """The function's results of the items, in their order.

    Args:
        each: items taken for each worker at once: more of them where some take much longer.
        pool: makes so many workers.
    """
    waiting: deque[Future[Result]] = deque()
    made = pool(workers)
    try:
        for item in items:
            waiting.append(made.submit(function, item))
            if len(waiting) >= each * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        made.shutdown(cancel_futures=True)
