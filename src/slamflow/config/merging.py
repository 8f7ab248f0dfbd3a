"""Recipe ← config.yaml ← --configfile/--config, with the source of every key remembered."""

import difflib
from pathlib import Path
from typing import Any

import yaml

SECTIONS = (
    "corpora", "synthesisers", "huberts", "tokenisers", "mixtures", "models", "vocoders",
    "benchmarks",
)  # fmt: skip
COMMAND_LINE = "command line"

KeyPath = tuple[str, ...]


class Merged:
    """A merged config: `values`, and for each key path the file that it comes from."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[KeyPath, str] = {}
        self.siblings: dict[KeyPath, KeyPath] = {}  # what `like:` copied, and from where
        self.recipe = ""

    def origin(self, path: KeyPath) -> str:
        """The file that the key at `path`, or the nearest key above it, comes from."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, self.recipe)

    def written(self, path: KeyPath) -> KeyPath:
        """Where the key at `path` is written: under the sibling that `like:` copied it from."""
        if path[:2] in self.siblings and path not in self.origins:
            inherited = self.siblings[path[:2]] + path[2:]
            if not any(known[: len(path)] == path for known in self.origins):
                return self.written(inherited)
        return path

    def overlay(self, values: dict[str, Any], origin: str) -> None:
        """Merge `values` over this: mappings merge, lists and scalars replace, null removes."""
        self._overlay(self.values, values, origin, ())

    def _overlay(
        self, below: dict[str, Any], above: dict[str, Any], origin: str, path: KeyPath
    ) -> None:
        for key, value in above.items():
            here = (*path, str(key))
            if isinstance(value, dict) and isinstance(below.get(key), dict):
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


