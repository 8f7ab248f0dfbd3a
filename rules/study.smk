"""The study: questions that models answer which differ in one thing.

Inputs: results/scores/{model}/{benchmark}.parquet, results/models/{model}/training.parquet
Outputs: results/study/{question}.tsv, results/study.tsv, results/study.html
"""


localrules:
    answer_question,
    collect_study,
    draw_study,


rule answer_question:
    """Compare the arms of a question, over seeds and items."""
    input:
        scores=lambda w: plan.question_scores(w.question),
        trainings=lambda w: plan.question_trainings(w.question),
    output:
        answer="results/study/{question}.tsv",
    log:
        "results/logs/answer_question/{question}.log",
    benchmark:
        "results/timings/answer_question/{question}.tsv"
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=plan.block("answer_question"),
        code=plan.code("answer_question"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/answer_question.py --scores {input.scores:q}"
        " --trainings {input.trainings:q} --answer {output.answer:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule collect_study:
    """Put the answers to all questions into one table."""
    input:
        answers=plan.answers,
    output:
        table="results/study.tsv",
    log:
        "results/logs/collect_study/study.log",
    benchmark:
        "results/timings/collect_study/study.tsv"
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        config=plan.block("collect_study"),
        code=plan.code("collect_study"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/collect_study.py --answers {input.answers:q} --table {output.table:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"


rule draw_study:
    """Draw the answers: one page, a row a question and a panel a benchmark."""
    input:
        table="results/study.tsv",
        templates=plan.templates("report/study_templates"),
        style="src/slamflow/report/page/templates/style.css",
    output:
        page="results/study.html",
    log:
        "results/logs/draw_study/study.log",
    benchmark:
        "results/timings/draw_study/study.tsv"
    conda:
        "../envs/slamflow.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        config=plan.block("draw_study"),
        code=plan.code("draw_study"),
        machine=plan.machine(),
    shell:
        "python workflow_scripts/draw_study.py --table {input.table:q} --page {output.page:q}"
        " --config {params.config:q} --machine {params.machine:q} --log {log:q}"
