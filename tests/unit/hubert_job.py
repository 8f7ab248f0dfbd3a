"""HuBERT's training as `training_job` calls it, with one table of speech."""

from pathlib import Path
from typing import Any

from slamflow.tokeniser import hubert_training


def train(speech: Path, hubert: Path | None = None, **arguments: Any) -> None:
    """See `hubert_training.train`."""
    hubert_training.train(speech=[speech], hubert=hubert, **arguments)
