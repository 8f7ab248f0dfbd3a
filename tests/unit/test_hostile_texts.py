"""YAML that would swell or make objects, and texts that terminals would obey."""

import io
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slamflow import logs
from slamflow.config import reading

LETTERS = "abcdefgh"
LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in itertools.pairwise(LETTERS)
)
MERGES = "a: &a {k: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 10)}]}}\n"
    for old, new in itertools.pairwise(LETTERS)
)
SWELLS = f"its aliases stand for more than {reading.MOST} values"
YAML = {
    "laughs": (LAUGHS, SWELLS),
    "merges": (MERGES, SWELLS),
    "a list in itself": ("a: &a [*a]\n", SWELLS),
    "keys in themselves": ("a: &a {b: *a}\n", SWELLS),
    "depth": ("a: " + "[" * 5000 + "]" * 5000, "is nested too deeply"),
    "a call": ("a: !!python/object/apply:os.system ['touch canary']\n", "os.system"),
    "an object": ("!!python/object/new:os.system ['touch canary']\n", "os.system"),
    "a name": ("a: !!python/name:os.system\n", "os.system"),
    "a module": ("a: !!python/module:antigravity\n", "antigravity"),
    "no day": ("a: 2024-02-31\n", "day is out of range for month"),
    "no number": (f"a: {'9' * 5000}\n", "4300 digits"),
    "two texts": ("a: 1\n---\na: 2\n", "expected a single document"),
    "twice": ("a: {b: 1, b: 2}\n", "the key `b` stands twice"),
}


@pytest.mark.parametrize("case", YAML)
def test_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    text, told = YAML[case]
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(text)
    start = time.process_time()
    with pytest.raises(ValueError) as caught:
        reading.read_yaml(path, tmp_path)
    assert time.process_time() - start < 10
    line = str(caught.value)
    assert line.startswith("config.yaml: ") and told in line and "\n" not in line
    assert [each.name for each in tmp_path.iterdir()] == ["config.yaml"]
    assert "antigravity" not in sys.modules


def test_aliases_of_honest_size(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a: &a {b: [1, 2], c: 3}\nd: *a\ne: {<<: *a, c: 4}\n")
    found = reading.read_yaml(path, tmp_path)
    assert found["d"] == found["a"] and found["e"] == {"b": [1, 2], "c": 4}


TEXT = "\x1b[2Ja\x07\r\x9b31m\t\u202eb\u2066 é 日本 \U0001f600 \udce9\x00"
SHOWN = "\\x1b[2Ja\\x07\\r\\x9b31m\\t\\u202eb\\u2066 é 日本 \U0001f600 \\udce9\\x00"


def test_terminals_get_no_commands(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Neither from names of files nor from what servers answer, in progress and errors, too."""
    logs.say(TEXT)
    assert capfd.readouterr().err == f"{SHOWN}\n"
    logs.info(TEXT)
    assert capfd.readouterr().err.endswith(f" {SHOWN}\n")
    logs.Progress(TEXT, 1, "files").update(1)
    assert capfd.readouterr().err.startswith(f"{SHOWN}: 1/1 files in ")
    with pytest.raises(SystemExit), logs.capture(tmp_path / "log"):
        raise ValueError(TEXT)
    line = capfd.readouterr().err.splitlines()[-1]  # before it, this test's own traceback
    assert line.startswith("error: \\x1b[2Ja\\x07") and line.endswith(f"{tmp_path / 'log'})")
    assert line.isprintable()


def test_logs_hold_none_either(tmp_path: Path) -> None:
    code = "import sys\nfrom slamflow import logs\nwith logs.capture(sys.argv[1]):\n"
    code += "    raise ValueError('one\\x1b[2J')"
    environment = os.environ | {"PYTHONPATH": str(Path(logs.__file__).parents[1])}
    command = [sys.executable, "-c", code, str(tmp_path / "log")]
    done = subprocess.run(command, env=environment, text=True, capture_output=True)
    assert done.returncode == 1 and done.stderr.startswith("error: one\\x1b[2J (see ")
    log = (tmp_path / "log").read_text()
    assert "Traceback" in log and "ValueError: one\\x1b[2J\n" in log and "\x1b" not in log


def test_names_with_joiners_stay(capfd: pytest.CaptureFixture[str]) -> None:
    names = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f469\u200d\U0001f680 co\u00adop"
    logs.say(names)
    assert capfd.readouterr().err == f"{names}\n"


def test_lines_stay(capfd: pytest.CaptureFixture[str]) -> None:
    logs.say("one\ntwo")
    assert io.StringIO(capfd.readouterr().err).readlines() == ["one\n", "two\n"]
