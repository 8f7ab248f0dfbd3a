"""Continuations: batched, with caches, against a plain computation of one token after the other."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import small_models
import torch
from scipy import stats
from small_models import CONTEXT
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    Qwen2ForCausalLM,
    set_seed,
)

from slamflow import files
from slamflow.lm import continuing, generation, shares
from slamflow.lm.generation import Sampling
from slamflow.lm.vocabulary import Interleaved, layout
from slamflow.tables import continuations as continuations_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import codebook

UNITS = 20
MANY = 10**6  # tokens: all prompts in one batch
PUBLISHED = {"units": UNITS, "unit_offset": 0, "boundary": UNITS, "end": UNITS, "pad": UNITS + 1}


def qwen2(vocabulary: int = UNITS + 2, **settings: int) -> PreTrainedModel:
    return small_models.qwen2(vocabulary, 0.15, **settings)


def gpt2() -> PreTrainedModel:
    """Its positions are learned: there are none after the context's end."""
    set_seed(0)
    config = GPT2Config(
        vocab_size=UNITS + 2,
        n_positions=CONTEXT,
        n_embd=32,
        n_layer=2,
        n_head=4,
        initializer_range=0.3,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    return GPT2LMHeadModel(config).eval()


MODELS = {
    "qwen2": qwen2,
    "gpt2": gpt2,
    "published": lambda: qwen2(**PUBLISHED),
    "interleaved": lambda: qwen2(Interleaved(UNITS, 40).size, units=UNITS),
}


@pytest.fixture(scope="module", params=MODELS)
def network(request: pytest.FixtureRequest) -> PreTrainedModel:
    return MODELS[request.param]()


def prompts(count: int = 8) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    return {
        f"u{index}": generator.integers(UNITS, size=3 * index).astype(np.uint16)
        for index in range(count)
    }


def plainly(
    network: PreTrainedModel, name: str, prompt: np.ndarray, sampling: Sampling
) -> tuple[list[int], bool]:
    """One token after the other in float64, each from a pass over all tokens before it."""
    ids, exact = layout(network.config), network.double()
    numbers = shares.generator(sampling.seed, name).random(sampling.new_tokens)
    tokens = [ids.start, *(int(unit) + ids.offset for unit in prompt)]
    units: list[int] = []
    for number in numbers:
        with torch.no_grad():
            logits = exact(torch.tensor([tokens])).logits[0, -1].numpy().copy()
        chances = probabilities(logits, tokens, [*units_of(ids), ids.end], sampling)
        token = int(np.flatnonzero(chances.cumsum() > number)[0])
        if token == ids.end:
            break
        tokens.append(token)
        units.append(token - ids.offset)
    network.float()
    return units, len(units) < sampling.new_tokens


def units_of(ids: Any) -> range:
    return range(ids.offset, ids.offset + ids.units)


def probabilities(
    logits: np.ndarray, seen: list[int], allowed: list[int], sampling: Sampling
) -> np.ndarray:
    for token in set(seen):
        logits[token] *= sampling.penalty if logits[token] < 0 else 1 / sampling.penalty
    best = sorted(allowed, key=lambda token: -logits[token])[: sampling.top_k or None]
    if not sampling.temperature:
        return (np.arange(len(logits)) == best[0]).astype(float)
    powers = np.exp((logits[best] - logits[best[0]]) / sampling.temperature)
    chances = powers / powers.sum()
    enough = int(np.flatnonzero(chances.cumsum() >= sampling.top_p - 1e-12)[0]) + 1
    found = np.zeros(len(logits))
    found[best[:enough]] = chances[:enough] / chances[:enough].sum()
    return found


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(30, 0.8, 5, 1.0, 1.0, seed=1),
        Sampling(30, 1.3, None, 0.7, 1.0, seed=2),
        Sampling(30, 0.8, 10, 0.9, 1.5, seed=3),
        Sampling(30, 1.0, None, 1.0, 0.7, seed=4),
        Sampling(30, 0, 25),
    ],
    ids=["top_k", "top_p", "penalty", "reward", "greedy"],
)
def test_same_as_token_by_token_in_float64(network: PreTrainedModel, sampling: Sampling) -> None:
    given = prompts()
    found = generation.extend(network, given, sampling, MANY)
    assert list(found) == list(given)
    for name, prompt in given.items():
        units, finished = plainly(network, name, prompt, sampling)
        assert (found[name].units.tolist(), found[name].finished) == (units, finished)


def test_continuation_does_not_depend_on_its_batch(network: PreTrainedModel) -> None:
    given, sampling = prompts(), Sampling(40, 1.0, None)
    together = generation.extend(network, given, sampling, MANY)
    for budget, names in ((1, list(given)[::-1]), (150, list(given)), (MANY, ["u5", "u2"])):
        apart = generation.extend(network, {n: given[n] for n in names}, sampling, budget)
        assert list(apart) == names
        for name in names:
            assert apart[name].units.tolist() == together[name].units.tolist()
            assert apart[name].finished == together[name].finished


