"""Architectures from a config: every key takes effect, or is an error that names it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import training_job
from transformers import AutoModelForCausalLM, PreTrainedModel

from slamflow.lm import architecture, borders, inputs
from slamflow.lm.rows import Rows

INIT = {k: v for k, v in training_job.INIT.items() if k != "kv_heads"}
ROTARY = "qwen2 llama mistral mixtral phi3 olmo2 gpt_neox stablelm falcon gemma3_text".split()
LEARNED = "gpt2 opt biogpt gpt_bigcode".split()
# of each: what it does not have, so that the keys must be left out
WITHOUT = {"falcon": {"intermediate_size"}}


def init_of(kind: str, **changes: Any) -> dict[str, Any]:
    kept = {key: value for key, value in INIT.items() if key not in WITHOUT.get(kind, ())}
    return kept | {"architecture": kind} | changes


def frequencies(model: PreTrainedModel) -> list[torch.Tensor]:
    return [buffer for name, buffer in model.named_buffers() if name.endswith("inv_freq")]


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_config_takes_effect(kind: str) -> None:
    init = {**training_job.INIT, "architecture": kind, "rope_theta": 500.0}
    model = architecture.build(init, 50, 128)
    assert model.config.model_type == kind
    expected = 500.0 ** (-np.arange(0, 16, 2) / 16)
    np.testing.assert_allclose(model.model.rotary_emb.inv_freq, expected, rtol=1e-6)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    untied = architecture.build({**init, "tie": False}, 50, 128)
    assert untied.get_output_embeddings().weight is not untied.get_input_embeddings().weight
    assert model.dtype == torch.float32 and model.config._attn_implementation == "sdpa"


def test_default_theta() -> None:
    model = architecture.build(training_job.INIT, 50, 128)
    expected = 10_000.0 ** (-np.arange(0, 16, 2) / 16)
    np.testing.assert_allclose(model.model.rotary_emb.inv_freq, expected, rtol=1e-6)


def test_seed_decides_the_weights_and_nothing_else_is_drawn() -> None:
    torch.manual_seed(5)
    first = architecture.build(training_job.INIT, 50, 128).state_dict()
    after = torch.rand(1)
    torch.manual_seed(5)
    assert after == torch.rand(1)
    second = architecture.build(training_job.INIT, 50, 128).state_dict()
    other = architecture.build({**training_job.INIT, "seed": 2}, 50, 128).state_dict()
    name = "model.embed_tokens.weight"
    assert torch.equal(first[name], second[name])
    assert not torch.equal(first[name], other[name])


@pytest.mark.parametrize("kind", ROTARY + LEARNED)
def test_sizes_of_each_family(kind: str, tmp_path: Path) -> None:
    """As asked for, with no dropout, and the same when saved and opened again."""
    theta = {"rope_theta": 300.0} if kind in ROTARY else {}
    model = architecture.build(init_of(kind, **theta), 50, 128, units=48)
    config = model.config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (32, 2, 2)
    assert (config.pad_token_id, config.bos_token_id, config.eos_token_id) == (0, 1, 1)
    assert model.get_input_embeddings().weight.shape == (50, 32)
    assert config.max_position_embeddings == 128 and config.units == 48
    if kind not in WITHOUT:
        shapes = {tuple(p.shape)[-2:] for p in model.parameters()}
        assert shapes & {(64, 32), (32, 64), (128, 32)}, "no layer is intermediate_size wide"
    for module in model.modules():
        assert not isinstance(module, torch.nn.Dropout) or module.p == 0
    model.save_pretrained(tmp_path)
    opened = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert opened.config.units == 48
    tokens = torch.tensor([[1, 5, 6, 7, 1]])
    with torch.no_grad():
        torch.testing.assert_close(opened(tokens).logits, model.train()(tokens).logits)
    for angles in frequencies(opened) + frequencies(model):
        expected = 300.0 ** -(torch.arange(len(angles)) / len(angles))
        torch.testing.assert_close(angles, expected)
    assert bool(frequencies(opened)) == (kind in ROTARY)


@pytest.mark.parametrize("kind", ROTARY + LEARNED)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_documents_of_a_row_are_kept_apart(kind: str, device: str) -> None:
    """On a processor and with the masks of a GPU, in gradients, too."""
    model = architecture.build(init_of(kind), 50, 48)
    read = borders.reader(model, device)
    if device == "cuda":  # whose masks are tried here on a processor
        assert read.func is inputs.tensors
        read = lambda rows, index: inputs.tensors(rows, index, "cpu")  # noqa: E731
    documents = [[1, *range(2, 34), 1], [1, 7, 7, 9, 1], [1, 30, 2, 1]]
    tokens = np.zeros((1, 48), dtype=np.uint16)
    tokens[0, :43] = np.concatenate(documents)
    number = np.repeat([0, 1, 2, 3], [34, 5, 4, 5])[None]

    def loss(rows: Rows) -> torch.Tensor:
        taken, labels = read(rows, np.arange(1))
        logits = model(**taken, use_cache=False).logits
        return torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), reduction="sum", ignore_index=inputs.IGNORED
        )

    gradients = []
    for pieces in ([Rows(tokens, number)], [alone(document) for document in documents]):
        total = torch.stack([loss(piece) for piece in pieces]).sum()
        model.zero_grad()
        total.backward()
        found = [p.grad for p in model.parameters() if p.grad is not None]
        gradients.append([total.detach(), *found])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)


def alone(document: list[int]) -> Rows:
    tokens = np.zeros((1, 48), dtype=np.uint16)
    tokens[0, : len(document)] = document
    return Rows(tokens, (np.arange(48) >= len(document)).astype(np.uint16)[None])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("bert", "it looks ahead"),
        ("olmo_hybrid", "does not keep the documents of a packed row apart"),  # a recurrent state
        ("xglm", "does not keep"),  # has its own positions
        ("helium", "mat1 and mat2"),  # head_dim is not hidden_size / heads
    ],
)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_cannot_be_packed_is_refused(kind: str, message: str, device: str) -> None:
    options = {"layer_types": ["linear_attention", "full_attention"]}
    init = init_of(kind, **({"options": options} if kind == "olmo_hybrid" else {}))
    model = architecture.build({**init, "tie": kind != "olmo_hybrid"}, 50, 64)
    with pytest.raises(ValueError, match=f"init: {kind} .*{message}") as failure:
        borders.reader(model, device)
    assert "\n" not in str(failure.value) and model.training


def test_options_are_values_of_the_config() -> None:
    options = {"head_dim": 8, "attention_dropout": 0.25, "rms_norm_eps": 1e-3}
    model = architecture.build(init_of("qwen3", options=options), 50, 128)
    assert model.model.layers[0].self_attn.q_proj.weight.shape == (16, 32)
    assert model.model.norm.variance_epsilon == 1e-3
    assert model.model.layers[0].self_attn.attention_dropout == 0.25
    assert len(model.model.rotary_emb.inv_freq) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 3}, "must be a multiple of heads"),
        ({"architecture": "qwen2000"}, "architecture 'qwen2000' is unknown"),
        ({"architecture": "hubert"}, "architecture 'hubert' is unknown or no causal"),
        ({"architecture": "gpt2"}, "kv_heads: gpt2 has no num_key_value_heads"),
        ({"architecture": "gpt2", "kv_heads": None, "rope_theta": 1e4}, "rope_theta: gpt2 has no"),
        ({"architecture": "bloom", "kv_heads": None}, "intermediate_size: bloom has no"),
        ({"architecture": "mistral", "options": {"sliding_window": 127}}, "sliding_window: 128"),
        ({"options": {"width": 3}}, "options: qwen2 has no width"),
        ({"options": {"rope_theta": 3.0}}, "options: qwen2 has no rope_theta"),
        ({"options": {"num_hidden_layers": 3}}, "options: num_hidden_layers is set by"),
        ({"options": {"vocab_size": 3}}, "options: vocab_size is set by"),
        ({"options": {"rms_norm_eps": "little"}}, "qwen2 refuses these values .*rms_norm_eps"),
        ({"architecture": "gpt2", "kv_heads": None, "options": {"n_embd": 8}}, "n_embd is set by"),
        ({"options": {"hidden_act": "none"}}, "qwen2 cannot be made of these sizes .*none"),
    ],
)
def test_impossible_architectures(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as failure:
        architecture.build({**training_job.INIT, **change}, 50, 128)
    assert "\n" not in str(failure.value)
