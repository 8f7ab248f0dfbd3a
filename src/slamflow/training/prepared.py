"""What a training reads, prepared once in its state folder, and made anew if it is damaged."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slamflow import files, logs

FACTS = "facts.json"
DIGESTS = "files"  # in the facts: the SHA-256 of each file


def ready(folder: Path, facts: Mapping[str, Any]) -> bool:
    """Whether the data in `folder` are finished, of these facts and as they were written.

    Else the folder is there and empty.

    Args:
        facts: what the data are made from; plain data.
    """
    found = _facts(folder)
    digests = found.pop(DIGESTS, {})
    if found == json.loads(json.dumps(facts)):
        wrong = [name for name, digest in digests.items() if _digest(folder / name) != digest]
        if not wrong:
            return True
        logs.say(f"{folder / wrong[0]}: damaged, so what is trained on is prepared anew")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return False


def finish(folder: Path, facts: Mapping[str, Any]) -> None:
    """All files of the data are there."""
    digests = {path.name: files.sha256(path) for path in sorted(folder.iterdir())}
    files.write_json({**facts, DIGESTS: digests}, folder / FACTS, sealed=True)


def _facts(folder: Path) -> dict[str, Any]:
    try:
        found = files.read_json(folder / FACTS)
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(path: Path) -> str | None:
    return files.sha256(path) if path.is_file() else None
