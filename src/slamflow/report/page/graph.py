"""The graph of rules that made results, from what Snakemake noted of each job."""

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path


@dataclass(frozen=True)
class Graph:
    """Rules with their numbers of jobs, and which rule reads what another one makes."""

    jobs: dict[str, int]
    edges: frozenset[tuple[str, str]]


def read(root: Path, targets: Iterable[str]) -> Graph | None:
    """The graph behind `targets`, paths relative to the checkout `root`.

    Snakemake keeps a JSON file an output, named by its path in base64, with the job's rule and
    inputs. None where there are no such files, as when results were copied without them.
    """
    records = _records(root / ".snakemake" / "metadata")
    jobs: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    edges: set[tuple[str, str]] = set()
    waiting, seen = [path for path in targets if path in records], set[str]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        rule, inputs, job = records[path]
        jobs[rule].add(job)
        known = [each for each in inputs if each in records]
        edges |= {(records[each][0], rule) for each in known}
        waiting += known
    if not jobs:
        return None
    counted = {rule: len(each) for rule, each in jobs.items()}
    return Graph(counted, frozenset(edge for edge in edges if edge[0] != edge[1]))


def _records(folder: Path) -> dict[str, tuple[str, list[str], tuple[str, ...]]]:
    """Of each output: rule, inputs, and what tells its job from others (its log)."""
    found = {}
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        # a name that is too long for a file system is split into folders that begin with @
        parts = path.relative_to(folder).parts
        name = "".join(part.removeprefix("@") for part in parts)
        try:
            output = base64.b64decode(name, validate=True).decode()
            record = json.loads(path.read_text(encoding="utf-8"))
            job = tuple(record["log"] or [output])
            found[output] = (record["rule"], record["input"] or [], job)
        except (binascii.Error, ValueError, KeyError, TypeError):
            continue
    return found


def layers(graph: Graph) -> tuple[list[list[str]], list[list[str]]]:
    """Rules in layers, each below all that it reads, and the ways of the lines between them.

    Returns:
        layers: rules, and places `start>end` where a line passes by, in an order that keeps
            lines short;
        lines: of each edge of `direct`, the names from rule to rule. Those of `backward` have none.
    """
    depth = _depths(graph)
    edges = direct(graph, depth)
    found: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for rule in sorted(depth):
        found[depth[rule]].append(rule)
    lines = []
    above: dict[str, list[str]] = defaultdict(list)
    for start, end in edges:
        passed = [f"{start}>{end}>{layer}" for layer in range(depth[start] + 1, depth[end])]
        for layer, name in enumerate(passed, depth[start] + 1):
            found[layer].append(name)
        lines.append([start, *passed, end])
        for first, second in pairwise(lines[-1]):
            above[second].append(first)
    place: dict[str, float] = {}
    for row in found:
        row.sort(key=lambda name: (_mean([place[each] for each in above[name]]), name))
        place |= {name: (number + 1) / (len(row) + 1) for number, name in enumerate(row)}
    return found, lines


def _depths(graph: Graph) -> dict[str, int]:
    """How many rules come one after the other before each."""
    before: dict[str, set[str]] = {rule: set() for rule in graph.jobs}
    for start, end in graph.edges:
        before[end].add(start)
    depth: dict[str, int] = {}

    def find(rule: str, way: tuple[str, ...] = ()) -> int:
        # training a HuBERT on units of another one is a circle of rules, if not of jobs
        if rule not in depth:
            above = [find(each, (*way, rule)) for each in sorted(before[rule] - {*way, rule})]
            depth[rule] = 1 + max(above, default=-1)
        return depth[rule]

    for rule in sorted(graph.jobs):
        find(rule)
    return depth


def backward(graph: Graph) -> list[tuple[str, str]]:
    """Edges to a rule that does not stand below: those of circles, which jobs do not make."""
    depth = _depths(graph)
    return sorted((start, end) for start, end in graph.edges if depth[start] >= depth[end])


def direct(graph: Graph, depth: dict[str, int]) -> list[tuple[str, str]]:
    """Downward edges without those that a longer way says, too."""
    edges = {(start, end) for start, end in graph.edges if depth[start] < depth[end]}
    after: dict[str, set[str]] = defaultdict(set)
    for start, end in edges:
        after[start].add(end)

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            for end in after[waiting.pop()] - found:
                found.add(end)
                waiting.append(end)
        return found

    return sorted(
        (start, end)
        for start, end in edges
        if not any(end in reached(other) for other in after[start] - {end, start})
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.5
