"""What the time and the files of a stage grow by, and what else its rates depend on."""

from collections.abc import Mapping
from typing import Any

# By what the time of each stage grows, in the order of the workflow; `job`: a start a job.
GROWS = {
    "fetch_download": "gigabyte",
    "list_source": "job",
    "generate_text": "item",
    "read_text": "item",
    "synthesise_speech": "hour",
    "cut_audio": "hour",
    "align_speech": "hour",
    "train_hubert": "petaflop",
    "fit_kmeans": "frame and unit",
    "convert_codebook": "job",
    "measure_quality": "item",
    "collect_tokenisers": "job",
    "extract_units": "petaflop",
    "list_phones": "hour",
    "extract_phones": "hour",
    "train_bpe": "hour",
    "extract_bpe": "hour",
    "pack_mixture": "token",
    "interleave_mixture": "token",
    "pretrain_model": "petaflop",
    "convert_model": "parameter",
    "count_ngrams": "token",
    "build_preferences": "hour",
    "score_references": "petaflop",
    "align_model": "petaflop",
    "score_benchmark": "petaflop",
    "score_ngrams": "token",
    "score_crossing": "petaflop",
    "continue_speech": "petaflop",
    "write_submission": "job",
    "train_vocoder": "job",
    "convert_vocoder": "job",
    "measure_vocoder": "job",
    "vocode_units": "hour",
    "resynthesise_speech": "hour",
    "transcribe_speech": "hour",
    "judge_transcripts": "item",
    "measure_generation": "item",
    "collect_scores": "job",
    "write_report": "job",
    "answer_question": "job",
    "collect_study": "job",
    "draw_study": "job",
}
# By what its files grow, where that is something else.
STORED = {
    "extract_units": "token",
    "train_hubert": "job",
    "pretrain_model": "parameter",
    "align_model": "parameter",
    "score_references": "item",
    "score_benchmark": "item",
    "score_crossing": "item",
    "score_ngrams": "item",
    "continue_speech": "item",
}


def engine(config: Mapping[str, Any], rule: str, names: Mapping[str, str]) -> str:
    """What a stage's rates depend on beside its rule, e.g. who speaks; empty where nothing."""
    if rule in ("generate_text", "read_text", "list_source", "cut_audio"):
        source = config["corpora"][names["corpus"]]["source"]
        return str(source["content"] if source["kind"] == "generated" else source["kind"])
    if rule == "synthesise_speech":
        voice = config["corpora"][names["corpus"]]["speech"]["synthesiser"]
        return str(config["synthesisers"][voice]["engine"])
    if rule == "align_speech":
        return str(config["corpora"][names["corpus"]]["alignment"]["engine"])
    if rule in ("extract_units", "fit_kmeans", "measure_quality"):
        return str(config["tokenisers"][names["tokeniser"]]["features"])
    if rule in ("train_vocoder", "vocode_units", "resynthesise_speech", "measure_vocoder"):
        return str(config["vocoders"][names["vocoder"]]["kind"])
    if rule == "transcribe_speech":
        return str(config["benchmarks"][names["benchmark"]]["transcription"]["engine"])
    if rule == "measure_generation":
        reader = config["benchmarks"][names["benchmark"]]["perplexity"]
        return "" if reader is None else "trained" if reader["lm"] else "published"
    return ""
