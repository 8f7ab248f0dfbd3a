"""A stage of a plan: what its jobs take together, and what that leaves out."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

FAR = 2.0  # jobs of more than so many times what was measured are said to be extrapolated


@dataclass
class Stage:
    """Sums over the jobs of a rule, and what they leave out."""

    jobs: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    missing: dict[str, set[str]] = field(default_factory=dict)
    basis: dict[str, None] = field(default_factory=dict)
    beyond: float = 0.0

    def add(self, column: str, value: float) -> None:
        """Count an amount in a column."""
        self.sums[column] = self.sums.get(column, 0.0) + value

    def lack(self, column: str, what: str) -> None:
        """Note what a column leaves out."""
        self.missing.setdefault(column, set()).add(what)

    def row(self) -> dict[str, Any]:
        """The stage's cells; `at_least` are the columns that leave something out."""
        return {
            "jobs": self.jobs,
            **self.sums,
            "at_least": set(self.missing),
            "basis": _basis(self),
        }


def _basis(stage: Stage) -> str:
    said = list(stage.basis)
    if stage.beyond > FAR:
        said.append(f"jobs of up to {short(stage.beyond)} × what was measured")
    left_out: dict[str, list[str]] = {}
    for column, things in stage.missing.items():
        left_out.setdefault(_listed(things), []).append(column)
    said += [f"{', '.join(columns)} without {things}" for things, columns in left_out.items()]
    return "; ".join(said)


def _listed(things: Iterable[str]) -> str:
    """`hours of a` and `hours of b` as `hours of a, b`."""
    kinds: dict[str, list[str]] = {}
    for thing in sorted(things):
        kind, of, name = thing.rpartition(" of ")
        kinds.setdefault(kind + of, []).append(name)
    return ", ".join(kind + ", ".join(names) for kind, names in kinds.items())


def short(value: float) -> str:
    """A number for people; empty for NaN."""
    if math.isnan(value):
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"
