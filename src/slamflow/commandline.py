"""The command line that all workflow scripts share."""

import argparse
import json
from pathlib import Path
from typing import Any


def parser(description: str, *paths: str, several: tuple[str, ...] = ()) -> argparse.ArgumentParser:
    """A parser with `--config`, `--machine` and `--log`, and an option for each path.

    Args:
        paths: options that take one path each.
        several: options that take any number of paths, none too.
    """
    made = argparse.ArgumentParser(description=description)
    for name in paths:
        made.add_argument(f"--{name}", type=Path, required=True, metavar="PATH")
    for name in several:
        made.add_argument(f"--{name}", type=Path, nargs="*", default=[], metavar="PATH")
    made.add_argument(
        "--config", type=_mapping, required=True, metavar="JSON", help="the stage's block"
    )
    made.add_argument(
        "--machine", type=_mapping, default={}, metavar="JSON", help="settings of this machine"
    )
    made.add_argument("--log", type=Path, metavar="PATH", help="default: the terminal")
    return made


def _mapping(text: str) -> dict[str, Any]:
    content = json.loads(text)
    if not isinstance(content, dict):
        raise argparse.ArgumentTypeError("should be a JSON object")
    return content
