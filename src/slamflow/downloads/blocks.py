"""Whether what was fetched is of a block, or of one to which the block only adds."""

from collections.abc import Mapping
from typing import Any

from slamflow import logs
from slamflow.downloads import transfer


def differing(found: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Keys in which the block `config` does more than to add to the block `found`.

    It adds archives at the end of `archives`, and checksums where there were none.
    """
    before = dict(config)
    if "archives" in found and "archives" in config:
        before["archives"] = [
            now if then["checksum"] else {**now, "checksum": None}
            for then, now in _archives(found, config)
        ]
    return [
        key for key in sorted(found.keys() | config.keys()) if found.get(key) != before.get(key)
    ]


def added(found: Mapping[str, Any], config: Mapping[str, Any]) -> int:
    """Number of archives that `config` adds."""
    return len(config.get("archives", [])) - len(found.get("archives", []))


def say_unchecked(found: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Log the archives whose checksum comes too late for what was unpacked."""
    for then, now in _archives(found, config):
        if now["checksum"] and not then["checksum"]:
            shown = transfer.Source(now["url"]).shown
            logs.info(f"{shown}: what was unpacked before it had a checksum is not checked")


def _archives(found: Mapping[str, Any], config: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    return list(zip(found.get("archives", []), config.get("archives", []), strict=False))
