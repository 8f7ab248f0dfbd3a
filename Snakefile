"""Slamflow: a speech language model from nothing to results/eval.tsv.

    snakemake --cores all results/eval.tsv

What is built is said by recipes/{recipe}.yaml under config.yaml; see docs/workflow.md.
"""

import gc
import os
import signal
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")

ROOT = Path(workflow.basedir)
if Path.cwd() != ROOT:
    raise WorkflowError(f"Run snakemake in the checkout itself: cd {ROOT}")
# Snakemake fills in braces, and a search path ends at a colon
if set(str(ROOT)) & set("{}:"):
    raise WorkflowError(
        f"Move the checkout to a path without braces and colons: {ROOT}"
    )

sys.path.insert(0, str(ROOT / "src"))
os.environ.update(
    PATH=os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    ),
    PYTHONPATH=os.pathsep.join(
        filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    ),
    # see src/slamflow/orphans.py and src/slamflow/training/stopping.py
    SLAMFLOW_SNAKEMAKE=str(os.getpid()),
    SLAMFLOW_SLURM_JOB=(
        os.environ.get("SLURM_JOB_ID", "") if workflow.remote_exec else ""
    ),
)
# Slurm warns all processes of a job before its time limit; a training makes its own of it
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
# what Slurm tells a job to end is the job itself, and no shell that waits for it
shell.prefix("set -euo pipefail; exec ")
# threads that wait must not take a core from the jobs beside them: 2.5 × on a busy machine
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# memory that goes back and forth between a job and the kernel takes a quarter of its time
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
for name, value in {
    "MMAP_MAX_": 0,
    "TRIM_THRESHOLD_": 1 << 33,
    "TOP_PAD_": 1 << 26,
}.items():
    os.environ.setdefault(f"MALLOC_{name}", str(value))


# what is loaded by now stays: to look for it again and again takes a sixth of a dry run
gc.freeze()


include: "rules/common.smk"


# a cluster's job has no terminal
logger.addHandler(failures.Failures())


include: "rules/text.smk"
include: "rules/speech.smk"
include: "rules/tokeniser.smk"
include: "rules/models.smk"
include: "rules/preference.smk"
include: "rules/evaluation.smk"
include: "rules/voice.smk"
include: "rules/generation.smk"
include: "rules/study.smk"
include: "rules/report.smk"
include: "rules/plan.smk"


onstart:
    plan.write_run_config()


onerror:
    for line in disks.advice(log, "results", ".snakemake"):
        print(line, file=sys.stderr)
