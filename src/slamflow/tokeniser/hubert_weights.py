"""The weights and the config of a HuBERT, opened together or refused."""

from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import HubertModel

_UNUSED = "masked_spec_embed"  # training alone needs it
_PARTS = ("feature_extractor.", "feature_projection.", "encoder.")  # else it is some head's


def open_model(folder: Path) -> HubertModel:
    """The HuBERT of config.json and model.safetensors in `folder`, in float32, for inference.

    Raises:
        ValueError: it is no HuBERT, or its weights are not what its config describes.
    """
    try:
        model, report = HubertModel.from_pretrained(
            folder,
            dtype=torch.float32,
            attn_implementation="sdpa",
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
        )
    except (OSError, SafetensorError, StrictDataclassError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{folder}: cannot be opened as a HuBERT ({reason})") from None
    missing = sorted(set(report["missing_keys"]) - {_UNUSED})
    if missing:
        raise ValueError(f"{folder}: its weights lack {missing[0]} and {len(missing) - 1} others")
    wrong = sorted(name for name, *_ in report["mismatched_keys"])
    wrong += sorted(
        name
        for name in report["unexpected_keys"]
        if name.removeprefix("hubert.").startswith(_PARTS)
    )
    if wrong:
        raise ValueError(
            f"{folder}: {wrong[0]} and {len(wrong) - 1} others of its weights are not as its"
            " config.json says; fetch both of one revision"
        )
    return model.eval()
