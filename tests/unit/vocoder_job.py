"""A vocoder's training as `training_job` calls it, with one table of units and one of speech."""

from pathlib import Path
from typing import Any

from slamflow.vocoder import training


def train(units: Path, speech: Path, **arguments: Any) -> None:
    """See `training.train`."""
    training.train(units=[units], speech=[speech], **arguments)
