"""Language models of units, of text, of both, n-gram baselines, and models that others published.

Inputs: results/units/{tokeniser}/{corpus}/{shard}.parquet, the tokeniser's codebook; of an
    interleaved mixture also results/speech/{corpus}/{shard}.parquet for its words
Outputs: results/packed/{mixture}.parquet, results/models/{model}/
"""


rule pack_mixture:
    """Pack the documents of a mixture into full training rows."""
    input:
        units=lambda w: plan.mixture_units(w.mixture),
        codebook=lambda w: plan.codebook(plan.config.mixtures[w.mixture].tokeniser),
    output:
        packed="results/packed/{mixture}.parquet",
    log:
        "results/logs/pack_mixture/{mixture}.log",
    benchmark:
        "results/timings/pack_mixture/{mixture}.tsv"
    wildcard_constraints:
        mixture=plan.names("mixtures", interleaved="False"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        # 2 to 3 bytes a token and some 400 a document; in the tables a token has one at least
        mem_mb=lambda w, input: 8000 + 4 * megabytes(*input.units),
        runtime=120,
    params:
        config=plan.block("pack_mixture"),
        code=plan.code("pack_mixture"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/pack_mixture.py --units {input.units:q}"
        " --codebook {input.codebook:q} --packed {output.packed:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule interleave_mixture:
    """Pack speech, text, and documents in which both take turns into full training rows."""
    input:
        units=lambda w: plan.mixture_units(w.mixture),
        text=lambda w: plan.mixture_text(w.mixture),
        speech=lambda w: plan.speech(plan.config.mixtures[w.mixture].corpora),
        alignments=lambda w: plan.word_alignments(
            plan.config.mixtures[w.mixture].corpora
        ),
        codebook=lambda w: plan.codebook(plan.config.mixtures[w.mixture].tokeniser),
        tokenizer=lambda w: plan.codebook(plan.config.mixtures[w.mixture].text),
    output:
        packed="results/packed/{mixture}.parquet",
    log:
        "results/logs/interleave_mixture/{mixture}.log",
    benchmark:
        "results/timings/interleave_mixture/{mixture}.tsv"
    wildcard_constraints:
        mixture=plan.names("mixtures", interleaved="True"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        # as for pack_mixture, of speech, text and both in turn, and of up to 4 bytes a token
        mem_mb=lambda w, input: 8000 + 8 * megabytes(*input.units, *input.text),
        runtime=120,
    params:
        config=plan.block("interleave_mixture"),
        code=plan.code("interleave_mixture"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/interleave_mixture.py --units {input.units:q} --text {input.text:q}"
        " --speech {input.speech:q} --alignments {input.alignments:q} --codebook {input.codebook:q}"
        " --tokenizer {input.tokenizer:q} --packed {output.packed:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule pretrain_model:
    """Train a language model of units, launched by DeepSpeed."""
    input:
        packed=lambda w: f"results/packed/{plan.mixture(w.model)}.parquet",
        initial=lambda w: plan.initial_model(w.model),
    output:
        model="results/models/{model}/model.safetensors",
        config="results/models/{model}/config.json",
        generation="results/models/{model}/generation_config.json",
        training="results/models/{model}/training.parquet",
        card="results/models/{model}/card.md",
    log:
        "results/logs/pretrain_model/{model}.log",
    benchmark:
        "results/timings/pretrain_model/{model}.tsv"
    wildcard_constraints:
        model=plan.names("models", kind="pretrain"),
    conda:
        "../envs/slamflow.yaml"
    threads: 8
    resources:
        # in each rank 2 bytes and a bit a token, one in the file, and the weights to start from
        mem_mb=lambda w, input: 5000
        + plan.ranks("models")(w)
        * (3000 + 3 * megabytes(input.packed, *input.initial)),
        runtime=1440,  # many a cluster's longest; it goes on in its next job
        gpu=plan.gpus("models"),
        nodes=plan.nodes("models"),
        tasks=plan.tasks("models"),
        gres=plan.gres("models"),
    params:
        config=plan.block("pretrain_model"),
        code=plan.code("pretrain_model"),
        machine=plan.machine("models", "training"),
    shell:
        "python workflow_scripts/pretrain_model.py --packed {input.packed:q} --initial {input.initial:q}"
        " --model {output.model:q}"
        " --state results/state/pretrain_model/{wildcards.model:q} --code {params.code:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule convert_model:
    """Convert a model of units that others published."""
    input:
        download=lambda w: plan.published(w.model),
        codebook=lambda w: plan.codebook(plan.tokeniser(w.model)),
    output:
        model="results/models/{model}/model.safetensors",
        config="results/models/{model}/config.json",
        generation="results/models/{model}/generation_config.json",
        training="results/models/{model}/training.parquet",
        card="results/models/{model}/card.md",
    log:
        "results/logs/convert_model/{model}.log",
    benchmark:
        "results/timings/convert_model/{model}.tsv"
    wildcard_constraints:
        model=plan.names("models", kind="published"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        config=plan.block("convert_model"),
        code=plan.code("convert_model"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/convert_model.py --codebook {input.codebook:q}"
        " --model {output.model:q} --code {params.code:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule count_ngrams:
    """Count the units of a mixture: a baseline without a network."""
    input:
        packed=lambda w: f"results/packed/{plan.mixture(w.model)}.parquet",
    output:
        model="results/models/{model}/model.safetensors",
        config="results/models/{model}/config.json",
    log:
        "results/logs/count_ngrams/{model}.log",
    benchmark:
        "results/timings/count_ngrams/{model}.tsv"
    wildcard_constraints:
        model=plan.names("models", kind="ngram"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        # see pretrain_model
        mem_mb=lambda w, input: 4000 + 3 * megabytes(input.packed),
        runtime=60,
    params:
        config=plan.block("count_ngrams"),
        code=plan.code("count_ngrams"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/count_ngrams.py --packed {input.packed:q} --model {output.model:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"
