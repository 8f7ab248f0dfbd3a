"""Text of a corpus.

Inputs: none (generated), or files under `data_root`.
Outputs: results/sources/{corpus}.parquet, results/text/{corpus}.parquet
"""


localrules:
    list_source,


rule generate_text:
    """Generate stories, pairs or preferences from the seeded grammar."""
    input:
        heard=lambda w: plan.heard_in(w.corpus),
    output:
        text="results/text/{corpus}.parquet",
    log:
        "results/logs/generate_text/{corpus}.log",
    benchmark:
        "results/timings/generate_text/{corpus}.tsv"
    wildcard_constraints:
        corpus=plan.names("corpora", source="generated"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        config=plan.block("generate_text"),
        code=plan.code("generate_text"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/generate_text.py --heard {input.heard:q} --text {output.text:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule list_source:
    """List the files of a corpus: path, size, digest, duration, shard."""
    output:
        sources="results/sources/{corpus}.parquet",
    log:
        "results/logs/list_source/{corpus}.log",
    benchmark:
        "results/timings/list_source/{corpus}.tsv"
    wildcard_constraints:
        corpus=plan.names("corpora", source="audio|text"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        config=plan.block("list_source"),
        code=plan.code("list_source"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/list_source.py --sources {output.sources:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule read_text:
    """Read the documents of a text file."""
    input:
        sources="results/sources/{corpus}.parquet",
    output:
        text="results/text/{corpus}.parquet",
    log:
        "results/logs/read_text/{corpus}.log",
    benchmark:
        "results/timings/read_text/{corpus}.tsv"
    wildcard_constraints:
        corpus=plan.names("corpora", source="text"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        config=plan.block("read_text"),
        code=plan.code("read_text"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/read_text.py --sources {input.sources:q} --text {output.text:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"
