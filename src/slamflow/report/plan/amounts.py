"""How much work a job is, and how much it leaves, in the units that rates are measured in."""

from collections.abc import Callable, Mapping

from slamflow.report.plan import training
from slamflow.report.plan.counts import Counts, Unknown

Names = Mapping[str, str]  # a job's wildcards
Work = Callable[[Counts, Names], float]


def amount(counts: Counts, rule: str, names: Names, unit: str) -> float:
    """How much of `unit` a job of `rule` with the wildcards `names` has.

    Units: job; item; hour (of speech); token (a unit of speech or text); petaflop (10^15
    operations, 6 a weight and token of a training and 2 of a pass); parameter; pair and parameter
    (pairs × the model's weights); frame and unit (frames that a codebook is fitted on × its units);
    gigabyte; budget (seconds of a training that is given hours).

    Raises:
        Unknown: it depends on what is not known, or this unit says nothing of such a job.
    """
    if unit == "job":
        return 1.0
    found = _AMOUNTS.get(rule, {}).get(unit)
    if found is None:
        raise Unknown(f"{unit}s of {rule}")
    return found(counts, names)


def _parameters(counts: Counts, names: Names) -> float:
    return counts.parameters(names["model"])


def _shard(corpus: Work) -> Work:
    """A corpus's amount, parted equally."""

    def part(counts: Counts, names: Names) -> float:
        found = counts.config["corpora"][names["corpus"]]
        return corpus(counts, names) / (found["speech"] or found["source"])["shards"]

    return part


def _features(counts: Counts, names: Names) -> float:
    """Petaflops of a shard's HuBERT; MFCC are next to nothing beside it and count as a job."""
    if counts.config["tokenisers"][names["tokeniser"]]["features"] != "hubert":
        return 0.0
    return _SHARD_HOURS(counts, names) * 3600 * counts.flops(names["tokeniser"]) / 1e15


def _fitted(counts: Counts, names: Names) -> float:
    return sum(map(counts.hours, counts.config["tokenisers"][names["tokeniser"]]["corpora"]))


def _clustered(counts: Counts, names: Names) -> float:
    kmeans = counts.config["tokenisers"][names["tokeniser"]]["kmeans"]
    return float(kmeans["frames"] * kmeans["clusters"])


def _mixture(counts: Counts, names: Names) -> float:
    model = counts.config["models"].get(names.get("model", ""))
    return counts.mixed(model["mixture"] if model else names["mixture"])


def _read(corpus: Callable[[Counts, Names], str]) -> dict[str, Work]:
    """What there is of a corpus that a model reads."""

    def tokens(counts: Counts, names: Names) -> float:
        return counts.tokens(counts.tokeniser(names["model"]), corpus(counts, names))

    def petaflops(counts: Counts, names: Names) -> float:
        return 2 * counts.parameters(names["model"]) * tokens(counts, names) / 1e15

    def items(counts: Counts, names: Names) -> float:
        return counts.items(corpus(counts, names))

    return {"token": tokens, "petaflop": petaflops, "item": items}


def _asked(counts: Counts, names: Names) -> str:
    return str(counts.config["benchmarks"][names["benchmark"]]["corpus"])


def _prompts(counts: Counts, names: Names) -> float:
    drawn = counts.config["benchmarks"][names["benchmark"]]["sampling"]["prompts"]
    return float(drawn or counts.items(_asked(counts, names)))


def _continued(counts: Counts, names: Names) -> float:
    tokens = counts.config["benchmarks"][names["benchmark"]]["sampling"]["new_tokens"]
    return 2 * counts.parameters(names["model"]) * tokens * _prompts(counts, names) / 1e15


def _spoken(counts: Counts, names: Names) -> float:
    """Hours of prompts and what follows them, at most."""
    sampling = counts.config["benchmarks"][names["benchmark"]]["sampling"]
    if sampling["seconds"] is None:
        raise Unknown(f"seconds of a prompt of {names['benchmark']}")
    new = sampling["new_tokens"] / counts.rate(counts.tokeniser(names["model"]))
    return _prompts(counts, names) * float(sampling["seconds"] + new) / 3600


def _corpus_hours(counts: Counts, names: Names) -> float:
    return counts.hours(names["corpus"])


def _corpus_items(counts: Counts, names: Names) -> float:
    return counts.items(names["corpus"])


_SHARD_HOURS = _shard(_corpus_hours)
_SHARD_TOKENS = _shard(lambda counts, names: counts.tokens(names["tokeniser"], names["corpus"]))
_SPEECH: dict[str, Work] = {"hour": _SHARD_HOURS}
_SCORES = _read(_asked)
_MODEL: dict[str, Work] = {"parameter": _parameters, "budget": training.budget}

_AMOUNTS: dict[str, dict[str, Work]] = {
    "fetch_download": {"gigabyte": lambda counts, names: counts.gigabytes(names["download"])},
    "generate_text": {"item": _corpus_items},
    "read_text": {"item": _corpus_items},
    "synthesise_speech": _SPEECH,
    "cut_audio": _SPEECH,
    "align_speech": _SPEECH,
    "train_hubert": {"petaflop": training.masked, "budget": training.budget},
    "fit_kmeans": {"frame and unit": _clustered},
    "measure_quality": {
        "item": lambda counts, names: float(
            counts.config["tokenisers"][names["tokeniser"]]["quality"]["utterances"]
        )
    },
    "extract_units": {**_SPEECH, "petaflop": _features, "token": _SHARD_TOKENS},
    "extract_phones": _SPEECH,
    "extract_bpe": _SPEECH,
    "list_phones": {"hour": _fitted},
    "train_bpe": {"hour": _fitted},
    "pack_mixture": {"token": _mixture},
    "interleave_mixture": {"token": _mixture},
    "count_ngrams": {"token": _mixture},
    "pretrain_model": {**_MODEL, "petaflop": training.pretraining},
    "align_model": {
        **_MODEL,
        "petaflop": training.preferring,
        "pair and parameter": training.pairs_and_parameters,
    },
    "train_vocoder": {"budget": training.budget},
    "convert_model": {"parameter": _parameters},
    "build_preferences": {"hour": _corpus_hours},
    "score_references": _read(lambda counts, names: names["corpus"]),
    "score_benchmark": _SCORES,
    "score_crossing": _SCORES,
    "score_ngrams": _SCORES,
    "continue_speech": {"petaflop": _continued, "item": _prompts},
    "vocode_units": {"hour": _spoken},
    "resynthesise_speech": {"hour": _corpus_hours},
    "transcribe_speech": {"hour": _spoken},
    "judge_transcripts": {"item": _prompts},
    "measure_generation": {"item": _prompts},
}
