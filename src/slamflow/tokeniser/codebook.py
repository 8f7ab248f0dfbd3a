"""What a tokeniser's file says of itself, without torch.

`kmeans.safetensors` holds the centroids and, as metadata, what they belong to; `phones.json`
lists the phones that are the units of a topline; `tokenizer.json` holds the BPE of a text.
"""

import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from slamflow import files, weights

ORIGIN = "origin"  # the key of the metadata


@dataclass(frozen=True)
class Origin:
    """What a codebook was fitted on, or converted for.

    Attributes:
        features: hubert or mfcc.
        layer: the tapped layer of the HuBERT, 0 is the transformer's input; 0 for MFCC.
        clusters: K.
        dimension: width of the features.
        frame_rate: frames a second.
        hubert: SHA-256 of the HuBERT's model.safetensors; empty for MFCC.
        frames: frames that were asked for; the corpora may have fewer. 0 if it was converted.
        seed: drew the frames and the first centroids; 0 if it was converted.
        padding: samples of zeros before and after each wave.
        converted: SHA-256 of the file that it was converted from; empty if it was fitted here.
        centre: s from a wave's beginning to the middle of what its first frame sees, as in
            `encoder.Encoder.centres`.
    """

    features: str
    layer: int
    clusters: int
    dimension: int
    frame_rate: float
    hubert: str
    frames: int
    seed: int
    padding: int = 0
    converted: str = ""
    centre: float = field(kw_only=True)


def write(centroids: np.ndarray, origin: Origin, path: Path) -> None:
    """Write centroids [K, dimension]."""
    assert centroids.shape == (origin.clusters, origin.dimension), centroids.shape
    contents = {"centroids": np.ascontiguousarray(centroids, dtype=np.float32)}
    metadata = {ORIGIN: json.dumps(asdict(origin), sort_keys=True)}
    with files.replacing(path) as temporary:
        weights.seal(io.BytesIO(save(contents, metadata=metadata)), temporary)


def read(path: Path) -> tuple[np.ndarray, Origin]:
    """Centroids [K, dimension] float32, and their origin.

    Raises:
        ValueError: the file is no codebook, or contradicts itself.
    """
    centroids, origin = _open(path)
    texts, times = ("features", "hubert", "converted"), ("frame_rate", "centre")
    for name, value in asdict(origin).items():
        wanted = str if name in texts else (int, float) if name in times else int
        if not isinstance(value, wanted) or (name == "frame_rate" and not origin.frame_rate > 0):
            raise ValueError(f"{path}: its {name} is {value!r}; {files.REMAKE}")
    if centroids.shape != (origin.clusters, origin.dimension) or not np.isfinite(centroids).all():
        raise ValueError(f"{path}: its centroids do not fit its metadata; {files.REMAKE}")
    return centroids, origin


def size(path: Path) -> int:
    """The number of units of a tokeniser: of kmeans.safetensors, phones.json or tokenizer.json.

    Raises:
        ValueError: the file does not say.
    """
    if Path(path).name == "tokenizer.json":
        return _entries(path)
    return len(phones(path)) if Path(path).suffix == ".json" else read(path)[1].clusters


def phones(path: Path) -> list[str]:
    """The labels in a phones.json; a unit is an index into them."""
    try:
        labels = files.read_json(path)["phones"]
    except (KeyError, TypeError):
        raise ValueError(f"{path}: is no list of phones; {files.REMAKE}") from None
    return list(labels)


def _entries(path: Path) -> int:
    try:
        return len(json.loads(Path(path).read_text(encoding="utf-8"))["model"]["vocab"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path}: is no tokenizer.json; {files.REMAKE}") from None


def check(origin: Origin, path: Path, hubert: str | None, dimension: int | None = None) -> None:
    """Refuse a codebook that was not fitted on these features.

    Args:
        path: of the codebook, for the message.
        hubert: SHA-256 of the HuBERT at hand; None if there is none.
        dimension: width of the features at hand; None if it is not known yet.

    Raises:
        ValueError: they do not belong together.
    """
    if origin.features == "hubert" and hubert is None:
        raise ValueError(f"{path}: was fitted on a HuBERT's features; give that HuBERT")
    if origin.features == "mfcc" and hubert is not None:
        raise ValueError(f"{path}: was fitted on MFCC, but a HuBERT is given")
    if hubert is not None and hubert != origin.hubert:
        raise ValueError(
            f"{path}: was fitted on another HuBERT ({origin.hubert[:12]}…, not {hubert[:12]}…);"
            f" {files.REMAKE}"
        )
    if dimension is not None and dimension != origin.dimension:
        raise ValueError(
            f"{path}: its centroids have {origin.dimension} dimensions, the features of layer"
            f" {origin.layer} have {dimension}; {files.REMAKE}"
        )


def _open(path: Path) -> tuple[np.ndarray, Origin]:
    weights.check(path)
    try:
        with safe_open(path, framework="numpy") as file:
            origin = Origin(**json.loads((file.metadata() or {})[ORIGIN]))
            return file.get_tensor("centroids"), origin
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: is no codebook ({error}); {files.REMAKE}") from None
