"""Released vocoders in small: their files as their authors write them, with random weights."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

Weights = dict[str, torch.Tensor]

SETTINGS: dict[str, Any] = {
    "resblock": "1",
    "learning_rate": 0.0002,
    "upsample_rates": [5, 4, 4, 2, 2, 2],
    "upsample_kernel_sizes": [11, 8, 8, 4, 4, 4],
    "upsample_initial_channel": 64,
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
    "num_embeddings": 20,
    "embedding_dim": 12,
    "model_in_dim": 12,
    "f0": False,
    "dur_predictor_params": {
        "encoder_embed_dim": 12,
        "var_pred_hidden_dim": 10,
        "var_pred_kernel_size": 3,
        "var_pred_dropout": 0.5,
    },
    "sampling_rate": 16000,
    "dist_config": {"dist_backend": "nccl"},
}


def weights(settings: dict[str, Any] = SETTINGS, seed: int = 0) -> Weights:
    """Weights as they are released, in the order of their names there."""
    drawn = torch.Generator().manual_seed(seed)
    found: Weights = {}

    def normed(name: str, *shape: int, bias: int) -> None:
        found[f"{name}.bias"] = 0.1 * torch.randn(bias, generator=drawn)
        found[f"{name}.weight_g"] = 0.5 + torch.rand(shape[0], 1, 1, generator=drawn)
        found[f"{name}.weight_v"] = torch.randn(shape, generator=drawn)

    def plain(name: str, *shape: int) -> None:
        found[f"{name}.weight"] = torch.randn(shape, generator=drawn) / math.sqrt(shape[-1])
        found[f"{name}.bias"] = torch.randn(shape[0], generator=drawn)

    channels, size = settings["upsample_initial_channel"], settings["embedding_dim"]
    normed("conv_pre", channels, size, 7, bias=channels)
    number = 0
    for index, kernel in enumerate(settings["upsample_kernel_sizes"]):
        normed(f"ups.{index}", channels, channels // 2, kernel, bias=channels // 2)
        channels //= 2
        for width in settings["resblock_kernel_sizes"]:
            for part in ("convs1", "convs2"):
                for place in range(3):
                    name = f"resblocks.{number}.{part}.{place}"
                    normed(name, channels, channels, width, bias=channels)
            number += 1
    normed("conv_post", 1, channels, 7, bias=1)
    found["dict.weight"] = torch.randn(settings["num_embeddings"], size, generator=drawn)
    shape = settings["dur_predictor_params"]
    hidden, kernel = shape["var_pred_hidden_dim"], shape["var_pred_kernel_size"]
    plain("dur_predictor.conv1.0", hidden, size, kernel)
    plain("dur_predictor.ln1", hidden)
    plain("dur_predictor.conv2.0", hidden, hidden, kernel)
    plain("dur_predictor.ln2", hidden)
    plain("dur_predictor.proj", 1, hidden)
    found["dur_predictor.ln2.bias"] /= 10  # so that units last one frame, or a few
    found["dur_predictor.proj.weight"] *= 3
    found["dur_predictor.proj.bias"].fill_(1.2)
    return found


def write(folder: Path, settings: dict[str, Any] = SETTINGS, seed: int = 0) -> tuple[Path, Path]:
    """The two files of a release: weights and settings."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"generator": weights(settings, seed)}, folder / "g.pt")
    (folder / "config.json").write_text(json.dumps(settings))
    return folder / "g.pt", folder / "config.json"


def speak(found: Weights, units: list[int], counts: list[int]) -> torch.Tensor:
    """The wave [samples] in float64, written out plainly; see the sources in `hifigan`."""
    double = {name: tensor.double() for name, tensor in found.items()}

    def layer(name: str) -> tuple[torch.Tensor, torch.Tensor]:
        v, g = double[f"{name}.weight_v"], double[f"{name}.weight_g"]
        return g * v / v.flatten(1).norm(dim=1)[:, None, None], double[f"{name}.bias"]

    frames = [unit for unit, count in zip(units, counts, strict=True) for _ in range(count)]
    hidden = double["dict.weight"][frames].T[None]
    hidden = functional.conv1d(hidden, *layer("conv_pre"), padding=3)
    rates, kernels = SETTINGS["upsample_rates"], SETTINGS["upsample_kernel_sizes"]
    for index, (rate, kernel) in enumerate(zip(rates, kernels, strict=True)):
        hidden = functional.leaky_relu(hidden, 0.1)
        hidden = functional.conv_transpose1d(
            hidden, *layer(f"ups.{index}"), stride=rate, padding=(kernel - rate) // 2
        )
        made = []
        for place, width in enumerate(SETTINGS["resblock_kernel_sizes"]):
            block, name = hidden, f"resblocks.{3 * index + place}"
            for step, dilation in enumerate((1, 3, 5)):
                inner = functional.conv1d(
                    functional.leaky_relu(block, 0.1),
                    *layer(f"{name}.convs1.{step}"),
                    dilation=dilation,
                    padding=dilation * (width - 1) // 2,
                )
                block = block + functional.conv1d(
                    functional.leaky_relu(inner, 0.1),
                    *layer(f"{name}.convs2.{step}"),
                    padding=(width - 1) // 2,
                )
            made.append(block)
        hidden = sum(made) / len(made)
    hidden = functional.conv1d(functional.leaky_relu(hidden, 0.01), *layer("conv_post"), padding=3)
    return torch.tanh(hidden)[0, 0]


def last(found: Weights, units: list[int]) -> list[int]:
    """Predicted counts in float64, written out plainly."""
    double = {name.removeprefix("dur_predictor."): t.double() for name, t in found.items()}
    hidden = double["dict.weight"][units].T[None]
    for number in (1, 2):
        weight, bias = double[f"conv{number}.0.weight"], double[f"conv{number}.0.bias"]
        hidden = functional.relu(functional.conv1d(hidden, weight, bias, padding=1))
        mean, spread = hidden.mean(1, keepdim=True), hidden.var(1, correction=0, keepdim=True)
        hidden = (hidden - mean) / (spread + 1e-5).sqrt()
        hidden = (
            hidden * double[f"ln{number}.weight"][:, None] + double[f"ln{number}.bias"][:, None]
        )
    logarithms = (double["proj.weight"] @ hidden[0] + double["proj.bias"][:, None])[0]
    return [max(1, round(math.exp(value) - 1)) for value in logarithms.tolist()]
