"""Published models: converted, they score as the original layout does, computed plainly."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_scoring import drawn, units_file
from torch.nn.functional import silu
from transformers import (
    AutoModelForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from slamflow import files
from slamflow.benchmarks import scoring
from slamflow.lm import published, vocabulary
from slamflow.tables import scores as scores_table

UNITS = 20
Logits = Callable[[torch.Tensor], torch.Tensor]  # [tokens] of the original ids -> [tokens, ids]
SPREAD = 0.3


def slamkit(folder: Path) -> tuple[Logits, list[int]]:
    """As UnitLM.save_pretrained writes it with transformers 4."""
    settings = {
        "vocab_size": UNITS + 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "tie_word_embeddings": True,
    }
    torch.manual_seed(1)
    theta = {"rope_type": "default", "rope_theta": 50.0}
    network = Qwen2ForCausalLM(
        Qwen2Config(**settings, initializer_range=SPREAD, rope_parameters=theta)
    ).double()
    weights = {
        f"lm.{name}": tensor.float().contiguous()
        for name, tensor in network.state_dict().items()
        if name != "lm_head.weight"
    }
    base = {
        **settings,
        "model_type": "qwen2",
        "architectures": ["Qwen2ForCausalLM"],
        "_name_or_path": "Qwen/Qwen2.5-0.5B",
        "bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0,
        "rope_scaling": None, "rope_theta": 50.0,
        "torch_dtype": "float32",
        "use_sliding_window": False, "sliding_window": 32768,
    }  # fmt: skip
    config = {
        "architectures": ["UnitLM"],
        "base_config": base,
        "base_model_name": "Qwen/Qwen2.5-0.5B",
        "model_type": "speech_language_model",
        "torch_dtype": "float32",
        "transformers_version": "4.48.3",
        "twist_init": True,
        "vocab_size": UNITS + 2,
    }
    write(folder, config, weights)
    files.write_json({"bos_token_id": 1, "eos_token_id": 1}, folder / "generation_config.json")
    return plainly(network), [2, 1, 1]


def twist(folder: Path) -> tuple[Logits, list[int]]:
    """A text model of transformers with `offset` in its config.json, and ids to spare."""
    torch.manual_seed(2)
    config = OPTConfig(
        vocab_size=UNITS + 7,
        hidden_size=32,
        ffn_dim=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        word_embed_proj_dim=16,
        do_layer_norm_before=False,
        max_position_embeddings=64,
        init_std=SPREAD,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=1,
    )
    config.offset = 4
    network = OPTForCausalLM(config)
    network.save_pretrained(folder)
    return plainly(network.double().eval()), [4, 2, 3]


def slm_scaling(folder: Path) -> tuple[Logits, list[int]]:
    """As TransformerLM.save_pretrained writes it, with grouped keys, in two files."""
    heads, kv_heads, width, inner, layers = 4, 2, 32, 96, 2
    sizes = {
        "dim": width, "n_layers": layers, "n_heads": heads, "n_kv_heads": kv_heads,
        "vocab_size": UNITS + 2, "prefix_vocab_size": None, "hidden_dim": None, "multiple_of": 48,
        "norm_eps": 1e-3, "block_size": 64, "dropout": 0.0, "prefix_pad": None,
    }  # fmt: skip
    generator = torch.Generator().manual_seed(3)

    def matrix(*shape: int) -> torch.Tensor:
        return SPREAD * torch.randn(*shape, generator=generator)

    keys = width // heads * kv_heads
    weights = {"tok_embeddings.weight": matrix(UNITS + 2, width), "norm.weight": 1 + matrix(width)}
    for layer in range(layers):
        weights |= {
            f"layers.{layer}.{name}.weight": tensor
            for name, tensor in {
                "attention.wq": matrix(width, width),
                "attention.wk": matrix(keys, width),
                "attention.wv": matrix(keys, width),
                "attention.wo": matrix(width, width),
                "feed_forward.w1": matrix(inner, width),
                "feed_forward.w2": matrix(width, inner),
                "feed_forward.w3": matrix(inner, width),
                "attention_norm": 1 + matrix(width),
                "ffn_norm": 1 + matrix(width),
            }.items()
        }
    config = {
        "format_version": 1,
        "model_type": "slm",
        "architectures": ["TransformerLM"],
        "model_args": sizes,
        "torch_dtype": "float32",
        "tied_weights": ["tok_embeddings.weight", "output.weight"],
    }
    write(folder, config, weights, parts=2)
    exact = {name: tensor.double() for name, tensor in weights.items()}

    def logits(tokens: torch.Tensor) -> torch.Tensor:
        return llama(exact, tokens, layers, heads, kv_heads, eps=1e-3)

    return logits, [0, UNITS, UNITS]


def llama(
    weights: dict[str, torch.Tensor],
    tokens: torch.Tensor,
    layers: int,
    heads: int,
    kv_heads: int,
    eps: float,
) -> torch.Tensor:
    """A Llama of slm_scaling, its rotary positions as complex numbers of neighbours."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * weights[f"{name}.weight"]

    def turned(x: torch.Tensor) -> torch.Tensor:
        size = x.shape[-1]
        angles = torch.outer(
            torch.arange(len(tokens)).double(), 10_000.0 ** (-torch.arange(0, size, 2) / size)
        )
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)

    x = weights["tok_embeddings.weight"][tokens]
    for layer in range(layers):
        own = {
            name.removeprefix(f"layers.{layer}.").removesuffix(".weight"): tensor
            for name, tensor in weights.items()
            if name.startswith(f"layers.{layer}.")
        }
        h = norm(x, f"layers.{layer}.attention_norm")
        q, k, v = (
            (h @ own[f"attention.w{which}"].T).unflatten(-1, (count, -1)).transpose(0, 1)
            for which, count in (("q", heads), ("k", kv_heads), ("v", kv_heads))
        )
        k, v = (each.repeat_interleave(heads // kv_heads, 0) for each in (turned(k), v))
        seen = turned(q) @ k.mT / k.shape[-1] ** 0.5
        seen = seen.masked_fill(torch.ones_like(seen[0]).triu(1).bool(), -torch.inf).softmax(-1)
        x = x + (seen @ v).transpose(0, 1).flatten(1) @ own["attention.wo"].T
        h = norm(x, f"layers.{layer}.ffn_norm")
        gate = silu(h @ own["feed_forward.w1"].T) * (h @ own["feed_forward.w3"].T)
        x = x + gate @ own["feed_forward.w2"].T
    return norm(x, "norm") @ weights["tok_embeddings.weight"].T


def plainly(network: Any) -> Logits:
    def logits(tokens: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            found: torch.Tensor = network(tokens[None]).logits[0]
        return found

    return logits


def write(folder: Path, config: Any, weights: dict[str, torch.Tensor], parts: int = 1) -> None:
    folder.mkdir()
    files.write_json(config, folder / "config.json")
    names, size = list(weights), -(-len(weights) // parts)
    places = {}
    for part in range(parts):
        name = (
            f"model-{part + 1:05d}-of-{parts:05d}.safetensors" if parts > 1 else "model.safetensors"
        )
        chosen = names[part * size : (part + 1) * size]
        save_file({key: weights[key] for key in chosen}, folder / name, {"format": "pt"})
        places |= dict.fromkeys(chosen, name)
    if parts > 1:
        index = {"metadata": {"total_size": 1}, "weight_map": places}
        files.write_json(index, folder / "model.safetensors.index.json")


LAYOUTS = {"slamkit": slamkit, "twist": twist, "slm-scaling": slm_scaling}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_scores_are_those_of_the_original_layout(layout: str, tmp_path: Path) -> None:
    logits, (offset, start, end) = LAYOUTS[layout](tmp_path / "original")
    model = tmp_path / "converted"
    published.convert({"layout": layout}, tmp_path / "original", UNITS, model, "0")
    spoken = [*drawn(6), [UNITS - 1, 0]]
    output = tmp_path / "scores.parquet"
    scoring.score(
        {}, model, [units_file(tmp_path / "u.parquet", spoken)], output, {"device": "cpu"}
    )
    rows = files.read_table(output, scores_table.SCHEMA).to_pylist()
    assert len(rows) == len(spoken)
    for row, units in zip(rows, spoken, strict=True):
        tokens = torch.tensor([start, *(unit + offset for unit in units), end])
        terms = -logits(tokens[:-1]).log_softmax(-1)[torch.arange(len(units) + 1), tokens[1:]]
        assert row["tokens"] == len(terms)
        assert row["nll"] == pytest.approx(terms.sum().item(), rel=1e-5)
        assert row["first_nll"] == pytest.approx(terms[0].item(), rel=1e-4)
        assert row["end_nll"] == pytest.approx(terms[-1].item(), rel=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_transformers_opens_what_was_converted(layout: str, tmp_path: Path) -> None:
    logits, (offset, start, end) = LAYOUTS[layout](tmp_path / "original")
    model = tmp_path / "converted"
    published.convert({"layout": layout, "model": "a/b"}, tmp_path / "original", UNITS, model, "0")
    opened = AutoModelForCausalLM.from_pretrained(model).eval()
    ids = vocabulary.layout(opened.config)
    assert (ids.units, ids.offset, ids.start, ids.end) == (UNITS, offset, start, end)
    assert ids.pad not in range(offset, offset + UNITS)
    tokens = torch.tensor([start, offset, offset + 3, offset + UNITS - 1])
    with torch.no_grad():
        found = opened(tokens[None]).logits[0]
    np.testing.assert_allclose(found, logits(tokens).float(), rtol=1e-4, atol=1e-4)
    assert {path.name for path in model.iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "training.parquet", "card.md",
    }  # fmt: skip
    card = (model / "card.md").read_text()
    assert f'"layout": "{layout}"' in card and '"model": "a/b"' in card
    assert files.sha256(tmp_path / "original" / "config.json") in card


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("given", LAYOUTS)
def test_another_layout_is_refused_in_one_line(layout: str, given: str, tmp_path: Path) -> None:
    if layout == given:
        return
    LAYOUTS[layout](tmp_path / "original")
    with pytest.raises(ValueError, match=rf"original: is not of layout {given} \(") as caught:
        published.load(given, tmp_path / "original", UNITS)
    assert layout in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("layout", "units", "line"),
    [
        ("slamkit", 21, "has 22 ids, and with the tokeniser's 21 units it would have 23; name the"),
        ("slamkit", 10, "has 22 ids, and with the tokeniser's 10 units it would have 12; name the"),
        ("slm-scaling", 21, "has 22 ids, and with the tokeniser's 21 units it would have 23;"),
        ("twist", 50, "has 27 ids from which units begin at 4, too few for the tokeniser's 50;"),
    ],
)
def test_a_tokeniser_of_other_units_is_refused(
    layout: str, units: int, line: str, tmp_path: Path
) -> None:
    LAYOUTS[layout](tmp_path / "original")
    with pytest.raises(ValueError, match=r"original: has 2. ids") as caught:
        published.load(layout, tmp_path / "original", units)
    assert line in str(caught.value)


def test_what_is_pickled_is_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / "original"
    twist(folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"original: has no model\.safetensors, and nothing that"):
        published.load("twist", folder, UNITS)


@pytest.mark.parametrize(
    ("layout", "change", "line"),
    [
        ("twist", {"bos_token_id": 9}, "has bos_token_id 9 and eos_token_id 3; both must be ids"
         " outside of its units, 4 to 23"),
        ("twist", {"model_type": "optt"}, "its config.json cannot be read as one of optt"),
        ("twist", {"hidden_size": 48}, "others of its weights are not as its config.json says"),
        ("slm-scaling", {"format_version": 2}, "is not of layout slm-scaling"),
        ("slm-scaling", {"model_args": {"dim": 4}}, "is not of layout slm-scaling"),
        ("slamkit", {"base_config": {"vocab_size": 22}}, "cannot be read as one of None"),
    ],
)  # fmt: skip
def test_a_config_that_does_not_fit_is_refused(
    layout: str, change: dict[str, Any], line: str, tmp_path: Path
) -> None:
    LAYOUTS[layout](tmp_path / "original")
    path = tmp_path / "original" / "config.json"
    files.write_json(json.loads(path.read_text()) | change, path)
    with pytest.raises(ValueError, match=r"^[^\n]*original[^\n]*$") as caught:
        published.load(layout, tmp_path / "original", UNITS)
    assert line in str(caught.value)


def test_a_model_without_the_keys_has_our_ids(tmp_path: Path) -> None:
    slamkit(tmp_path / "original")
    config = published.load("slamkit", tmp_path / "original", UNITS)[0].config
    said = vocabulary.layout(config)
    for key in ("units", "unit_offset", "boundary", "end", "pad"):
        delattr(config, key)
    assert vocabulary.layout(config) == said == vocabulary.Layout(UNITS)
