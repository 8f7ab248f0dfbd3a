"""envs/slamflow.yaml is what envs/generate.py makes of requirements.lock."""

import runpy
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text()


def test_in_sync() -> None:
    environment = runpy.run_path(str(ROOT / "envs" / "generate.py"))["environment"]
    written = (ROOT / "envs" / "slamflow.yaml").read_text()
    assert written == environment(LOCK), "run: python envs/generate.py"


def _normalised(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def test_lock_holds_exact_pins_only() -> None:
    lines = [line for line in LOCK.splitlines() if not line.startswith("#")]
    names = [_normalised(line.partition("==")[0]) for line in lines]
    assert all("==" in line and not set(line) & set("@/: ") for line in lines)
    assert len(names) == len(set(names))


def test_lock_holds_all_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["test"], *extras["slurm"]]
    pins = dict(line.split("==") for line in LOCK.splitlines() if "==" in line)
    pins = {_normalised(name): version for name, version in pins.items()}
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pins[_normalised(requirement.name)]), requirement
