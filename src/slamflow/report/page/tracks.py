"""Dots with intervals in a row of a table: where they stand, in percent of the row's width."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

TICKS = (1, 2, 5, 10, 20, 25, 50, 100, 200, 500)


@dataclass(frozen=True)
class Axis:
    """A scale from `low` to `high` with marks at `ticks`."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: str | float) -> float | None:
        """Where a value stands (%), at the rim if it is outside; None for the empty text."""
        if value == "":
            return None
        share = (float(value) - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, share)), 2)

    @property
    def marks(self) -> list[tuple[str, float]]:
        """Ticks as text with their places."""
        return [(f"{tick:g}".replace("-", "−"), self.place(tick) or 0.0) for tick in self.ticks]


@dataclass(frozen=True)
class Mark:
    """A dot at `at` and its interval from `start`, `width` wide; all in percent."""

    at: float
    start: float
    width: float


def axis(values: Iterable[str | float], ceiling: float = math.inf, zero: bool = False) -> Axis:
    """A scale with round ends around values; texts may be empty.

    Args:
        ceiling: what it does not exceed.
        zero: whether 0 is on it in any case.
    """
    numbers = [float(value) for value in values if value != ""] + ([0.0] if zero else [])
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    step = next((tick for tick in TICKS if (high - low) / tick <= 4), TICKS[-1])
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    top = min(last * step, ceiling)
    ticks = tuple(float(n * step) for n in range(first, last + 1) if n * step <= top)
    return Axis(float(first * step), float(top), ticks)


def mark(scale: Axis, value: str, low: str, high: str) -> Mark | None:
    """Where a value and its interval stand; without an interval it is as wide as nothing."""
    at = scale.place(value)
    if at is None:
        return None
    start, end = scale.place(low), scale.place(high)
    start, end = (at, at) if start is None or end is None else (start, end)
    return Mark(at, start, round(end - start, 2))
