"""What a recipe will take, before any of it runs.

Inputs: resources/plan/*.tsv
Outputs: results/plan.tsv
"""


localrules:
    write_plan,


rule write_plan:
    """Plan jobs, hours, disk and downloads of a recipe, stage by stage."""
    input:
        rates="resources/plan/rates.tsv",
        yields="resources/plan/yields.tsv",
        gpus="resources/plan/gpus.tsv",
        huberts=plan.shapes(),
        workflow=plan.sources(),
    output:
        plan="results/plan.tsv",
    log:
        "results/logs/write_plan/plan.log",
    benchmark:
        "results/timings/write_plan/plan.tsv"
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        config=plan.block("write_plan"),
        code=plan.code("write_plan"),
        machine=plan.machine(),
        given=plan.given(config),
    shell:
        "python workflow_scripts/write_plan.py"
        " --rates {input.rates:q} --yields {input.yields:q} --gpus {input.gpus:q}"
        " --plan {output.plan:q} --given {params.given:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"
