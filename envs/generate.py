"""Write slamflow.yaml, the conda environment of `--sdm conda`, from requirements.lock.

Run it after each change of the lock: python envs/generate.py

Snakemake copies an environment file before it uses it, so that `-r ../requirements.lock` in
it would point nowhere: the pins are written out.
"""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "envs" / "slamflow.yaml"
HEAD = """\
# Made from requirements.lock by envs/generate.py; do not edit.
# For `snakemake --sdm conda`, which needs a conda client on the PATH.
"""


def environment(lock: str) -> str:
    """The text of slamflow.yaml that belongs to the text of a lock file."""
    lines = (line.split("#")[0].strip() for line in lock.splitlines())
    pins = [line for line in lines if line]
    content = {
        "channels": ["conda-forge", "nodefaults"],
        "dependencies": ["python=3.12", "pip", {"pip": pins}],
    }
    return HEAD + yaml.safe_dump(content, sort_keys=False)


if __name__ == "__main__":
    TARGET.write_text(environment((ROOT / "requirements.lock").read_text()))