@pytest.mark.parametrize("temperature", [0, 1e-6])
def test_cold_is_what_transformers_generates_greedily(
    network: PreTrainedModel, temperature: float
) -> None:
    given, ids = prompts(), layout(network.config)
    found = generation.extend(network, given, Sampling(30, temperature), MANY)
    allowed = {*units_of(ids), ids.end}
    for name, prompt in given.items():
        tokens = torch.tensor([[ids.start, *(prompt.astype(int) + ids.offset).tolist()]])
        made = network.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            do_sample=False,
            max_new_tokens=30,
            eos_token_id=ids.end,
            pad_token_id=ids.pad,
            suppress_tokens=[i for i in range(network.config.vocab_size) if i not in allowed],
        )[0, tokens.shape[1] :].tolist()
        assert found[name].finished == (made[-1] == ids.end)
        assert found[name].units.tolist() == [t - ids.offset for t in made if t != ids.end]


def test_penalty_of_a_prompt_is_not_of_its_padding() -> None:
    """Where the end token pads, padding must not make it less likely."""
    network = qwen2(**{**PUBLISHED, "boundary": UNITS + 1, "pad": UNITS})
    given, sampling = prompts(), Sampling(40, 1.0, None, penalty=5.0)
    together = generation.extend(network, given, sampling, MANY)
    for name, prompt in given.items():
        units, finished = plainly(network, name, prompt, sampling)
        assert (together[name].units.tolist(), together[name].finished) == (units, finished)


def test_seed_and_name_decide() -> None:
    network, prompt = qwen2(), prompts()["u5"]
    given = {f"n{index}": prompt for index in range(6)}

    def drawn(seed: int, new_tokens: int = 20) -> list[list[int]]:
        found = generation.extend(network, given, Sampling(new_tokens, seed=seed), MANY)
        return [continuation.units.tolist() for continuation in found.values()]

    assert drawn(3) == drawn(3)
    assert len({tuple(units) for units in drawn(3) + drawn(4)}) == 12
    assert [units[:5] for units in drawn(3)] == drawn(3, 5), "more tokens change none before"


def test_tokens_are_as_frequent_as_they_are_likely() -> None:
    network, prompt, count = qwen2(), prompts()["u4"], 8_000
    sampling = Sampling(2, 1.4, 12, 0.95, penalty=1.2)
    found = generation.extend(network, {str(i): prompt for i in range(count)}, sampling, MANY)
    firsts = [made.units[0] + 2 if len(made.units) else 1 for made in found.values()]
    tokens = [1, *(prompt.astype(int) + 2).tolist()]
    _follow(network, tokens, firsts, sampling)
    likeliest = int(np.bincount(firsts)[2:].argmax())
    seconds = [
        made.units[1] + 2 if len(made.units) > 1 else 1
        for made in found.values()
        if made.units[:1].tolist() == [likeliest]
    ]
    _follow(network, [*tokens, likeliest + 2], seconds, sampling)


def _follow(
    network: PreTrainedModel, tokens: list[int], drawn: list[int], sampling: Sampling
) -> None:
    """Chi-square of tokens that were drawn after the same others."""
    with torch.no_grad():
        logits = network(torch.tensor([tokens])).logits[0, -1].double().numpy()
    chances = probabilities(logits, tokens, list(range(1, UNITS + 2)), sampling)
    counts = np.bincount(drawn, minlength=UNITS + 2)
    assert 5 < np.count_nonzero(chances) <= 12
    assert not counts[chances == 0].any()
    possible = chances > 0
    assert stats.chisquare(counts[possible], chances[possible] * len(drawn)).pvalue > 0.01


def test_only_units_follow_whatever_else_the_model_knows() -> None:
    network = MODELS["interleaved"]()
    given = {str(index): np.zeros(index, dtype=np.uint16) for index in range(30)}
    hot = Sampling(30, 100.0, None)
    found = generation.extend(network, given, hot, MANY)
    drawn = np.concatenate([made.units for made in found.values()])
    assert set(drawn.tolist()) == set(range(UNITS))
    assert {made.finished for made in found.values()} == {True, False}


def test_ends_with_the_context(network: PreTrainedModel) -> None:
    given = {
        f"u{size}": np.resize(np.arange(UNITS), size).astype(np.uint16)
        for size in (2, CONTEXT - 4, CONTEXT - 3, CONTEXT - 2)
    }
    found = generation.extend(network, given, Sampling(150, 0.5, penalty=2.0), MANY)
    for name, made in found.items():
        left = CONTEXT - 1 - len(given[name])
        assert len(made.units) + made.finished == left or made.finished
        assert len(made.units) <= left
    full = {**given, "full": np.zeros(CONTEXT - 1, dtype=np.uint16)}
    with pytest.raises(ValueError, match=r"the prompt `full` has 63 units.*`seconds`"):
        generation.extend(network, full, Sampling(), MANY)


