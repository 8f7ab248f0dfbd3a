"""Codebooks of others, fairseq's joblib files above all, without running what is in them.

`joblib.dump(MiniBatchKMeans)` is a pickle in which each array is a description, an object of
joblib's, and behind it the array's bytes. See `inert_pickle` for how it is read.
"""

import io
import json
import math
import re
import tokenize
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from slamflow import files
from slamflow.tokeniser import codebook, convolutions
from slamflow.tokeniser.inert_pickle import (
    Made,
    Reading,
    class_of,
    follow,
    of_kind,
    printable,
    unpacked,
)

LARGEST = 1 << 30  # bytes, unpacked
MOST = 65_534  # clusters; units are uint16, and HuBERT's training needs one to mean none
KMEANS = frozenset(
    f"sklearn.cluster.{module}.{name}"
    for module in ("k_means_", "_kmeans")
    for name in ("KMeans", "MiniBatchKMeans")
)
WRAPPERS = frozenset(
    f"{place}joblib.numpy_pickle.NumpyArrayWrapper" for place in ("", "sklearn.externals.")
)
NAMES = (
    KMEANS
    | WRAPPERS
    | {"numpy.dtype", "numpy.ndarray", "_codecs.encode"}
    | {"copy_reg._reconstructor", "copyreg._reconstructor", "__builtin__.object", "builtins.object"}
    | {f"numpy.{core}.multiarray.{name}" for core in ("core", "_core")
       for name in ("_reconstruct", "scalar")}
    | {f"numpy.random.{name}" for name in (
        "__RandomState_ctor", "_mt19937.MT19937", "_pickle.__bit_generator_ctor",
        "_pickle.__randomstate_ctor", "mtrand.RandomState")}
)  # fmt: skip


