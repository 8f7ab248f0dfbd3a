"""What the README tells users to write and run is right."""

import re
from pathlib import Path

import pytest
from running import ROOT, TARGET, planned_jobs

README = (ROOT / "README.md").read_text()
CONFIGS = re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("config", CONFIGS)
def test_config(config: str, checkout: Path) -> None:
    (checkout / "config.yaml").write_text(config)
    assert TARGET in {path for job in planned_jobs(checkout) for path in job.outputs}


def test_ci_runs_the_test_command() -> None:
    run, test, *_ = (command.strip() for command in COMMANDS)
    assert run.endswith(f" {TARGET}")
    steps = [step.replace(".venv", '"$environment"') for step in test.split(" && ")]
    script = (ROOT / ".ci" / "run").read_text().replace('"$environment/bin/', '"$environment"/bin/')
    commands = [re.sub(r'/bin/(\w+)"', r"/bin/\1", line) for line in script.splitlines()]
    positions = [
        next(i for i, line in enumerate(commands) if line.startswith(step)) for step in steps
    ]
    assert positions == sorted(positions)