def test_damaged_weights_are_told() -> None:
    network = qwen2()
    network.lm_head.weight.data[3, 0] = torch.nan
    with pytest.raises(ValueError, match="logits are not finite"):
        generation.extend(network, prompts(), Sampling(), MANY)


# the stage

ROWS = {
    "id": ["a", "b", "c", "d"],
    "item": ["x", "x", "y", "z"],
    "role": ["positive", "negative", "document", "prompt"],
    "group": [""] * 4,
    "rendition": [0] * 4,
    "speaker": ["f", "f", "m", None],
    "duration": [0.24, 0.2, 0.08, 0.0],
    "units": [[5, 6, 7, 8], [5, 6, 9], [1, 2], []],
    "durations": [[1, 2, 2, 1], [1, 2, 2], [1, 1], []],
}


def units_file(folder: Path, **changed: Any) -> Path:
    path = folder / "units.parquet"
    schema = units_table.SCHEMA
    files.write_table(pa.table(ROWS | changed, schema=schema), path, schema)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    qwen2().save_pretrained(folder)
    return folder


def tokeniser(folder: Path) -> Path:
    path = folder / "kmeans.safetensors"
    origin = codebook.Origin("mfcc", 0, UNITS, 3, 25.0, "", 100, 0, centre=0.02)
    codebook.write(np.zeros((UNITS, 3), dtype=np.float32), origin, path)
    return path


def continued(model: Path, folder: Path, config: dict[str, Any], **changed: Any) -> list[dict]:
    output, given = folder / "c.parquet", [units_file(folder, **changed)]
    continuing.continue_speech(
        config, model, given, output, {"device": "cpu"}, tokeniser=tokeniser(folder)
    )
    return files.read_table(output, continuations_table.SCHEMA).to_pylist()


def test_table_of_continuations(model: Path, tmp_path: Path) -> None:
    config = {"seconds": 0.12, "new_tokens": 12, "temperature": 1, "top_k": None, "seed": 7}
    rows = continued(model, tmp_path, config)
    assert [(row["id"], row["speaker"]) for row in rows] == [("a", "f"), ("c", "m"), ("d", None)]
    assert [row["prompt"] for row in rows] == [[5, 6], [1, 2], []], "what begins in three frames"
    network = Qwen2ForCausalLM.from_pretrained(model).eval()
    for row in rows:
        prompt = np.array(row["prompt"], dtype=np.uint16)
        sampling = Sampling(12, 1.0, None, seed=7)
        assert (row["continuation"], row["finished"]) == plainly(
            network, row["id"], prompt, sampling
        )
        assert row["seed"] == 7


def test_whole_utterances_need_no_durations(model: Path, tmp_path: Path) -> None:
    config = {"seconds": None, "new_tokens": 3}
    rows = continued(model, tmp_path, config, durations=[None] * 4)
    assert [row["prompt"] for row in rows] == [[5, 6, 7, 8], [1, 2], []]
    with pytest.raises(ValueError, match=r"units.parquet: row 0 \(`a`\) has no durations.*seconds"):
        continued(model, tmp_path, {"seconds": 3.0}, durations=[None] * 4)


def test_which_are_continued_does_not_depend_on_their_order() -> None:
    found = [continuing.Prompt(f"u{i}", None, np.zeros(1, np.uint16)) for i in range(50)]
    chosen = continuing.drawn(found, 10, 3)
    assert chosen == sorted(chosen, key=found.index)
    assert {p.id for p in continuing.drawn(found[::-1], 10, 3)} == {p.id for p in chosen}
    assert {p.id for p in continuing.drawn(found, 10, 4)} != {p.id for p in chosen}
    assert continuing.drawn(found, 60, 3) == continuing.drawn(found, None, 3) == found


@pytest.mark.parametrize(
    ("changed", "config", "message"),
    [
        (
            {"units": [[5], [1], [99], []]},
            {},
            r"row 2 \(`c`\) has unit 99, but small knows only 20",
        ),
        ({"units": [[5], [1], None, []]}, {}, r"row 2 \(`c`\) has no list of units"),
        ({"id": ["a", "b", "a", "d"]}, {}, r"row 2 \(`a`\): this id occurs twice"),
        ({"role": ["negative"] * 4}, {}, "no utterance is a prompt"),
        ({}, {"top_k": 0}, "top_k"),
        ({}, {"new_tokens": 0}, "new_tokens"),
    ],
)
def test_errors_name_the_row(
    model: Path, tmp_path: Path, changed: dict, config: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        continued(model, tmp_path, config, **changed)


def test_seconds_need_a_tokeniser_with_frames(model: Path, tmp_path: Path) -> None:
    config, given = asdict(Sampling()) | {"seconds": 1.0}, [units_file(tmp_path)]
    with pytest.raises(ValueError, match=r"phones.json does not say how long a frame is"):
        continuing.continue_speech(
            config, model, given, tmp_path / "c", {}, tokeniser=tmp_path / "phones.json"
        )
