"""How two identities of a run differ, in words."""

import json
from typing import Any


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs between two identities, one phrase a dotted key or input path.

    An identity is `{block, inputs: [{path, sha256}]}`; the paths of inputs may differ.
    """
    before, after = _flat(old["block"]), _flat(new["block"])
    found = [
        f"{key} is {_short(after.get(key))} and was {_short(before.get(key))}"
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]
    for i in range(max(len(old["inputs"]), len(new["inputs"]))):
        was, now = old["inputs"][i : i + 1], new["inputs"][i : i + 1]
        if [entry["sha256"] for entry in was] != [entry["sha256"] for entry in now]:
            change = "differs" if was and now else "is new" if now else "is no longer used"
            found.append(f"input {(now or was)[0]['path']} {change}")
    return found


def _flat(block: Any, prefix: str = "") -> dict[str, str]:
    """Dotted key -> JSON: as values, 1 would equal true."""
    if not isinstance(block, dict) or not block:
        return {prefix or "block": json.dumps(block, ensure_ascii=False)}
    flat: dict[str, str] = {}
    for key, value in block.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return flat


def _short(text: str | None) -> str:
    if text is None:
        return "absent"
    return text if len(text) <= 60 else text[:57] + "..."
