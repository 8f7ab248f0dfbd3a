"""Spoken continuations: what is heard in them, and what it comes to.

Inputs: results/voices/{vocoder}/{model}/{benchmark}.parquet, speech of a corpus,
    results/models/{model}/
Outputs: results/transcripts/{vocoder}/{model}/{benchmark}.parquet,
    results/judgements/{model}/{benchmark}.parquet, results/generation/{model}/{benchmark}.json
"""


rule transcribe_speech:
    """Write down what is heard in spoken continuations."""
    input:
        voices="results/voices/{vocoder}/{model}/{benchmark}.parquet",
        texts=lambda w: plan.heard_words(w.benchmark),
        weights=plan.weights("transcribe_speech"),
    output:
        transcripts="results/transcripts/{vocoder}/{model}/{benchmark}.parquet",
    log:
        "results/logs/transcribe_speech/{vocoder}/{model}/{benchmark}.log",
    benchmark:
        "results/timings/transcribe_speech/{vocoder}/{model}/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=plan.names("benchmarks", transcribed="True"),
    conda:
        "../envs/slamflow.yaml"
    threads: HALF
    resources:
        mem_mb=6000,
        runtime=240,
        gpu=plan.engine_gpus("transcribe_speech"),
    params:
        config=plan.block("transcribe_speech"),
        code=plan.code("transcribe_speech"),
        machine=plan.machine("benchmarks", "transcription"),
    shell:
        "python workflow_scripts/transcribe_speech.py --voices {input.voices:q}"
        " --texts {input.texts:q} --transcripts {output.transcripts:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule judge_transcripts:
    """Ask a language model behind an API how well transcripts make sense."""
    input:
        transcripts=lambda w: plan.transcripts(w.model, w.benchmark),
    output:
        judgements="results/judgements/{model}/{benchmark}.parquet",
    log:
        "results/logs/judge_transcripts/{model}/{benchmark}.log",
    benchmark:
        "results/timings/judge_transcripts/{model}/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=plan.names("benchmarks", judged="True"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        config=plan.block("judge_transcripts"),
        code=plan.code("judge_transcripts"),
        machine=plan.machine("benchmarks", "judge"),
    shell:
        "python workflow_scripts/judge_transcripts.py --transcripts {input.transcripts:q}"
        " --judgements {output.judgements:q}"
        " --state results/state/judge_transcripts/{wildcards.model:q}/{wildcards.benchmark:q}"
        " --code {params.code:q} --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule measure_generation:
    """Measure transcripts: GenPPL, auto-BLEU, how many are empty, a judge's scores."""
    input:
        transcripts=lambda w: plan.transcripts(w.model, w.benchmark),
        text_model=lambda w: plan.text_model(w.benchmark),
        entries=lambda w: plan.text_entries(w.benchmark),
        judgements=lambda w: plan.judgements(w.model, w.benchmark),
    output:
        measures="results/generation/{model}/{benchmark}.json",
    log:
        "results/logs/measure_generation/{model}/{benchmark}.log",
    benchmark:
        "results/timings/measure_generation/{model}/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=plan.names("benchmarks", transcribed="True"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
        gpu=plan.gpus(),
    params:
        config=plan.block("measure_generation"),
        code=plan.code("measure_generation"),
        machine=plan.machine("benchmarks", "perplexity"),
    shell:
        "python workflow_scripts/measure_generation.py --transcripts {input.transcripts:q}"
        " --model {input.text_model:q} --tokenizer {input.entries:q}"
        " --judgements {input.judgements:q} --measures {output.measures:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"
