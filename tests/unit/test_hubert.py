"""Features of an utterance are the same alone, in any batch, and by transformers itself."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_huberts import config, save
from transformers import HubertModel

from slamflow.tokeniser import convolutions, hubert, kmeans

SHAPES = {
    "base": {"feat_extract_norm": "group", "do_stable_layer_norm": False},
    "large": {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
    "batch norm": {"feat_extract_norm": "group", "conv_pos_batch_norm": True},
    "odd": {"feat_extract_norm": "layer", "num_conv_pos_embeddings": 7},
}


def waves() -> list[torch.Tensor]:
    """Eight lengths, among them the shortest possible; one with silence at its end."""
    rng = np.random.default_rng(0)
    receptive = convolutions.receptive(config().conv_kernel, config().conv_stride)
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


def test_waves_are_normalised_if_the_model_was_trained_so(tmp_path: Path) -> None:
    weights = save(tmp_path)
    (tmp_path / convolutions.PREPROCESSOR).write_text('{"do_normalize": true}')
    model = hubert.load(weights)
    for wave, louder in zip(waves(), (3 * wave + 0.1 for wave in waves()), strict=True):
        quiet, loud = (hubert.features(model, [w], 2)[0] for w in (wave, louder))
        torch.testing.assert_close(quiet, loud, rtol=0.01, atol=0.01)


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
