"""Preferences: pairs, the base model's log-probabilities, DPO.

Inputs: results/units/{tokeniser}/{corpus}/{shard}.parquet, results/models/{model}/
Outputs: results/preferences/{tokeniser}/{corpus}.parquet,
    results/references/{model}/{corpus}.parquet, results/models/{model}/
"""


rule build_preferences:
    """Join prompts with their better and worse answers."""
    input:
        units=lambda w: plan.units(w.tokeniser, [w.corpus]),
    output:
        pairs="results/preferences/{tokeniser}/{corpus}.parquet",
    log:
        "results/logs/build_preferences/{tokeniser}/{corpus}.log",
    benchmark:
        "results/timings/build_preferences/{tokeniser}/{corpus}.tsv"
    wildcard_constraints:
        corpus=plan.names("corpora", holds="preferences"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        config=plan.block("build_preferences"),
        code=plan.code("build_preferences"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/build_preferences.py --units {input.units:q} --pairs {output.pairs:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule score_references:
    """Take the base model's log-probabilities of both answers, once."""
    input:
        pairs=lambda w: f"results/preferences/{plan.tokeniser(w.model)}/{w.corpus}.parquet",
        model="results/models/{model}/model.safetensors",
    output:
        references="results/references/{model}/{corpus}.parquet",
    log:
        "results/logs/score_references/{model}/{corpus}.log",
    benchmark:
        "results/timings/score_references/{model}/{corpus}.tsv"
    wildcard_constraints:
        corpus=plan.names("corpora", holds="preferences"),
    priority: 1  # the aligned model waits for it
    conda:
        "../envs/slamflow.yaml"
    threads: HALF
    resources:
        mem_mb=8000,
        runtime=240,
        gpu=plan.gpus(),
    params:
        config=plan.block("score_references"),
        code=plan.code("score_references"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/score_references.py --pairs {input.pairs:q} --model {input.model:q}"
        " --references {output.references:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule align_model:
    """Align a model by direct preference optimisation, launched by DeepSpeed."""
    input:
        pairs=lambda w: f"results/preferences/{plan.tokeniser(w.model)}/{plan.preferences(w.model)}.parquet",
        references=lambda w: f"results/references/{plan.base(w.model)}/{plan.preferences(w.model)}.parquet",
        base=lambda w: plan.model(plan.base(w.model)),
    output:
        model="results/models/{model}/model.safetensors",
        config="results/models/{model}/config.json",
        generation="results/models/{model}/generation_config.json",
        training="results/models/{model}/training.parquet",
        card="results/models/{model}/card.md",
    log:
        "results/logs/align_model/{model}.log",
    benchmark:
        "results/timings/align_model/{model}.tsv"
    wildcard_constraints:
        model=plan.names("models", kind="align"),
    priority: 1  # its scores wait for it
    conda:
        "../envs/slamflow.yaml"
    threads: HALF
    resources:
        mem_mb=8000,
        runtime=720,
        gpu=plan.gpus("models"),
        nodes=plan.nodes("models"),
        tasks=plan.tasks("models"),
        gres=plan.gres("models"),
    params:
        config=plan.block("align_model"),
        code=plan.code("align_model"),
        machine=plan.machine("models", "training"),
    shell:
        "python workflow_scripts/align_model.py --pairs {input.pairs:q} --references {input.references:q}"
        " --base {input.base:q} --model {output.model:q}"
        " --state results/state/align_model/{wildcards.model:q} --code {params.code:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"
