"""The log of a training for TensorBoard."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slamflow import logs


class Board:
    """The log for TensorBoard, in `folder`, if that is asked for and the package is there."""

    def __init__(self, folder: Path | None, done: int) -> None:
        self.writer: Any = None
        if folder is None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            logs.say("tensorboard: is not installed, so no log is written for it")
        else:
            self.writer = SummaryWriter(str(folder), purge_step=done + 1)
            self.done = done

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the rows that are new."""
        if self.writer is None:
            return
        for row in rows[self.done :]:
            values = {n: v for n, v in row.items() if isinstance(v, float)}
            values |= {
                f"validation/{each['name']}": each["loss"] for each in row["validation"] or []
            }
            for name, value in values.items():
                self.writer.add_scalar(name, value, row["step"])
        self.done = len(rows)
        self.writer.flush()
