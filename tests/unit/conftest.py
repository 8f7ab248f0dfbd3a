"""What several unit tests begin with."""

from pathlib import Path

import pytest
import speech_tables
from loopback_stage import Stage


@pytest.fixture
def stage(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Stage:
    """The stage `fetch_download`, with an empty `data_root`."""
    return Stage(tmp_path / "data", tmp_path, capfd, monkeypatch)


@pytest.fixture(scope="session")
def trained_on(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The speech that small HuBERTs are trained on."""
    return speech_tables.write(tmp_path_factory.mktemp("speech") / "s.parquet", 30)


@pytest.fixture(scope="session")
def targets(trained_on: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The codebook of MFCC whose units they predict."""
    import hubert_trainings  # torch, which most tests do not need

    return hubert_trainings.fit(trained_on, tmp_path_factory.mktemp("codebook"))


@pytest.fixture(scope="session")
def prepared(trained_on: Path, targets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What their training reads, prepared from both."""
    import hubert_trainings

    folder = tmp_path_factory.mktemp("data") / "d"
    hubert_trainings.prepare(folder, trained_on, targets)
    return folder
