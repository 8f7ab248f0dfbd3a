"""The config as the rules see it: `plan` knows names, files, blocks and code digests."""

import os

from snakemake.exceptions import WorkflowError

from slamflow import disks
from slamflow.config import failures
from slamflow.config.load import load
from slamflow.config.plan import Plan

try:
    disks.check("results", ".snakemake")
    plan = Plan(load(ROOT, config), ROOT)
except ValueError as error:
    raise WorkflowError(str(error))

# A job on another host is told there what it was given here.
HALF = plan.half(None if workflow.remote_exec else workflow.resource_settings.cores)


def megabytes(*paths):
    """The size of input files, for a resource; Snakemake asks again when they are there."""
    return round(sum(map(os.path.getsize, paths)) / 1e6)


wildcard_constraints:
    shard=r"\d{4}",
    download=plan.names("downloads"),
    corpus=plan.names("corpora"),
    hubert=plan.names("huberts"),
    tokeniser=plan.names("tokenisers"),
    mixture=plan.names("mixtures"),
    model=plan.names("models"),
    vocoder=plan.names("vocoders"),
    benchmark=plan.names("benchmarks"),
    question=plan.names("questions"),
