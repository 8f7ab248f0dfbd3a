"""Likelihoods: batched scores against a plain computation, one utterance at a time in float64."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import small_models
import torch
from transformers import Qwen2ForCausalLM

from slamflow import files
from slamflow.benchmarks import scoring
from slamflow.lm import saved
from slamflow.lm.vocabulary import Interleaved
from slamflow.tables import scores as scores_table
from slamflow.tables import units as units_table

UNITS = 20


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("models") / "small", UNITS + 2)


@pytest.fixture(scope="module")
def interleaved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of units, 40 entries of text, and two markers."""
    folder = tmp_path_factory.mktemp("models") / "interleaved"
    return small(folder, Interleaved(UNITS, 40).size, units=UNITS)


def small(folder: Path, vocabulary: int, **settings: int) -> Path:
    small_models.qwen2(vocabulary, 0.3, **settings).save_pretrained(folder)
    return folder


def units_file(path: Path, units: list[list[int]], first: int = 0) -> Path:
    count = len(units)
    columns = {
        "id": [f"u{first + index}" for index in range(count)],
        "item": [f"item-{(first + index) // 2}" for index in range(count)],
        "role": ["positive" if index % 2 == 0 else "negative" for index in range(count)],
        "group": ["g"] * count,
        "rendition": [0] * count,
        "speaker": ["en-us"] * count,
        "duration": [1.0] * count,
        "units": units,
        "durations": [[1] * len(each) for each in units],
    }
    files.write_table(pa.table(columns, schema=units_table.SCHEMA), path, units_table.SCHEMA)
    return path


def drawn(count: int, seed: int = 0) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    return [
        generator.integers(UNITS, size=generator.integers(1, 40)).tolist() for _ in range(count)
    ]


def plainly(
    model: Path, units: list[int], among: int | None = None
) -> tuple[float, int, float, float]:
    network = Qwen2ForCausalLM.from_pretrained(model).double().eval()
    tokens = torch.tensor([[1, *(unit + 2 for unit in units), 1]])
    with torch.no_grad():
        probabilities = network(tokens).logits[0, :, :among].log_softmax(-1)
    terms = [-probabilities[place, tokens[0, place + 1]].item() for place in range(len(units) + 1)]
    return sum(terms), len(terms), terms[0], terms[-1]


def test_same_as_one_at_a_time_in_float64(model: Path, tmp_path: Path) -> None:
    units = [*drawn(24), []]
    output = tmp_path / "scores.parquet"
    scoring.score({}, model, [units_file(tmp_path / "u.parquet", units)], output, {"device": "cpu"})
    rows = files.read_table(output, scores_table.SCHEMA).to_pylist()
    assert [row["id"] for row in rows] == [f"u{index}" for index in range(25)]
    for row, spoken in zip(rows, units, strict=True):
        nll, tokens, first, end = plainly(model, spoken)
        assert row["tokens"] == tokens == len(spoken) + 1
        assert row["nll"] == pytest.approx(nll, rel=1e-5)
        assert row["end_nll"] == pytest.approx(end, rel=1e-4, abs=1e-5)
        if spoken:
            assert row["first_nll"] == pytest.approx(first, rel=1e-4, abs=1e-5)
    assert rows[-1]["first_nll"] is None  # there is no first unit
    assert rows[-1]["nll"] == rows[-1]["end_nll"]