def read_yaml(path: Path, root: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ValueError: the file is missing, is not YAML, repeats a key or is not a mapping.
    """
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except FileNotFoundError:
        raise ValueError(f"{shown}: no such file") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{shown}: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"{shown}: should hold keys and values, and holds a {type(content)}")
    return content


def merge(root: Path, command_line: dict[str, Any]) -> Merged:
    """Merge the recipe, `config.yaml` and what Snakemake got from --configfile and --config."""
    user = read_yaml(root / "config.yaml", root)
    given = _without_null_strings(command_line)
    recipe = given.pop("recipe", None) or user.get("recipe", "pocket")
    user.pop("recipe", None)
    merged = Merged()
    for path, values in _lineage(root, str(recipe)):
        merged.overlay(values, str(path.relative_to(root)))
        merged.recipe = str(path.relative_to(root))
    known = {section: set(merged.values.get(section) or {}) for section in SECTIONS}
    for values, origin in ((user, "config.yaml"), (given, COMMAND_LINE)):
        _check_names(values, origin, known, merged)
        merged.overlay(values, origin)
    merged.values["recipe"] = str(recipe)
    _expand(merged)
    merged.values = _without_nulls(merged.values)
    return merged


def closest(word: str, choices: Any) -> str:
    """` Did you mean …?`, or nothing where no choice is close."""
    found = difflib.get_close_matches(word, [str(choice) for choice in choices], 1)
    return f" Did you mean {found[0]}?" if found else ""


def _lineage(root: Path, recipe: str, seen: tuple[str, ...] = ()) -> list[tuple[Path, Any]]:
    """The recipe's files, its eldest ancestor first."""
    path = root / "recipes" / f"{recipe}.yaml"
    if not path.exists():
        shipped = sorted(known.stem for known in path.parent.glob("*.yaml"))
        raise ValueError(
            f"recipe: there is no recipes/{recipe}.yaml.{closest(recipe, shipped)} "
            f"Shipped are {', '.join(shipped)}."
        )
    if recipe in seen:
        raise ValueError(f"recipes/{recipe}.yaml: is its own parent ({' → '.join(seen)})")
    values = read_yaml(path, root)
    parent = values.pop("recipe", None)
    above = _lineage(root, parent, (*seen, recipe)) if parent else []
    return [*above, (path, values)]


def _check_names(
    values: dict[str, Any], origin: str, known: dict[str, set[str]], merged: Merged
) -> None:
    """A name that the recipe lacks is a new thing (`like:`, or whole) or a slip of the pen."""
    required = {"models": "kind", "corpora": "source", "mixtures": "tokeniser"}
    required |= {"synthesisers": "engine", "benchmarks": "corpus"}
    for section in SECTIONS:
        for name, thing in (values.get(section) or {}).items():
            new = isinstance(thing, dict) and ("like" in thing or required.get(section) in thing)
            if name not in known[section] and not new and section in required:
                raise ValueError(
                    f"{origin}: {section}.{name}: {merged.recipe} has no such name."
                    f"{closest(name, known[section])} "
                    f"(A new one needs `like: <sibling>` or all of its keys.)"
                )


def _expand(merged: Merged) -> None:
    """Write out `like: <sibling>` and `seeds: [1, 2, 3]`."""
    for section in SECTIONS:
        things = merged.values.get(section)
        if not isinstance(things, dict):
            continue
        for name in list(things):
            _resolve_like(merged, section, name, ())
        for name, thing in list(things.items()):
            if isinstance(thing, dict) and "seeds" in thing:
                _spread_seeds(merged, section, name)


def _resolve_like(merged: Merged, section: str, name: str, seen: tuple[str, ...]) -> None:
    things = merged.values[section]
    thing = things[name]
    if not isinstance(thing, dict) or "like" not in thing:
        return
    sibling, here = thing["like"], f"{merged.origin((section, name))}: {section}.{name}.like"
    if name in seen:
        raise ValueError(f"{here}: goes round in a circle ({' → '.join((*seen, name))})")
    if sibling not in things:
        raise ValueError(f"{here}: there is no {section}.{sibling}.{closest(sibling, things)}")
    _resolve_like(merged, section, sibling, (*seen, name))
    own = {key: value for key, value in thing.items() if key != "like"}
    copy = Merged()
    copy.overlay(things[sibling], "")
    copy.overlay(own, "")
    things[name] = copy.values
    merged.siblings[(section, name)] = (section, sibling)


def _spread_seeds(merged: Merged, section: str, name: str) -> None:
    """`seeds: [1, 2]` of a model makes the models `{name}-s1` and `{name}-s2`."""
    things = merged.values[section]
    thing = things.pop(name)
    seeds = thing.pop("seeds")
    origin = merged.origin((section, name))
    if section != "models" or not isinstance(seeds, list) or not seeds:
        raise ValueError(f"{origin}: {section}.{name}.seeds: is a list of seeds of a model")
    for seed in seeds:
        copy = Merged()
        copy.overlay(thing, "")
        for block in ("init", "training"):
            if isinstance(copy.values.get(block), dict):
                copy.values[block]["seed"] = seed
        things[f"{name}-s{seed}"] = copy.values
        merged.origins[(section, f"{name}-s{seed}")] = origin
    for row in merged.values.get("evaluate") or []:
        if section == "models" and isinstance(row, dict) and name in row.get("models", []):
            at = row["models"].index(name)
            row["models"][at : at + 1] = [f"{name}-s{seed}" for seed in seeds]


def _without_null_strings(values: Any) -> Any:
    """Nested values given to --config arrive as strings: 'null' means null."""
    if isinstance(values, dict):
        return {key: _without_null_strings(value) for key, value in values.items()}
    return None if values == "null" else values


def _without_nulls(values: Any) -> Any:
    """What is left when every `null` has removed its key; not earlier, for `like:` needs them."""
    if isinstance(values, dict):
        return {key: _without_nulls(value) for key, value in values.items() if value is not None}
    return values


class _UniqueKeys(yaml.SafeLoader):
    """YAML's safe loader, which does not let the second of two equal keys win in silence."""


def _construct_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key `{key}` stands twice", key_node.start_mark
            )
        seen.add(key)
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)
