"""Recipe ← config.yaml ← --configfile/--config, with the source of every key remembered."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slamflow.config.reading import closest, kind, read_yaml

SECTIONS = (
    "downloads", "corpora", "synthesisers", "huberts", "tokenisers", "mixtures", "models",
    "vocoders", "benchmarks", "questions",
)  # fmt: skip
COMMAND_LINE = "command line"
CHOICES = ("budget", "arms")  # mappings that are replaced, not merged: their keys are one choice
OF_CHOICES = ("shares",)  # mappings of such
# settings whose `null` says all, none or no limit, which is not what they are without a word
MEANT = ("seconds", "prompts", "top_k", "maximum", "key")
# A thing with all keys of one of these sets is new; with less, it overrides one of the recipe.
WHOLE = {
    "downloads": ({"kind"},),
    "corpora": ({"source"},),
    "synthesisers": ({"engine"},),
    "huberts": ({"path"}, {"model"}, {"download"}, {"corpora", "training"}),
    "tokenisers": ({"corpora", "features"}, {"hubert", "kmeans"}),
    "mixtures": ({"tokeniser"},),
    "models": ({"kind"},),
    "vocoders": ({"kind"},),
    "benchmarks": ({"corpus"},),
    "questions": ({"arms"},),
}

KeyPath = tuple[str, ...]


class Merged:
    """A merged config: `values`, and for each key path the file that it comes from."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sources: list[str] = []  # the last one wins
        self.origins: dict[KeyPath, str] = {}  # of keys as written, those that are null, too
        self.siblings: dict[KeyPath, KeyPath] = {}  # what `like:` copied, and from where
        self.spread: dict[KeyPath, KeyPath] = {}  # what `seeds:` made, and of what
        self.recipe = ""

    def origin(self, path: KeyPath) -> str:
        """The file that made what is at `path` as it is.

        It is the last, in the order of merging, that set a key at or below `path`; where none did,
        the last that set one in the mapping above.
        """
        for length in range(len(path), 0, -1):
            if found := self.setters(path[:length]):
                return max(found, key=self.sources.index)
        return self.recipe

    def setters(self, path: KeyPath) -> set[str]:
        """The files that set a key at or below `path`."""
        return {file for key, file in self.origins.items() if key[: len(path)] == path}

    def written(self, path: KeyPath) -> KeyPath:
        """Where what is at `path` is written: `seeds:` made several things of one."""
        return self.spread.get(path[:2], path[:2]) + path[2:]

    def inherited(self, path: KeyPath) -> KeyPath | None:
        """The same path of the sibling that a thing is like, unless its own key stands there."""
        sibling = self.siblings.get(path[:2])
        own = path in self.origins and not isinstance(self._at(path), dict)
        return None if sibling is None or own else sibling + path[2:]

    def absent(self, section: str, name: Any) -> str:
        """What to say of a name that points to nothing."""
        there = self.values.get(section) or {}
        named = f"there is no {section}.{name}"
        for path in ((section, name), (section,)):
            if path in self.origins and self._at(path) is None and path not in self.spread.values():
                return f"{named}: {self.origins[path]} removes it"
        known = [each for each, thing in there.items() if thing is not None]
        return f"{named}.{closest(name, known)}"

    def overlay(self, values: dict[str, Any], origin: str) -> None:
        """Merge `values` over this: mappings merge, lists and scalars replace, null removes.

        CHOICES replace, too, and what is in OF_CHOICES.
        """
        self.sources.append(origin)
        self._overlay(self.values, values, origin, ())

    def _overlay(
        self, below: dict[str, Any], above: dict[str, Any], origin: str, path: KeyPath
    ) -> None:
        for key, value in above.items():
            here = (*path, str(key))
            merges = isinstance(value, dict) and isinstance(below.get(key), dict)
            if merges and key not in CHOICES and path[-1:] != OF_CHOICES:
                self._overlay(below[key], value, origin, here)
            else:
                self._forget(here)
                self.origins[here] = origin
                below[key] = {} if isinstance(value, dict) else value
                if isinstance(value, dict):
                    self._overlay(below[key], value, origin, here)

    def _forget(self, path: KeyPath) -> None:
        for known in [known for known in self.origins if known[: len(path)] == path]:
            del self.origins[known]

    def _at(self, path: KeyPath) -> Any:
        found: Any = self.values
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found


