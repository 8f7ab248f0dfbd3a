"""The page of all results.

Inputs: results/eval.tsv, results/comparisons.tsv, results/models/{model}/, the voices of
    benchmarks that have a vocoder; the tables that those are made from
Outputs: results/report.html
"""


rule write_report:
    """Show scores, trainings, data, speech and how all was made on one page."""
    input:
        eval="results/eval.tsv",
        comparisons="results/comparisons.tsv",
        qualities=plan.qualities(),
        parts=plan.reported(),
        templates=plan.templates("report/page"),
    output:
        report="results/report.html",
    log:
        "results/logs/write_report/report.log",
    benchmark:
        "results/timings/write_report/report.tsv"
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=plan.block("write_report"),
        code=plan.code("write_report"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/write_report.py --eval {input.eval:q}"
        " --comparisons {input.comparisons:q} --report {output.report:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"