@pytest.mark.parametrize("modality", ["all", "units"])
def test_modality_decides_among_which_ids(interleaved: Path, tmp_path: Path, modality: str) -> None:
    units = [*drawn(12), []]
    output = tmp_path / "scores.parquet"
    path = units_file(tmp_path / "u.parquet", units)
    scoring.score({"modality": modality}, interleaved, [path], output, {"device": "cpu"})
    rows = files.read_table(output, scores_table.SCHEMA).to_pylist()
    among = UNITS + 2 if modality == "units" else None
    assert {(row["start"], row["modality"]) for row in rows} == {("<S>", modality)}
    for row, spoken in zip(rows, units, strict=True):
        nll, tokens, first, end = plainly(interleaved, spoken, among)
        assert row["tokens"] == tokens
        assert row["nll"] == pytest.approx(nll, rel=1e-5)
        assert row["end_nll"] == pytest.approx(end, rel=1e-4, abs=1e-5)
        if spoken:
            assert row["first_nll"] == pytest.approx(first, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("start", ["bos", "eos", "none"])
def test_start_token_and_ids_of_another_layout(tmp_path: Path, start: str) -> None:
    """Units from 0, then EOS, BOS and padding."""
    ids = {"unit_offset": 0, "end": UNITS, "boundary": UNITS + 1, "pad": UNITS + 2, "units": UNITS}
    model = small(tmp_path / "other", UNITS + 3, **ids)
    units, output = drawn(12), tmp_path / "scores.parquet"
    path = units_file(tmp_path / "u.parquet", units)
    scoring.score({"start": start}, model, [path], output, {"device": "cpu"})
    network = Qwen2ForCausalLM.from_pretrained(model).double().eval()
    before = {"bos": [UNITS + 1], "eos": [UNITS], "none": []}[start]
    for row, spoken in zip(
        files.read_table(output, scores_table.SCHEMA).to_pylist(), units, strict=True
    ):
        tokens = torch.tensor([[*before, *spoken, UNITS]])
        with torch.no_grad():
            chances = network(tokens).logits[0].log_softmax(-1)
        terms = [-chances[at, token].item() for at, token in enumerate(tokens[0, 1:])]
        assert (row["start"], row["modality"], row["tokens"]) == (start, "all", len(terms))
        assert row["nll"] == pytest.approx(sum(terms), rel=1e-5)
        assert row["end_nll"] == pytest.approx(terms[-1], rel=1e-4, abs=1e-5)
        first = None if start == "none" else pytest.approx(terms[0], rel=1e-4, abs=1e-5)
        assert row["first_nll"] == first
        assert row["prompt_nll"] is row["prompt_tokens"] is None


def test_without_start_token_there_must_be_units(model: Path, tmp_path: Path) -> None:
    path = units_file(tmp_path / "u.parquet", [[1], []])
    with pytest.raises(ValueError, match=r"u\.parquet: row 1 \(`u1`\) has no units"):
        scoring.score({"start": "none"}, model, [path], tmp_path / "out.parquet", {})


def test_modality_of_a_model_that_knows_only_units(model: Path, tmp_path: Path) -> None:
    path = units_file(tmp_path / "u.parquet", drawn(5))
    with pytest.raises(ValueError, match=r"small/config\.json: does not say how many `units`"):
        scoring.score({"modality": "units"}, model, [path], tmp_path / "a.parquet", {})
    network = Qwen2ForCausalLM.from_pretrained(model)
    network.config.units = UNITS
    network.save_pretrained(tmp_path / "told")
    for modality in ("all", "units"):
        output = tmp_path / modality
        scoring.score({"modality": modality}, tmp_path / "told", [path], output, {"device": "cpu"})
    one, other = (files.read_table(tmp_path / m, scores_table.SCHEMA) for m in ("all", "units"))
    assert one.equals(other)


def test_a_unit_that_would_be_text(interleaved: Path, tmp_path: Path) -> None:
    path = units_file(tmp_path / "bad.parquet", [[1, UNITS]])
    with pytest.raises(ValueError, match="has unit 20, but interleaved knows only 20 units"):
        scoring.score({}, interleaved, [path], tmp_path / "out.parquet", {})


@pytest.mark.parametrize("budget", [1, 64, 100_000])
def test_batch_size_does_not_matter(model: Path, budget: int) -> None:
    network = saved.load(model)
    sequences = sorted((np.array([1, *(u + 2 for u in each), 1]) for each in drawn(30)), key=len)
    together = scoring.likelihoods(network, sequences, 512)
    other = scoring.likelihoods(network, sequences, budget)
    for name in ("total", "first", "end"):
        np.testing.assert_allclose(getattr(other, name), getattr(together, name), rtol=2e-5)


def test_shards_and_order_of_rows_do_not_matter_at_all(model: Path, tmp_path: Path) -> None:
    units = drawn(20)
    whole = units_file(tmp_path / "whole.parquet", units)
    parts = [
        units_file(tmp_path / "1.parquet", units[:7]),
        units_file(tmp_path / "2.parquet", units[7:], first=7),
    ]
    scored = []
    for name, paths in (("a", [whole]), ("b", parts), ("c", parts[::-1])):
        scoring.score({"start": "bos"}, model, paths, tmp_path / name, {"device": "cpu"})
        table = files.read_table(tmp_path / name, scores_table.SCHEMA)
        scored.append({row["id"]: row["nll"] for row in table.to_pylist()})
    assert scored[0] == scored[1] == scored[2]


def test_equal_utterances_tie_exactly(model: Path, tmp_path: Path) -> None:
    units = drawn(30)
    path = units_file(tmp_path / "u.parquet", [*units, *units])
    machine = {"device": "cpu", "micro_batch": 90}
    scoring.score({}, model, [path], tmp_path / "scores.parquet", machine)
    nll = files.read_table(tmp_path / "scores.parquet", scores_table.SCHEMA)["nll"].to_pylist()
    assert nll[:30] == nll[30:]


def test_batches_keep_the_budget_and_everything() -> None:
    lengths = np.random.default_rng(0).integers(2, 60, size=200).tolist()
    found = list(scoring.batches(lengths, 100))
    assert sorted(index for batch in found for index in batch) == list(range(200))
    assert all(max(lengths[i] for i in batch) * len(batch) <= 100 for batch in found)
    assert list(scoring.batches([500], 100)) == [[0]]


def test_unknown_unit_names_file_and_row(model: Path, tmp_path: Path) -> None:
    path = units_file(tmp_path / "bad.parquet", [[1, 2], [3, UNITS]])
    with pytest.raises(ValueError, match=r"bad\.parquet: row 1 \(`u1`\) has unit 20, but small"):
        scoring.score({}, model, [path], tmp_path / "out.parquet", {})
    assert not (tmp_path / "out.parquet").exists()


def test_double_id_is_an_error(model: Path, tmp_path: Path) -> None:
    path = units_file(tmp_path / "u.parquet", drawn(3))
    with pytest.raises(ValueError, match="`u0` occurs twice"):
        scoring.score({}, model, [path, path], tmp_path / "out.parquet", {})


def test_likelihood_that_is_not_finite_names_model_and_id(model: Path, tmp_path: Path) -> None:
    network = Qwen2ForCausalLM.from_pretrained(model)
    with torch.no_grad():
        network.model.embed_tokens.weight[7] = torch.inf
    network.save_pretrained(tmp_path / "broken")
    path = units_file(tmp_path / "u.parquet", [[1, 2, 3], [4, 5, 6]])
    with pytest.raises(ValueError, match="broken: the likelihood of `u"):
        scoring.score({}, tmp_path / "broken", [path], tmp_path / "out.parquet", {})


def test_other_start_token_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="start is 'sos' and must be one of bos, eos, none"):
        scoring.score({"start": "sos"}, model, [], tmp_path / "out.parquet", {})


def test_other_modality_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="modality is 'text' and must be one of all, units"):
        scoring.score({"modality": "text"}, model, [], tmp_path / "out.parquet", {})
