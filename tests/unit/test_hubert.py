"""Features of an utterance are the same alone, in any batch, and by transformers itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_huberts import IN_USE, config, save
from transformers import HubertModel, Wav2Vec2FeatureExtractor

from slamflow.tokeniser import convolutions, encoder, hubert, hubert_projection, kmeans

SHAPES = {
    "base": {"feat_extract_norm": "group", "do_stable_layer_norm": False},
    "large": {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
    "batch norm": {"feat_extract_norm": "group", "conv_pos_batch_norm": True},
    "odd": {"feat_extract_norm": "layer", "num_conv_pos_embeddings": 7},
}


def waves(**changes: object) -> list[torch.Tensor]:
    """Eight lengths, among them the shortest possible; one with silence at its end."""
    rng = np.random.default_rng(0)
    shape = config(**changes)
    receptive = convolutions.receptive(shape.conv_kernel, shape.conv_stride)
    lengths = [receptive, receptive + 639, 5000, 16_000, 16_000, 23_456, 48_000, 40_001]
    made = [rng.standard_normal(n).astype(np.float32) * rng.uniform(0.01, 0.3) for n in lengths]
    made[5][15_000:] = 0
    return [torch.from_numpy(wave) for wave in made]


@pytest.mark.parametrize("shape", SHAPES)
def test_equal_alone_batched_and_by_transformers(shape: str, tmp_path: Path) -> None:
    weights = save(tmp_path, **SHAPES[shape])
    model = hubert.load(weights)
    theirs = HubertModel.from_pretrained(tmp_path).eval()
    centroids = None
    for layer in range(model.layers + 1):
        batched = hubert.features(model, waves(), layer)
        backwards = hubert.features(model, waves()[::-1], layer)[::-1]
        if centroids is None:
            centroids = torch.cat(batched)[::3]
        for wave, *found in zip(waves(), batched, backwards, strict=True):
            alone = hubert.features(model, [wave], layer)[0]
            with torch.inference_mode():
                states = theirs(wave[None], output_hidden_states=True).hidden_states
            wanted = states[layer][0]
            assert len(wanted) == model.frames(len(wave)) == len(alone)
            size = wanted.square().mean().sqrt()
            for features in (alone, *found):
                assert (features - wanted).abs().max() < 1e-5 * size
                units = kmeans.assign(features, centroids)
                assert torch.equal(units, kmeans.assign(wanted, centroids))


def drawn_waves(rng: np.random.Generator, model: hubert.Hubert) -> list[torch.Tensor]:
    """One to seven waves of a frame to 3 s, whose ends fall anywhere between two frames."""
    made = []
    for _ in range(rng.integers(1, 8)):
        frames = rng.choice([1, 2, rng.integers(3, 40), 48_000 // model.hop])
        samples = model.receptive + (frames - 1) * model.hop
        samples += rng.choice([0, 1, model.hop - 1, rng.integers(model.hop)])
        wave = (rng.standard_normal(samples) + rng.normal()) * 10 ** rng.uniform(-3, -0.5)
        made.append(torch.from_numpy(wave.astype(np.float32)))
    return made


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("architecture", IN_USE)
def test_any_utterance_in_any_batch_is_as_transformers_has_it_alone(
    architecture: str, normalised: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = save(tmp_path, **IN_USE[architecture])
    extractor = Wav2Vec2FeatureExtractor(do_normalize=normalised)
    extractor.save_pretrained(tmp_path)
    model = hubert.load(weights)
    assert model.frames(16_000) == {320: 49, 640: 24}[model.hop]
    theirs = HubertModel.from_pretrained(tmp_path).eval()
    for seed in range(3):
        rng = np.random.default_rng(seed)
        drawn = drawn_waves(rng, model)
        layer = int(rng.integers(model.layers + 1))
        block = int(rng.choice([model.hop, 9 * model.hop, 32_000]))
        monkeypatch.setitem(hubert_projection.BLOCK, "cpu", block)
        batched = hubert.features(model, drawn, layer)
        order = rng.permutation(len(drawn))
        shuffled = hubert.features(model, [drawn[i] for i in order], layer)
        for place, index in enumerate(order):
            alone = hubert.features(model, [drawn[index]], layer)[0]
            inputs = extractor(drawn[index].numpy(), sampling_rate=16_000, return_tensors="pt")
            with torch.inference_mode():
                states = theirs(inputs.input_values, output_hidden_states=True).hidden_states
            size = states[layer].square().mean().sqrt()
            for found in (alone, batched[index], shuffled[place]):
                assert found.shape == states[layer][0].shape
                assert (found - states[layer][0]).abs().max() < 1e-5 * size


@pytest.mark.parametrize("architecture", IN_USE)
def test_nothing_of_a_neighbour_leaks(architecture: str, tmp_path: Path) -> None:
    model = hubert.load(save(tmp_path, **IN_USE[architecture]))
    drawn = waves(**IN_USE[architecture])
    for value in (torch.nan, torch.inf, 1e30):
        mixed = [
            part for wave in drawn for part in (wave, torch.full((wave.numel() + 777,), value))
        ]
        for layer in (0, model.layers):
            clean = hubert.features(model, drawn, layer)
            for found, wanted in zip(hubert.features(model, mixed, layer)[::2], clean, strict=True):
                size = wanted.square().mean().sqrt()
                assert (found - wanted).abs().max() < 1e-5 * size


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("architecture", IN_USE)
def test_lower_precision_is_near_and_no_less_independent_of_the_batch(
    architecture: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    model = hubert.load(save(tmp_path, **IN_USE[architecture]))
    drawn = waves(**IN_USE[architecture])
    batched = hubert.features(model, drawn, 2, dtype)
    for wave, found in zip(drawn, batched, strict=True):
        exact = hubert.features(model, [wave], 2)[0]
        alone = hubert.features(model, [wave], 2, dtype)[0]
        assert found.dtype == torch.float32
        size = exact.square().mean().sqrt()
        assert 0 < (found - exact).square().mean().sqrt() < 0.03 * size
        assert (found - alone).square().mean().sqrt() < 0.02 * size


def test_waves_are_normalised_if_the_model_was_trained_so(tmp_path: Path) -> None:
    weights = save(tmp_path)
    (tmp_path / convolutions.PREPROCESSOR).write_text('{"do_normalize": true}')
    model = hubert.load(weights)
    for wave, louder in zip(waves(), (3 * wave + 0.1 for wave in waves()), strict=True):
        quiet, loud = (hubert.features(model, [w], 2)[0] for w in (wave, louder))
        torch.testing.assert_close(quiet, loud, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("architecture", IN_USE)
def test_padding_stays_silent_where_waves_are_normalised(architecture: str, tmp_path: Path) -> None:
    weights = save(tmp_path, **IN_USE[architecture])
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
    extractor.save_pretrained(tmp_path)
    opened = encoder.open_encoder("hubert", 2, weights, {"device": "cpu"}, padding=400)
    theirs = HubertModel.from_pretrained(tmp_path).eval()
    drawn = [wave.numpy() + 0.03 for wave in waves(**IN_USE[architecture])]
    for wave, found in zip(drawn, opened.encode(drawn), strict=True):
        inputs = extractor(wave, sampling_rate=16_000, return_tensors="pt").input_values
        padded = torch.nn.functional.pad(inputs, (400, 400))
        with torch.inference_mode():
            wanted = theirs(padded, output_hidden_states=True).hidden_states[2][0]
        assert (found - wanted).abs().max() < 1e-5 * wanted.square().mean().sqrt()


def test_what_the_preprocessor_says(tmp_path: Path) -> None:
    weights = save(tmp_path)
    described = tmp_path / convolutions.PREPROCESSOR
    assert not hubert.load(weights).normalised
    described.write_text('{"sampling_rate": 16000}')
    assert hubert.load(weights).normalised == Wav2Vec2FeatureExtractor().do_normalize
    for damaged in ('{"do_normalize": tr', "[]"):
        described.write_text(damaged)
        with pytest.raises(ValueError, match=f"{described}: does not describe a preprocessor"):
            hubert.load(weights)


def test_layers_above_the_tapped_one_do_not_run(tmp_path: Path) -> None:
    model = hubert.load(save(tmp_path))
    del model.model.encoder.layers[1:]
    assert len(hubert.features(model, waves()[:2], 1)) == 2


def test_what_is_no_hubert_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be opened as a HuBERT"):
        hubert.load(tmp_path / "model.safetensors")
    weights = save(tmp_path)
    HubertModel(config(num_hidden_layers=1)).save_pretrained(tmp_path / "small")
    (tmp_path / "small" / "model.safetensors").replace(weights)
    with pytest.raises(ValueError, match="weights lack"):
        hubert.load(weights)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 2}, r"encoder\.layers\.2\.\S+ and 15 others .* not as its config"),
        ({"intermediate_size": 48}, r"encoder\.layers\.0\.feed_forward\.\S+ and 8 others"),
        ({"conv_dim": [16, 24]}, "cannot be opened as a HuBERT .*conv_dim"),
        ({"hidden_act": "none"}, "cannot be opened as a HuBERT .*none"),
    ],
)
def test_weights_that_are_not_those_of_the_config(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    weights, described = save(tmp_path), tmp_path / "config.json"
    described.write_text(json.dumps({**json.loads(described.read_text()), **changes}))
    with pytest.raises(ValueError, match=message) as failure:
        hubert.load(weights)
    assert "\n" not in str(failure.value)
