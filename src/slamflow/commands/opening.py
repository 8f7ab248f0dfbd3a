"""Models and tokenisers as a command line names them: folders, or repositories of the hub."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from slamflow import files, pretrained
from slamflow.lm import vocabulary
from slamflow.report import run_config
from slamflow.tokeniser import codebook, hubert_places

CODEBOOK, HUBERT, REFERENCE = "kmeans.safetensors", "hubert", "hubert.json"
TOKENISER, VOCODER = "tokeniser", "vocoder"  # folders of a model that was uploaded
CHECKOUT = Path(__file__).parents[3]
SHIPPED = CHECKOUT / "resources"


@dataclass(frozen=True)
class Tokeniser:
    """What makes units of speech.

    Attributes:
        folder: holds `codebook`.
        codebook: kmeans.safetensors.
        hubert: model.safetensors of its HuBERT; None for MFCC.
        place: `model` and `revision` of a HuBERT that the hub has, else None.
    """

    folder: Path
    codebook: Path
    hubert: Path | None
    place: dict[str, Any] | None


def model(given: str, patterns: Sequence[str] = pretrained.FILES) -> Path:
    """The folder of a language model; of the hub's, it has the files with names of `patterns`.

    Raises:
        ValueError: there is none.
    """
    found = folder(given, patterns)
    if not (found / "config.json").is_file():
        raise ValueError(
            f"{given}: has no config.json in transformers' layout; give a folder as"
            " results/models/NAME, or what `slamflow upload` uploaded"
        )
    return found


def folder(given: str, patterns: Sequence[str] = pretrained.FILES) -> Path:
    """A folder as it is, or that of a repository `user/name` or `user/name@revision` of the hub.

    Raises:
        ValueError: it is neither.
    """
    found = pretrained.fetch(_block(given), {}, patterns)
    return Path(os.path.abspath(found))  # `.` has a name, too


def units_of(folder: Path) -> vocabulary.Layout:
    """Where the units of a language model are, by its config.json.

    Raises:
        ValueError: that cannot be read.
    """
    path = folder / "config.json"
    try:
        return vocabulary.layout(SimpleNamespace(**json.loads(path.read_text(encoding="utf-8"))))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: does not say which ids the model has ({error})") from None


def tokeniser(given: str | None, hubert: str | None, model: Path | None = None) -> Tokeniser:
    """A tokeniser of speech, with its HuBERT.

    Args:
        given: a folder with kmeans.safetensors, or a repository of the hub, in which it may lie
            in the folder `tokeniser`; None: that folder of the model.
        hubert: a folder or a repository; None: it is looked for.
        model: of which the units should be.

    Raises:
        ValueError: there is no such tokeniser or HuBERT, or the model knows another number of
            units.
    """
    place = tokeniser_folder(given, model)
    path = place / CODEBOOK
    if not path.is_file():
        raise ValueError(f"{place}: has no {CODEBOOK}, so it makes no units of speech")
    origin = codebook.read(path)[1]
    if model is not None and (known := units_of(model).units) != origin.clusters:
        raise ValueError(
            f"{place}: makes {origin.clusters} units, but {model.name} knows {known}; give the"
            " tokeniser that it was trained on"
        )
    if origin.features != "hubert":
        return Tokeniser(place, path, None, None)
    weights, found = _hubert(place, origin.hubert, hubert)
    codebook.check(origin, path, files.sha256(weights))
    return Tokeniser(place, path, weights, found)


def tokeniser_folder(given: str | None, model: Path | None) -> Path:
    """The folder of a tokeniser, see `tokeniser`.

    Raises:
        ValueError: there is none.
    """
    if given is None:
        if model is None or not (model / TOKENISER).is_dir():
            raise ValueError("--tokeniser: is needed, since the model does not bring its own")
        return model / TOKENISER
    found = folder(given)
    return found / TOKENISER if (found / TOKENISER).is_dir() else found


def _hubert(place: Path, identity: str, given: str | None) -> tuple[Path, dict[str, Any] | None]:
    """The weights of a tokeniser's HuBERT, and where the hub has them, if it is from there.

    Unless it is given, that is the one with this SHA-256 beside the tokeniser, in its results/, in
    resources/ or where the config of the last run has it, or else the hub's that this names.
    """
    if given is not None:
        block = _block(given)
        return hubert_places.weights(block, {}), None if Path(given).is_dir() else block
    results, named = place.parent.parent, _named(place)
    folders = [place / HUBERT, *sorted(results.glob("huberts/*")), *sorted(SHIPPED.glob("*"))]
    if "data_root" in named:  # what the config has: below the checkout, or below data_root
        data = results.parent / Path(named["data_root"]).expanduser()
        download = Path(pretrained.DOWNLOADS, named.get("download") or "")
        folders += [results.parent / (named.get("path") or ""), data / download]
        folders += [root / (named.get("model") or "") for root in (results.parent, data)]
    for each in folders:
        weights = each / hubert_places.WEIGHTS
        if weights.is_file() and files.sha256(weights) == identity:
            return weights, None
    if not named.get("model"):
        raise ValueError(f"{place}: its HuBERT ({identity[:12]}…) was not found; give --hubert")
    block = {"model": named["model"], "revision": named.get("revision")}
    return hubert_places.weights(block, {}), block


def _block(given: str) -> dict[str, Any]:
    """`model` and `revision` of what a command line names."""
    if Path(given).is_dir():
        return {"model": given, "revision": None}
    name, _, revision = given.partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ValueError(f"{given}: no such folder, and no repository of the hub (user/name)")
    return {"model": name, "revision": revision or None}


def _named(place: Path) -> dict[str, Any]:
    """What is said of a tokeniser's HuBERT: beside it, or by the config of the last run."""
    path, config = place / REFERENCE, place.parent.parent / "run_config.yaml"
    if path.is_file():
        found = files.read_json(path)
        if not isinstance(found, dict) or not isinstance(found.get("model"), str):
            raise ValueError(f"{path}: names no `model`; give --hubert")
        return {"model": found["model"], "revision": found.get("revision")}
    if not config.is_file():
        return {}
    run = run_config.read(config)
    name = run.get("tokenisers", {}).get(place.name, {}).get("hubert")
    return {"data_root": run.get("data_root") or ".", **(run.get("huberts", {}).get(name) or {})}
