"""Benchmarks: scores of every item, and their averages.

Inputs: results/models/{model}/, results/units/{tokeniser}/{corpus}/{shard}.parquet,
    results/speech/{corpus}/{shard}.parquet and its alignments, for the times of words
Outputs: results/scores/{model}/{benchmark}.parquet, results/eval.tsv, results/comparisons.tsv,
    results/submissions/{model}/{task}/{split}.txt, results/continuations/{model}/{benchmark}.parquet
"""


localrules:
    collect_scores,
    write_submission,


rule score_benchmark:
    """Take a model's likelihood of every item of a benchmark."""
    input:
        model="results/models/{model}/model.safetensors",
        units=lambda w: plan.benchmark_units(w.model, w.benchmark),
        speech=lambda w: plan.benchmark_speech(w.model, w.benchmark),
        alignments=lambda w: plan.benchmark_alignments(w.model, w.benchmark),
    output:
        scores="results/scores/{model}/{benchmark}.parquet",
    log:
        "results/logs/score_benchmark/{model}/{benchmark}.log",
    benchmark:
        "results/timings/score_benchmark/{model}/{benchmark}.tsv"
    wildcard_constraints:
        model=plan.names("models", kind="pretrain|align|published"),
        benchmark=plan.names("benchmarks", crossed="False"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=plan.gpus(),
    params:
        config=plan.block("score_benchmark"),
        code=plan.code("score_benchmark"),
        machine=plan.machine("benchmarks", "scoring"),
    shell:
        "python workflow_scripts/score_benchmark.py --model {input.model:q} --units {input.units:q}"
        " --speech {input.speech:q} --alignments {input.alignments:q} --scores {output.scores:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule score_crossing:
    """Take the likelihood of items whose context and ending are speech and text."""
    input:
        model="results/models/{model}/model.safetensors",
        units=lambda w: plan.benchmark_units(w.model, w.benchmark),
        speech=lambda w: plan.benchmark_speech(w.model, w.benchmark),
        alignments=lambda w: plan.benchmark_alignments(w.model, w.benchmark),
        centroids=lambda w: plan.codebook(plan.tokeniser(w.model)),
        tokenizer=lambda w: plan.text_codebook(w.model),
    output:
        scores="results/scores/{model}/{benchmark}.parquet",
    log:
        "results/logs/score_crossing/{model}/{benchmark}.log",
    benchmark:
        "results/timings/score_crossing/{model}/{benchmark}.tsv"
    wildcard_constraints:
        model=plan.names("models", kind="pretrain|align"),
        benchmark=plan.names("benchmarks", crossed="True"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=plan.gpus(),
    params:
        config=plan.block("score_crossing"),
        code=plan.code("score_crossing"),
        machine=plan.machine("benchmarks", "scoring"),
    shell:
        "python workflow_scripts/score_crossing.py --model {input.model:q} --units {input.units:q}"
        " --speech {input.speech:q} --alignments {input.alignments:q}"
        " --centroids {input.centroids:q} --tokenizer {input.tokenizer:q} --scores {output.scores:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule score_ngrams:
    """Take an n-gram model's likelihood of every item of a benchmark."""
    input:
        model="results/models/{model}/model.safetensors",
        units=lambda w: plan.benchmark_units(w.model, w.benchmark),
        speech=lambda w: plan.benchmark_speech(w.model, w.benchmark),
        alignments=lambda w: plan.benchmark_alignments(w.model, w.benchmark),
    output:
        scores="results/scores/{model}/{benchmark}.parquet",
    log:
        "results/logs/score_ngrams/{model}/{benchmark}.log",
    benchmark:
        "results/timings/score_ngrams/{model}/{benchmark}.tsv"
    wildcard_constraints:
        model=plan.names("models", kind="ngram"),
        benchmark=plan.names("benchmarks", crossed="False"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        config=plan.block("score_ngrams"),
        code=plan.code("score_ngrams"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/score_ngrams.py --model {input.model:q} --units {input.units:q}"
        " --speech {input.speech:q} --alignments {input.alignments:q} --scores {output.scores:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule continue_speech:
    """Let a model continue the beginnings of a benchmark's utterances, as units."""
    input:
        model="results/models/{model}/model.safetensors",
        units=lambda w: plan.benchmark_units(w.model, w.benchmark),
        tokeniser=lambda w: plan.codebook(plan.tokeniser(w.model)),
    output:
        continuations="results/continuations/{model}/{benchmark}.parquet",
    log:
        "results/logs/continue_speech/{model}/{benchmark}.log",
    benchmark:
        "results/timings/continue_speech/{model}/{benchmark}.tsv"
    wildcard_constraints:
        model=plan.names("models", kind="pretrain|align|published"),
        benchmark=plan.names("benchmarks", continued="True"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=plan.gpus(),
    params:
        config=plan.block("continue_speech"),
        code=plan.code("continue_speech"),
        machine=plan.machine("benchmarks", "sampling"),
    shell:
        "python workflow_scripts/continue_speech.py --model {input.model:q} --units {input.units:q}"
        " --tokeniser {input.tokeniser:q} --continuations {output.continuations:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule collect_scores:
    """Average the scores: results/eval.tsv, the table of all results."""
    input:
        scores=plan.scores(),
        qualities=plan.qualities(),
        measures=plan.measures(),
        cards=plan.cards(),
    output:
        eval="results/eval.tsv",
        comparisons="results/comparisons.tsv",
    log:
        "results/logs/collect_scores/eval.log",
    benchmark:
        "results/timings/collect_scores/eval.tsv"
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        config=plan.block("collect_scores"),
        code=plan.code("collect_scores"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/collect_scores.py --scores {input.scores:q} --qualities {input.qualities:q}"
        " --measures {input.measures:q} --eval {output.eval:q} --comparisons {output.comparisons:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule write_submission:
    """Write a model's scores as the official evaluation of ZeroSpeech 2021 takes them."""
    input:
        scores=lambda w: plan.submitted(w.model, w.task, w.split),
    output:
        submission="results/submissions/{model}/{task}/{split}.txt",
    log:
        "results/logs/write_submission/{model}/{task}/{split}.log",
    benchmark:
        "results/timings/write_submission/{model}/{task}/{split}.tsv"
    wildcard_constraints:
        task="lexical|syntactic",
        split="dev|test",
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        config=plan.block("write_submission"),
        code=plan.code("write_submission"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/write_submission.py --scores {input.scores:q}"
        " --submission {output.submission:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"
