"""Reading what `measure_quality` wrote: `quality.json`."""

from pathlib import Path
from typing import Any

from slamflow import files


def read(path: Path) -> Any:
    """What is in a `quality.json`.

    Raises:
        ValueError: it is no JSON, or damaged.
    """
    return files.read_json(path)


def value(measured: Any, place: tuple[str | int, ...], path: Path) -> Any:
    """What lies at `place`; None if it, or what it is in, is null.

    Args:
        path: of the file, for messages.

    Raises:
        ValueError: there is no such place.
    """
    found = measured
    for key in place:
        if found is None:
            return None
        try:
            found = found[key]
        except (KeyError, IndexError, TypeError):
            name = ".".join(map(str, place))
            raise ValueError(f"{path}: lacks {name}; {files.REMAKE}") from None
    return found