def merge(root: Path, command_line: dict[str, Any]) -> Merged:
    """Merge the recipe, `config.yaml` and what Snakemake got from --configfile and --config.

    Raises:
        ValueError: a file cannot be read, or what it holds cannot be merged; one line a problem.
    """
    user = read_yaml(root / "config.yaml", root)
    given = _without_null_strings(command_line)
    asked = COMMAND_LINE if given.get("recipe") else "config.yaml"
    recipe = str(given.pop("recipe", None) or user.get("recipe") or "pocket")
    user.pop("recipe", None)
    merged = Merged()
    for path, values in _lineage(root, recipe, asked):
        merged.recipe = str(path.relative_to(root))
        _refuse(_misshapen(values, merged.recipe))
        merged.overlay(values, merged.recipe)
    for values, origin in ((user, "config.yaml"), (given, COMMAND_LINE)):
        _refuse(_misshapen(values, origin))
        _refuse(_misnamed(values, origin, merged))
        merged.overlay(values, origin)
    merged.values["recipe"] = recipe
    return merged


def without_nulls(values: Any) -> Any:
    """What is left when every `null` has removed its key; not earlier, for `like:` needs them.

    Keys of MEANT keep theirs.
    """
    if isinstance(values, dict):
        return {
            key: without_nulls(value)
            for key, value in values.items()
            if value is not None or key in MEANT
        }
    return values


def _refuse(problems: Iterator[str]) -> None:
    if lines := list(problems):
        raise ValueError("\n".join(lines))


def _lineage(
    root: Path, recipe: str, asked: str, seen: tuple[str, ...] = ()
) -> list[tuple[Path, Any]]:
    """The recipe's files, its eldest ancestor first; `asked` is the file that names it."""
    path = root / "recipes" / f"{recipe}.yaml"
    if not path.exists():
        shipped = sorted(known.stem for known in path.parent.glob("*.yaml"))
        raise ValueError(
            f"{asked}: recipe: there is no recipes/{recipe}.yaml.{closest(recipe, shipped)} "
            f"Shipped are {', '.join(shipped)}."
        )
    shown = f"recipes/{recipe}.yaml"
    if recipe in seen:
        raise ValueError(f"{shown}: is its own parent ({' → '.join((*seen, recipe))})")
    values = read_yaml(path, root)
    parent = values.pop("recipe", None)
    above = _lineage(root, str(parent), shown, (*seen, recipe)) if parent else []
    return [*above, (path, values)]


def _misshapen(values: dict[str, Any], origin: str) -> Iterator[str]:
    """Sections and things that are no mappings, and so cannot be merged."""
    for section in SECTIONS:
        things = values.get(section)
        if things is None:
            continue
        if not isinstance(things, dict):
            yield f"{origin}: {section}: should hold names, each with its keys, not {kind(things)}"
            continue
        for name, thing in things.items():
            if not isinstance(name, str):
                yield f"{origin}: {section}.{name}: a name should be text, not {kind(name)}"
            elif thing is not None and not isinstance(thing, dict):
                yield f"{origin}: {section}.{name}: should hold keys and values, not {kind(thing)}"


def _misnamed(values: dict[str, Any], origin: str, merged: Merged) -> Iterator[str]:
    """A name that is not yet known is a new thing (`like:`, or whole) or a slip of the pen."""
    for section in SECTIONS:
        known = merged.values.get(section) or {}
        for name, thing in (values.get(section) or {}).items():
            keys = set(thing or ())
            if name in known or "like" in keys or any(each <= keys for each in WHOLE[section]):
                continue
            yield (
                f"{origin}: {section}.{name}: {merged.recipe} has no such name."
                f"{closest(name, known)} "
                f"(A new one needs `like: <sibling>` or all of its keys.)"
            )


def _without_null_strings(values: Any) -> Any:
    """Nested values given to --config arrive as strings: 'null' means null."""
    if isinstance(values, dict):
        return {key: _without_null_strings(value) for key, value in values.items()}
    return None if values == "null" else values
