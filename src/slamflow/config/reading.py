"""YAML files as mappings, and the words in which what they hold is said."""

import difflib
from pathlib import Path
from typing import Any

import yaml

MERGE = "tag:yaml.org,2002:merge"  # of the key `<<`
MOST = 100_000  # values of a file, with what its aliases stand for


def read_yaml(path: Path, root: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ValueError: the file is missing, is not YAML, repeats a key or is not a mapping.
    """
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    try:
        content = _load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{shown}: no such file") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{shown}: not UTF-8 ({error.reason}); convert the file") from None
    except RecursionError:
        raise ValueError(f"{shown}: is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: of a day that is in no calendar
        raise ValueError(f"{shown}: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"{shown}: should hold keys and values, not {kind(content)}")
    return content


def kind(value: Any) -> str:
    """What a value of a YAML file is, for messages: `a number`."""
    names: dict[type, str] = {bool: "true or false", str: "text", list: "a list", dict: "keys"}
    return next((name for known, name in names.items() if isinstance(value, known)), "a number")


def closest(word: Any, choices: Any) -> str:
    """` Did you mean …?`, or nothing where no choice is close."""
    found = difflib.get_close_matches(str(word), [str(choice) for choice in choices], 1)
    return f" Did you mean {found[0]}?" if found else ""


def _load(text: str) -> Any:
    loader = _UniqueKeys(text)
    try:
        node = loader.get_single_node()
        if _size(node, {}) > MOST:
            raise ValueError(f"its aliases stand for more than {MOST} values")
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _size(node: yaml.Node | None, known: dict[int, int]) -> int:
    """How many values a node stands for, each alias for all that its anchor holds."""
    if id(node) not in known:
        known[id(node)] = MOST + 1  # of one that holds itself
        inner = getattr(node, "value", None)
        parts = inner if isinstance(inner, list) else []  # pairs, of a mapping
        known[id(node)] = 1 + sum(
            _size(each, known)
            for part in parts
            for each in (part if isinstance(part, tuple) else (part,))
        )
    return known[id(node)]


class _UniqueKeys(yaml.SafeLoader):
    """YAML's safe loader, which does not let the second of two equal keys win in silence."""


def _construct_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == MERGE:
            continue
        key = loader.construct_object(key_node)
        if isinstance(key, list | dict):
            problem = f"a key is {kind(key)}"
        elif key in seen:
            problem = f"the key `{key}` stands twice"
        else:
            seen.add(key)
            continue
        raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)
