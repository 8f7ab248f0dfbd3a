"""Reading `run_config.yaml`, the config of the last run."""

from pathlib import Path
from typing import Any

import yaml

REPAIR = "delete it; the next run writes it anew"


def read(path: Path) -> dict[str, Any]:
    """What is in a `run_config.yaml`.

    Raises:
        ValueError: it is no YAML, or no mapping.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: cannot be read ({reason}); {REPAIR}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path}: holds no keys and values; {REPAIR}")
    return found
