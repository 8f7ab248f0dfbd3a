"""Files of a corpus, and its text.

Inputs: none (generated), or files under `data_root`, which a download may put there.
Outputs: results/downloads/{download}.parquet, results/sources/{corpus}.parquet,
    results/text/{corpus}.parquet, results/rejected/{corpus}/text.parquet
"""


localrules:
    fetch_download,
    list_source,


rule fetch_download:
    """Fetch a download to `data_root`, and list its files with their digests."""
    output:
        manifest="results/downloads/{download}.parquet",
    log:
        "results/logs/fetch_download/{download}.log",
    benchmark:
        "results/timings/fetch_download/{download}.tsv"
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=20160,
    params:
        config=plan.block("fetch_download"),
        code=plan.code("fetch_download"),
        machine=plan.machine("downloads"),
    shell:
        "python workflow_scripts/fetch_download.py --name {wildcards.download:q}"
        " --manifest {output.manifest:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


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
    input:
        manifest=lambda w: plan.manifest(w.corpus),
    output:
        sources="results/sources/{corpus}.parquet",
    log:
        "results/logs/list_source/{corpus}.log",
    benchmark:
        "results/timings/list_source/{corpus}.tsv"
    wildcard_constraints:
        corpus=plan.file_corpora(),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        config=plan.block("list_source"),
        code=plan.code("list_source"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/list_source.py --manifest {input.manifest:q}"
        " --sources {output.sources:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule read_text:
    """Read the documents, pairs or preferences of text files."""
    input:
        sources="results/sources/{corpus}.parquet",
        heard=lambda w: plan.heard_in(w.corpus),
    output:
        text="results/text/{corpus}.parquet",
        rejected="results/rejected/{corpus}/text.parquet",
    log:
        "results/logs/read_text/{corpus}.log",
    benchmark:
        "results/timings/read_text/{corpus}.tsv"
    wildcard_constraints:
        corpus=plan.names("corpora", source="text|swag|blimp|words"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        config=plan.block("read_text"),
        code=plan.code("read_text"),
        machine=plan.machine("corpora", "source"),
    shell:
        "python workflow_scripts/read_text.py --sources {input.sources:q} --heard {input.heard:q}"
        " --text {output.text:q} --rejected {output.rejected:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"
