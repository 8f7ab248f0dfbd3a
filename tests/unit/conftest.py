"""What several unit tests begin with."""

from pathlib import Path

import pytest
from loopback_stage import Stage


@pytest.fixture
def stage(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Stage:
    """The stage `fetch_download`, with an empty `data_root`."""
    return Stage(tmp_path / "data", tmp_path, capfd, monkeypatch)
