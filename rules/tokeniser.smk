"""Speech, and its text, to units.

Inputs: results/speech/{corpus}/{shard}.parquet
Outputs: results/huberts/{hubert}/, results/tokenisers/{tokeniser}/,
    results/units/{tokeniser}/{corpus}/{shard}.parquet, results/tokenisers.tsv
"""


rule train_hubert:
    """Train a HuBERT to predict the units of masked frames, launched by DeepSpeed."""
    input:
        speech=lambda w: plan.speech(plan.config.huberts[w.hubert].corpora),
        codebook=lambda w: plan.codebook(plan.targets(w.hubert)),
        hubert=lambda w: plan.hubert(plan.targets(w.hubert)),
        initial=lambda w: plan.initial(w.hubert),
        gate=lambda w: plan.gate(plan.targets(w.hubert)),
    output:
        model="results/huberts/{hubert}/model.safetensors",
        config="results/huberts/{hubert}/config.json",
        preprocessor="results/huberts/{hubert}/preprocessor_config.json",
        training="results/huberts/{hubert}/training.parquet",
        card="results/huberts/{hubert}/card.md",
    log:
        "results/logs/train_hubert/{hubert}.log",
    benchmark:
        "results/timings/train_hubert/{hubert}.tsv"
    wildcard_constraints:
        hubert=plan.names("huberts", trained="True"),
    conda:
        "../envs/slamflow.yaml"
    threads: 8
    resources:
        mem_mb=6000,
        runtime=1440,
        gpu=plan.gpus("huberts"),
        nodes=plan.nodes("huberts"),
        tasks=plan.tasks("huberts"),
        gres=plan.gres("huberts"),
    params:
        config=plan.block("train_hubert"),
        code=plan.code("train_hubert"),
        machine=plan.machine("huberts", "training"),
    shell:
        "python workflow_scripts/train_hubert.py --speech {input.speech:q}"
        " --codebook {input.codebook:q} --hubert {input.hubert:q}"
        " --initial {input.initial:q} --model {output.model:q}"
        " --state results/state/train_hubert/{wildcards.hubert:q} --code {params.code:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule fit_kmeans:
    """Fit the codebook of a tokeniser."""
    input:
        speech=lambda w: plan.speech(plan.config.tokenisers[w.tokeniser].corpora),
        hubert=lambda w: plan.hubert(w.tokeniser),
    output:
        codebook="results/tokenisers/{tokeniser}/kmeans.safetensors",
    log:
        "results/logs/fit_kmeans/{tokeniser}.log",
    benchmark:
        "results/timings/fit_kmeans/{tokeniser}.tsv"
    wildcard_constraints:
        tokeniser=plan.names("tokenisers", features="hubert|mfcc", converted="False"),
    priority: 1  # all units wait for it
    conda:
        "../envs/slamflow.yaml"
    threads: HALF
    resources:
        mem_mb=6000,
        runtime=240,
        gpu=plan.gpus(),
    params:
        config=plan.block("fit_kmeans"),
        code=plan.code("fit_kmeans"),
        machine=plan.machine("tokenisers"),
    shell:
        "python workflow_scripts/fit_kmeans.py --speech {input.speech:q} --hubert {input.hubert:q}"
        " --codebook {output.codebook:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule convert_codebook:
    """Convert the codebook of a tokeniser that was fitted elsewhere."""
    input:
        download=lambda w: plan.converted(w.tokeniser),
        hubert=lambda w: plan.hubert(w.tokeniser),
    output:
        codebook="results/tokenisers/{tokeniser}/kmeans.safetensors",
    log:
        "results/logs/convert_codebook/{tokeniser}.log",
    benchmark:
        "results/timings/convert_codebook/{tokeniser}.tsv"
    wildcard_constraints:
        tokeniser=plan.names("tokenisers", converted="True"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        config=plan.block("convert_codebook"),
        code=plan.code("convert_codebook"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/convert_codebook.py --hubert {input.hubert:q}"
        " --codebook {output.codebook:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule extract_units:
    """Turn a shard of speech into units without repeats."""
    input:
        speech="results/speech/{corpus}/{shard}.parquet",
        codebook="results/tokenisers/{tokeniser}/kmeans.safetensors",
        hubert=lambda w: plan.hubert(w.tokeniser),
    output:
        units="results/units/{tokeniser}/{corpus}/{shard}.parquet",
    log:
        "results/logs/extract_units/{tokeniser}/{corpus}/{shard}.log",
    benchmark:
        "results/timings/extract_units/{tokeniser}/{corpus}/{shard}.tsv"
    wildcard_constraints:
        tokeniser=plan.names("tokenisers", features="hubert|mfcc"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=plan.gpus(),
    params:
        config=plan.block("extract_units"),
        code=plan.code("extract_units"),
        machine=plan.machine("tokenisers"),
    shell:
        "python workflow_scripts/extract_units.py --speech {input.speech:q}"
        " --codebook {input.codebook:q} --hubert {input.hubert:q} --units {output.units:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule measure_quality:
    """Compare the units with the true phones, beside MFCC k-means."""
    input:
        speech=lambda w: plan.speech(plan.config.tokenisers[w.tokeniser].measured),
        fitted=lambda w: plan.speech(plan.config.tokenisers[w.tokeniser].corpora or []),
        codebook="results/tokenisers/{tokeniser}/kmeans.safetensors",
        hubert=lambda w: plan.hubert(w.tokeniser),
        alignments=lambda w: plan.phone_alignments(
            plan.config.tokenisers[w.tokeniser].measured
        ),
    output:
        quality="results/tokenisers/{tokeniser}/quality.json",
        picture="results/tokenisers/{tokeniser}/quality.png",
    log:
        "results/logs/measure_quality/{tokeniser}.log",
    benchmark:
        "results/timings/measure_quality/{tokeniser}.tsv"
    wildcard_constraints:
        tokeniser=plan.names("tokenisers", measured="True"),
    conda:
        "../envs/slamflow.yaml"
    threads: HALF
    resources:
        mem_mb=6000,
        runtime=120,
        gpu=plan.gpus(),
    params:
        config=plan.block("measure_quality"),
        code=plan.code("measure_quality"),
        machine=plan.machine("tokenisers"),
    shell:
        "python workflow_scripts/measure_quality.py --speech {input.speech:q}"
        " --codebook {input.codebook:q} --hubert {input.hubert:q}"
        " --fitted {input.fitted:q} --alignments {input.alignments:q}"
        " --quality {output.quality:q} --picture {output.picture:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule collect_tokenisers:
    """Put the quality of all tokenisers into one table."""
    input:
        qualities=plan.all_qualities(),
    output:
        table="results/tokenisers.tsv",
    log:
        "results/logs/collect_tokenisers/tokenisers.log",
    benchmark:
        "results/timings/collect_tokenisers/tokenisers.tsv"
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        config=plan.block("collect_tokenisers"),
        code=plan.code("collect_tokenisers"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/collect_tokenisers.py --qualities {input.qualities:q}"
        " --table {output.table:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule list_phones:
    """List the phones of a corpus: the units of a topline."""
    input:
        speech=lambda w: plan.speech(plan.config.tokenisers[w.tokeniser].corpora),
    output:
        phones="results/tokenisers/{tokeniser}/phones.json",
    log:
        "results/logs/list_phones/{tokeniser}.log",
    benchmark:
        "results/timings/list_phones/{tokeniser}.tsv"
    wildcard_constraints:
        tokeniser=plan.names("tokenisers", features="phones"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        config=plan.block("list_phones"),
        code=plan.code("list_phones"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/list_phones.py --speech {input.speech:q} --phones {output.phones:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule extract_phones:
    """Turn the known phones of a shard of speech into units."""
    input:
        speech="results/speech/{corpus}/{shard}.parquet",
        phones="results/tokenisers/{tokeniser}/phones.json",
    output:
        units="results/units/{tokeniser}/{corpus}/{shard}.parquet",
    log:
        "results/logs/extract_phones/{tokeniser}/{corpus}/{shard}.log",
    benchmark:
        "results/timings/extract_phones/{tokeniser}/{corpus}/{shard}.tsv"
    wildcard_constraints:
        tokeniser=plan.names("tokenisers", features="phones"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        config=plan.block("extract_phones"),
        code=plan.code("extract_phones"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/extract_phones.py --speech {input.speech:q}"
        " --phones {input.phones:q} --units {output.units:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule train_bpe:
    """Learn a byte-level BPE from the texts of corpora: the units of a model of text."""
    input:
        speech=lambda w: plan.speech(plan.config.tokenisers[w.tokeniser].corpora),
    output:
        tokenizer="results/tokenisers/{tokeniser}/tokenizer.json",
    log:
        "results/logs/train_bpe/{tokeniser}.log",
    benchmark:
        "results/timings/train_bpe/{tokeniser}.tsv"
    wildcard_constraints:
        tokeniser=plan.names("tokenisers", features="bpe"),
    conda:
        "../envs/slamflow.yaml"
    threads: HALF
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        config=plan.block("train_bpe"),
        code=plan.code("train_bpe"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/train_bpe.py --speech {input.speech:q}"
        " --tokenizer {output.tokenizer:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule extract_bpe:
    """Turn the texts of a shard of speech into units."""
    input:
        speech="results/speech/{corpus}/{shard}.parquet",
        tokenizer="results/tokenisers/{tokeniser}/tokenizer.json",
    output:
        units="results/units/{tokeniser}/{corpus}/{shard}.parquet",
    log:
        "results/logs/extract_bpe/{tokeniser}/{corpus}/{shard}.log",
    benchmark:
        "results/timings/extract_bpe/{tokeniser}/{corpus}/{shard}.tsv"
    wildcard_constraints:
        tokeniser=plan.names("tokenisers", features="bpe"),
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        config=plan.block("extract_bpe"),
        code=plan.code("extract_bpe"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/extract_bpe.py --speech {input.speech:q}"
        " --tokenizer {input.tokenizer:q} --units {output.units:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"
