"""Speech of a corpus: synthesised from its text, or cut from recordings.

Inputs: results/text/{corpus}.parquet or results/sources/{corpus}.parquet
Outputs: results/speech/{corpus}/{shard}.parquet, results/rejected/{corpus}/{shard}.parquet,
    results/alignments/{corpus}/{shard}.parquet
"""


rule synthesise_speech:
    """Speak a shard of a corpus's text, with word and phone alignments."""
    input:
        text="results/text/{corpus}.parquet",
        weights=plan.weights("synthesise_speech"),
    output:
        speech="results/speech/{corpus}/{shard}.parquet",
        rejected="results/rejected/{corpus}/{shard}.parquet",
    log:
        "results/logs/synthesise_speech/{corpus}/{shard}.log",
    benchmark:
        "results/timings/synthesise_speech/{corpus}/{shard}.tsv"
    wildcard_constraints:
        corpus=plan.names("corpora", recorded="False"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
        gpu=plan.engine_gpus("synthesise_speech"),
    params:
        config=plan.block("synthesise_speech"),
        code=plan.code("synthesise_speech"),
        machine=plan.machine("corpora", "speech"),
    shell:
        "python workflow_scripts/synthesise_speech.py --text {input.text:q}"
        " --shard {wildcards.shard:q} --speech {output.speech:q} --rejected {output.rejected:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule cut_audio:
    """Cut a shard of recordings into utterances; the audio stays where it is."""
    input:
        sources="results/sources/{corpus}.parquet",
    output:
        speech="results/speech/{corpus}/{shard}.parquet",
        rejected="results/rejected/{corpus}/{shard}.parquet",
    log:
        "results/logs/cut_audio/{corpus}/{shard}.log",
    benchmark:
        "results/timings/cut_audio/{corpus}/{shard}.tsv"
    wildcard_constraints:
        corpus=plan.names("corpora", recorded="True"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        config=plan.block("cut_audio"),
        code=plan.code("cut_audio"),
        machine=plan.machine("corpora", "source"),
    shell:
        "python workflow_scripts/cut_audio.py --sources {input.sources:q}"
        " --shard {wildcards.shard:q} --speech {output.speech:q} --rejected {output.rejected:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule align_speech:
    """Find the words and phones of a shard of recorded speech."""
    input:
        speech="results/speech/{corpus}/{shard}.parquet",
        weights=plan.weights("align_speech"),
    output:
        alignments="results/alignments/{corpus}/{shard}.parquet",
    log:
        "results/logs/align_speech/{corpus}/{shard}.log",
    benchmark:
        "results/timings/align_speech/{corpus}/{shard}.tsv"
    wildcard_constraints:
        corpus=plan.names("corpora", aligned="True"),
    conda:
        "../envs/slamflow.yaml"
    threads: 4
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=plan.engine_gpus("align_speech"),
    params:
        config=plan.block("align_speech"),
        code=plan.code("align_speech"),
        machine=plan.machine("corpora", "alignment"),
    shell:
        "python workflow_scripts/align_speech.py --speech {input.speech:q}"
        " --alignments {output.alignments:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"