def convert(config: Mapping[str, Any], source: Path, hubert: Path | None, output: Path) -> None:
    """Write a codebook of others as kmeans.safetensors.

    Args:
        config: `layer` that it is for, `clusters` that it should have (or None), `padding`
            (samples of zeros before and after each wave, default 0).
        source: see `read`.
        hubert: model.safetensors of the HuBERT that it was fitted on; config.json lies beside it.

    Raises:
        ValueError: the source is no codebook, or none of this layer, size or HuBERT.
    """
    if hubert is None:
        raise ValueError(f"{source}: name the HuBERT that it was fitted on")
    centroids = read(source)
    clusters, dimension = centroids.shape
    described = Path(hubert).with_name("config.json")
    try:
        shape = json.loads(described.read_text(encoding="utf-8"))
        size, layers = int(shape["hidden_size"]), int(shape["num_hidden_layers"])
        hop = convolutions.hop(shape["conv_stride"])
        window = convolutions.receptive(shape["conv_kernel"], shape["conv_stride"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{described}: does not describe a HuBERT ({error!r})") from None
    layer, wanted = int(config["layer"]), config.get("clusters")
    if wanted is not None and clusters != int(wanted):
        raise ValueError(f"{source}: has {clusters} clusters; write `clusters: {clusters}`")
    if clusters > MOST:
        raise ValueError(f"{source}: has {clusters} clusters; units can be of {MOST} at most")
    if dimension != size:
        raise ValueError(
            f"{source}: its centroids have {dimension} dimensions, the features of {hubert} have"
            f" {size}; name the HuBERT that it was fitted on"
        )
    if not 0 <= layer <= layers:
        raise ValueError(f"layer: {layer} is none of 0 to {layers}, those of {hubert}")
    padding = int(config.get("padding") or 0)
    origin = codebook.Origin(
        features="hubert",
        layer=layer,
        clusters=clusters,
        dimension=dimension,
        frame_rate=convolutions.SAMPLING_RATE / hop,
        hubert=files.sha256(hubert),
        frames=0,
        seed=0,
        padding=padding,
        converted=files.sha256(source),
        centre=(window / 2 - padding) / convolutions.SAMPLING_RATE,
    )
    codebook.write(centroids, origin, output)


def read(path: Path) -> np.ndarray:
    """Centroids float32 [clusters, dimension] of a codebook.

    Args:
        path: `.npy`, `.safetensors` with one tensor, or else what joblib (0.10 and later) made of a
            KMeans or MiniBatchKMeans of scikit-learn, plain or compressed by zlib or gzip.

    Raises:
        ValueError: it is no such file, or asks for anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        if path.suffix == ".npy":
            found = _npy(path)
        elif path.suffix == ".safetensors":
            found = _only_tensor(path)
        else:
            found = _centres(_unpickled(unpacked(path, LARGEST)))
        if found.ndim != 2 or not found.size or found.dtype.kind != "f":
            raise ValueError(f"holds {found.dtype} of shape {found.shape}, not [clusters, size]")
        with np.errstate(over="ignore"):
            centroids = np.ascontiguousarray(found, dtype=np.float32)
        if not np.isfinite(centroids).all():
            raise ValueError("some of its centroids are not finite")
    except (ValueError, OSError, EOFError, SafetensorError) as error:
        reason = printable(str(error).partition("\n")[0]) or type(error).__name__
        raise ValueError(f"{path}: {reason}; not a codebook") from None
    return centroids


def _npy(path: Path) -> np.ndarray:
    try:
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))  # sizes are checked first
    except (tokenize.TokenError, SyntaxError, OverflowError, RecursionError, MemoryError):
        raise ValueError("its header is damaged") from None


def _only_tensor(path: Path) -> np.ndarray:
    with safe_open(path, framework="numpy") as file:
        names = list(file.keys())
        if len(names) != 1:
            raise ValueError(f"holds {len(names)} tensors, not one")
        try:
            return file.get_tensor(names[0])
        except TypeError:  # bfloat16 and the like
            raise ValueError("its tensor is of no type of NumPy's; save it as float32") from None


class _WithArrays(Reading):
    """joblib puts the bytes of an array into the stream behind its description."""

    def __init__(self, stream: io.BytesIO) -> None:
        self.stream = stream

    def built(self, target: Any, state: Any) -> Any:
        made = super().built(target, state)
        wrapped = class_of(made) in WRAPPERS
        return _array(of_kind(made.state, dict), self.stream) if wrapped else made


def _unpickled(data: bytes) -> Any:
    stream = io.BytesIO(data)
    return follow(stream, NAMES, _WithArrays(stream))


def _array(state: dict[str, Any], stream: io.BytesIO) -> np.ndarray:
    """The array behind joblib's description of it; its bytes follow in the stream."""
    shape = [of_kind(size, int) for size in of_kind(state.get("shape"), tuple)]
    if any(size < 0 for size in shape) or len(shape) > 8:
        raise ValueError("damaged (an array of an impossible shape)")
    dtype = _dtype(state.get("dtype"))
    if state.get("numpy_array_alignment_bytes") is not None:  # joblib 1.2 and later
        padding = stream.read(1)
        stream.read(padding[0] if padding else 0)
    wanted = math.prod(shape) * dtype.itemsize
    if wanted > LARGEST or len(data := stream.read(wanted)) < wanted:
        raise ValueError("damaged (an array is longer than the file)")
    order: Any = "F" if state.get("order") == "F" else "C"
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _dtype(made: Any) -> np.dtype:
    code, state = (
        made.arguments[0] if class_of(of_kind(made, Made)) == "numpy.dtype" else "",
        made.state,
    )
    if not isinstance(code, str) or not re.fullmatch("b1|[iu][1248]|f[248]", code):
        raise ValueError("holds arrays of other things than numbers")
    big = isinstance(state, tuple) and len(state) > 1 and state[1] == ">"
    return np.dtype(f"{'>' if big else '<'}{code}")


def _centres(found: Any) -> np.ndarray:
    if not isinstance(found, Made) or (kind := class_of(found)) not in KMEANS:
        raise ValueError("holds no KMeans or MiniBatchKMeans of scikit-learn")
    centres = found.state.get("cluster_centers_") if isinstance(found.state, dict) else None
    if not isinstance(centres, np.ndarray):
        raise ValueError(f"holds a {kind.rpartition('.')[2]} without centroids; fit it first")
    return centres
