"""Vocoders: training, conversion, and the speech that they make of units.

Inputs: results/units/{tokeniser}/{corpus}/{shard}.parquet,
    results/continuations/{model}/{benchmark}.parquet, the tokeniser's codebook
Outputs: results/vocoders/{vocoder}/, results/voices/{vocoder}/{model}/{benchmark}.parquet,
    results/resyntheses/{vocoder}/{corpus}.parquet
"""


rule train_vocoder:
    """Train a vocoder on speech and its units, launched by DeepSpeed."""
    input:
        units=lambda w: plan.vocoder_units(w.vocoder),
        speech=lambda w: plan.vocoder_speech(w.vocoder),
        pace=lambda w: plan.vocoder_pace(w.vocoder),
        codebook=lambda w: plan.codebook(plan.config.vocoders[w.vocoder].tokeniser),
    output:
        model="results/vocoders/{vocoder}/model.safetensors",
        config="results/vocoders/{vocoder}/config.json",
        training="results/vocoders/{vocoder}/training.parquet",
        card="results/vocoders/{vocoder}/card.md",
    log:
        "results/logs/train_vocoder/{vocoder}.log",
    benchmark:
        "results/timings/train_vocoder/{vocoder}.tsv"
    wildcard_constraints:
        vocoder=plan.names("vocoders", trained="True"),
    conda:
        "../envs/slamflow.yaml"
    threads: 8
    resources:
        mem_mb=6000,
        runtime=1440,  # many a cluster's longest; it goes on in its next job
        gpu=plan.gpus("vocoders"),
        nodes=plan.nodes("vocoders"),
        tasks=plan.tasks("vocoders"),
        gres=plan.gres("vocoders"),
    params:
        config=plan.block("train_vocoder"),
        code=plan.code("train_vocoder"),
        machine=plan.machine("vocoders", "training"),
    shell:
        "python workflow_scripts/train_vocoder.py --units {input.units:q} --speech {input.speech:q}"
        " --pace {input.pace:q} --codebook {input.codebook:q} --model {output.model:q}"
        " --state results/state/train_vocoder/{wildcards.vocoder:q} --code {params.code:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule convert_vocoder:
    """Convert a released Code-HiFi-GAN; nothing in its files is run."""
    input:
        download=lambda w: plan.released(w.vocoder),
    output:
        model="results/vocoders/{vocoder}/model.safetensors",
        config="results/vocoders/{vocoder}/config.json",
    log:
        "results/logs/convert_vocoder/{vocoder}.log",
    benchmark:
        "results/timings/convert_vocoder/{vocoder}.tsv"
    wildcard_constraints:
        vocoder=plan.names("vocoders", kind="released"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        config=plan.block("convert_vocoder"),
        code=plan.code("convert_vocoder"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/convert_vocoder.py --model {output.model:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule vocode_units:
    """Speak prompts and how a model goes on after them."""
    input:
        units="results/continuations/{model}/{benchmark}.parquet",
        vocoder=lambda w: plan.vocoder(w.vocoder),
        codebook=lambda w: plan.codebook(plan.tokeniser(w.model)),
    output:
        speech="results/voices/{vocoder}/{model}/{benchmark}.parquet",
    log:
        "results/logs/vocode_units/{vocoder}/{model}/{benchmark}.log",
    benchmark:
        "results/timings/vocode_units/{vocoder}/{model}/{benchmark}.tsv"
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=plan.gpus(),
    params:
        config=plan.block("vocode_units"),
        code=plan.code("vocode_units"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/vocode_units.py --units {input.units:q}"
        " --vocoder {input.vocoder:q} --codebook {input.codebook:q} --speech {output.speech:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule resynthesise_speech:
    """Speak a corpus from its own units, as long as they lasted."""
    input:
        units=lambda w: plan.units(
            plan.config.vocoders[w.vocoder].tokeniser, [w.corpus]
        ),
        vocoder=lambda w: plan.vocoder(w.vocoder),
        codebook=lambda w: plan.codebook(plan.config.vocoders[w.vocoder].tokeniser),
    output:
        speech="results/resyntheses/{vocoder}/{corpus}.parquet",
    log:
        "results/logs/resynthesise_speech/{vocoder}/{corpus}.log",
    benchmark:
        "results/timings/resynthesise_speech/{vocoder}/{corpus}.tsv"
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=plan.gpus(),
    params:
        config=plan.block("resynthesise_speech"),
        code=plan.code("resynthesise_speech"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/resynthesise_speech.py --units {input.units:q}"
        " --vocoder {input.vocoder:q} --codebook {input.codebook:q} --speech {output.speech:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule measure_vocoder:
    """Measure how well a vocoder is understood: by the tokeniser, and by pocketsphinx."""
    input:
        speech=lambda w: plan.speech(plan.measured(w.vocoder)),
        units=lambda w: plan.units(
            plan.config.vocoders[w.vocoder].tokeniser, plan.measured(w.vocoder)
        ),
        text=lambda w: plan.speech(plan.config.vocoders[w.vocoder].quality.text),
        vocoder=lambda w: plan.vocoder(w.vocoder),
        codebook=lambda w: plan.codebook(plan.config.vocoders[w.vocoder].tokeniser),
        hubert=lambda w: plan.hubert(plan.config.vocoders[w.vocoder].tokeniser),
    output:
        quality="results/vocoders/{vocoder}/quality.json",
    log:
        "results/logs/measure_vocoder/{vocoder}.log",
    benchmark:
        "results/timings/measure_vocoder/{vocoder}.tsv"
    wildcard_constraints:
        vocoder=plan.names("vocoders", measured="True"),
    conda:
        "../envs/slamflow.yaml"
    threads: HALF
    resources:
        mem_mb=6000,
        runtime=240,
        gpu=plan.gpus(),
    params:
        config=plan.block("measure_vocoder"),
        code=plan.code("measure_vocoder"),
        machine=plan.machine("vocoders", "quality"),
    shell:
        "python workflow_scripts/measure_vocoder.py --speech {input.speech:q}"
        " --units {input.units:q} --text {input.text:q} --vocoder {input.vocoder:q}"
        " --codebook {input.codebook:q} --hubert {input.hubert:q} --quality {output.quality:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"
