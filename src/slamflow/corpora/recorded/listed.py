"""Whether a file is still what was listed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slamflow import files


def check(path: Path, row: Mapping[str, Any]) -> None:
    """See that a file is there, and as it was listed; of a download, to the last byte.

    Args:
        row: of the sources table.

    Raises:
        OSError: it cannot be opened, for which no recording is left out.
        ValueError: it is not.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file; set `data_root`, or raise `source.version`")
    path.open("rb").close()  # libsndfile would not say why it cannot be opened
    same = path.stat().st_size == row["bytes"]
    if not row["sha256"]:
        if not same:
            raise ValueError(f"{path}: has changed since it was listed; raise `source.version`")
    elif not same or files.sha256(path) != row["sha256"]:
        name = Path(row["path"]).parts[1]  # below downloads/
        raise ValueError(
            f"{path}: damaged (its SHA-256 is not that of the download); put it back, or delete the"
            f" folder downloads/{name} and run snakemake again with --forcerun"
            f" results/downloads/{name}.parquet to fetch it anew"
        )
