"""Released Code-HiFi-GANs, converted: weight norm is multiplied out, and nothing is unpickled."""

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from slamflow import files
from slamflow import weights as sealing
from slamflow.vocoder import torch_file
from slamflow.vocoder.hifigan import CodeHifigan, HifiganConfig

OTHERS = ("f0", "multispkr", "multistyle", "embedder_params")  # inputs besides units
SIZES = ("num_embeddings", "embedding_dim", "upsample_initial_channel", "sampling_rate")
LISTS = ("upsample_rates", "upsample_kernel_sizes", "resblock_kernel_sizes")
DURATIONS = ("encoder_embed_dim", "var_pred_hidden_dim", "var_pred_kernel_size")
MOST = 1 << 16  # of any size


def convert(config: Mapping[str, Any], weights: Path, settings: Path, folder: Path) -> None:
    """Write a released vocoder as config.json and model.safetensors in `folder`.

    Args:
        config: `voice`, the speaker's name.
        weights: what `torch.save` wrote, with the generator's weights in `generator`.
        settings: the JSON file that belongs to it.

    Raises:
        ValueError: one of them is not what it should be, or they do not fit each other.
    """
    described = HifiganConfig(**_settings(settings), voice=str(config["voice"]))
    described.dtype, described.architectures = "float32", [CodeHifigan.__name__]
    wanted = CodeHifigan(described).state_dict()
    found = torch_file.read(weights).get("generator")
    if not isinstance(found, dict):
        raise ValueError(f"{weights}: has no weights of a `generator`")
    plain = _without_norms(found)
    for name in sorted(wanted.keys() | plain.keys()):
        here, there = plain.get(name), wanted.get(name)
        if here is None or there is None or here.shape != there.shape:
            raise ValueError(
                f"{weights}: {name} is {_shape(here)}, but {settings} asks for {_shape(there)};"
                " give the two files of one model"
            )
        if not here.isfinite().all():
            raise ValueError(f"{weights}: {name} is not finite; fetch the file anew")
    files.write_json(json.loads(described.to_json_string()), folder / "config.json")
    with files.replacing(folder / "model.safetensors") as temporary:
        source = io.BytesIO(save(plain, metadata={"format": "pt"}))
        sealing.seal(source, temporary, [folder / "config.json"])


def _without_norms(found: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Weights g · v / |v|, where the norm is over all but the first dimension.

    Source: Salimans and Kingma 2016, arXiv 1602.07868, equation 2.
    """
    plain = {}
    for name, tensor in found.items():
        if not isinstance(tensor, torch.Tensor) or name.endswith("weight_g"):
            continue
        tensor, gain = tensor.float(), found.get(f"{name[:-1]}g")
        if name.endswith("weight_v") and isinstance(gain, torch.Tensor) and tensor.ndim == 3:
            length = torch.linalg.vector_norm(tensor, dim=(1, 2), keepdim=True)
            if gain.shape == length.shape:
                name, tensor = name[:-2], tensor * (gain.float() / length)
        plain[name] = tensor.contiguous()
    return plain


def _settings(path: Path) -> dict[str, Any]:
    """The settings with `units` and `hop`; sizes that do not fit each other are refused."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        durations = found.get("dur_predictor_params") or {}
        numbers = [found[name] for name in SIZES] + [durations[name] for name in DURATIONS]
        lists = {name: found[name] for name in LISTS}
        dilations = found["resblock_dilation_sizes"]
        numbers += [n for each in (*lists.values(), *dilations) for n in each]
        dropout = float(durations.get("var_pred_dropout", 0.5))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: is no config of a Code-HiFi-GAN ({error!r})") from None
    if others := [name for name in OTHERS if found.get(name)]:
        raise ValueError(f"{path}: {others[0]}: vocoders that need more than units are not read")
    rates, kernels, widths = lists.values()
    odd = [*widths, durations["var_pred_kernel_size"]]
    if (
        not all(isinstance(number, int) and 0 < number <= MOST for number in numbers)
        or len(rates) != len(kernels)
        or len(widths) != len(dilations)
        or any(
            kernel < rate or (kernel - rate) % 2
            for rate, kernel in zip(rates, kernels, strict=False)
        )
        or any(width % 2 == 0 for width in odd)
        or found["upsample_initial_channel"] % 2 ** len(rates)
        or {found.get("model_in_dim"), durations["encoder_embed_dim"]} != {found["embedding_dim"]}
        or not 0 <= dropout < 1
    ):
        raise ValueError(f"{path}: its sizes do not fit each other; fetch the file anew")
    kept = {name: found[name] for name in (*SIZES, *LISTS)}
    return kept | {
        "model_in_dim": found["embedding_dim"],
        "resblock_dilation_sizes": dilations,
        "dur_predictor_params": {
            **{n: durations[n] for n in DURATIONS},
            "var_pred_dropout": dropout,
        },
        "units": found["num_embeddings"],
        "hop": math.prod(rates),
    }


def _shape(tensor: torch.Tensor | None) -> str:
    return "missing" if tensor is None else "×".join(map(str, tensor.shape))
