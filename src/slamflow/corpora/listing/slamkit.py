"""slamkit's own folders of sWUGGY (`<number>_….wav`) and sBLIMP (`<number>+….wav`).

slamkit sorts the files of each sub-folder by their number and takes the first of two as the
positive, so that the order in which a disk lists them decides. Here the rest of the name does.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from slamflow.corpora.listing import pairs

SEPARATORS = {"swuggy": "_", "sblimp": "+"}


def list_files(
    config: Mapping[str, Any], data_root: Path, manifest: pa.Table | None = None
) -> pa.Table:
    """The wav files of a folder and its sub-folders.

    An item is a number in a sub-folder, and its group the uppermost sub-folder (`swuggy_inter`,
    say).

    Args:
        config: `folder`, `layout` (`swuggy` or `sblimp`), `positive` and `negative` (regular
            expressions for all that follows the separator, without suffix; `correct` and
            `incorrect` if they are not given), `shards`.

    Raises:
        ValueError: the folder is missing or holds no wav file.
    """
    folder, separator = config["folder"], SEPARATORS[config["layout"]]
    roles = {
        "positive": re.compile(config.get("positive") or "correct"),
        "negative": re.compile(config.get("negative") or "incorrect"),
    }
    wanted = f"<number>{separator} and what `source.positive` or `source.negative` says"
    rows = []
    for name in pairs.found(folder, data_root, manifest):
        if not name.endswith(".wav"):
            continue
        parent, _, stem = pairs.stem(name).rpartition("/")
        number, _, rest = stem.partition(separator)
        fitting = [role for role, expression in roles.items() if expression.fullmatch(rest)]
        if not (number.isascii() and number.isdigit()) or len(fitting) != 1:
            rows.append(pairs.unreadable(name, wanted))
            continue
        rows.append(
            {
                "name": name,
                "id": pairs.stem(name),
                "item": f"{parent}/{int(number)}".lstrip("/"),
                "role": fitting[0],
                "group": parent.split("/")[0],
            }
        )
    return pairs.table(config, folder, rows, data_root, manifest)
