"""SALMon (Maimon et al., 2024): `<part>/sample_<i>_<j>.wav`, where j = 0 is the consistent one."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from slamflow.corpora.listing import pairs

PARTS = (
    "bg_alignment",
    "bg_all_consistency",
    "bg_domain_consistency",
    "gender_consistency",
    "rir_consistency",
    "sentiment_alignment",
    "sentiment_consistency",
    "speaker_consistency",
)
NAME = re.compile(r"sample_(\d+)_(\d+)")


def list_files(
    config: Mapping[str, Any], data_root: Path, manifest: pa.Table | None = None
) -> pa.Table:
    """The wav files of the parts; an item is a sample of a part, and the part its group.

    Args:
        config: `folder`, `parts` (which, or null for all eight), `shards`.

    Raises:
        ValueError: the folder or a part is missing, or there is no such part.
    """
    folder = config["folder"]
    names = [name for name in pairs.found(folder, data_root, manifest) if name.endswith(".wav")]
    rows = []
    for part in config.get("parts") or PARTS:
        if part not in PARTS:
            raise ValueError(f"source.parts: {part} must be one of {', '.join(PARTS)}")
        inside = [name for name in names if name.startswith(f"{part}/")]
        if not inside:
            raise ValueError(
                f"{Path(data_root) / folder / part}: no such part of SALMon; mend `source.folder`,"
                " or name in `source.parts` those that are there"
            )
        for name in inside:
            stem = pairs.stem(name)
            parts = NAME.fullmatch(stem.removeprefix(f"{part}/"))
            if parts is None:
                rows.append(pairs.unreadable(name, f"{part}/sample_<i>_<j>.wav"))
                continue
            rows.append(
                {
                    "name": name,
                    "id": stem,
                    "item": f"{part}/{int(parts[1])}",
                    "role": "negative" if int(parts[2]) else "positive",
                    "group": part,
                }
            )
    return pairs.table(config, folder, rows, data_root, manifest)
