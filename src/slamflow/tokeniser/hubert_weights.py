"""The weights and the config of a HuBERT, opened together or refused."""

from pathlib import Path

from transformers import HubertModel

from slamflow import pretrained

_UNUSED = "masked_spec_embed"  # training alone needs it
# Others are some head's.
_OTHERS = r"(?!(hubert\.)?(feature_extractor|feature_projection|encoder)\.)"


def open_model(folder: Path) -> HubertModel:
    """The HuBERT of config.json and model.safetensors in `folder`, in float32, for inference.

    Raises:
        ValueError: it is no HuBERT, or its weights are not what its config describes.
    """
    found: HubertModel = pretrained.load(
        HubertModel,
        folder,
        name="HuBERT",
        may_lack=_UNUSED,
        may_hold=_OTHERS,
        attn_implementation="sdpa",
    )
    return found
