"""`slamflow upload`: a model with its tokeniser and card to a Hugging Face hub."""

import argparse
import re
from pathlib import Path
from typing import Any

from slamflow.commands import options

TEXT = """\
Upload a model with its tokeniser, its card and its results to a Hugging Face hub. The token is
HF_TOKEN of the environment, or that of `hf auth login`; the hub is HF_ENDPOINT, if it is set. A
HuBERT that the hub has is named; another one is uploaded, too."""
EXAMPLE = """\
  slamflow upload --model results/models/slm-dpo --tokeniser results/tokenisers/hubert \\
      --repository user/name --private"""
MODEL = ("config.json", "generation_config.json", "model.safetensors", "training.parquet")
TOKENISER = ("kmeans.safetensors", "phones.json", "tokenizer.json", "quality.json")
HUBERT = ("config.json", "preprocessor_config.json", "model.safetensors", "card.md")
VOCODER = ("config.json", "model.safetensors", "training.parquet", "card.md")
FETCHED = ("*.json", "*.safetensors", "*.md", "*.parquet", "eval.tsv")  # of one uploaded before
OURS = re.compile(r"(tokeniser|vocoder)/|eval\.tsv$")  # what a repository has of one upload only


def add(commands: Any) -> None:
    """Add the command."""
    parser = options.command(commands, run, "upload", TEXT, EXAMPLE)
    options.model(parser)
    options.tokeniser(parser)
    parser.add_argument(
        "--vocoder",
        metavar="FOLDER",
        help="results/vocoders/NAME, or another such one, to go along (default: the folder"
        " `vocoder` of the model, if it has one)",
    )
    parser.add_argument(
        "--repository", required=True, metavar="USER/NAME", help="made if it is not there"
    )
    parser.add_argument("--private", action="store_true", help="make it a private one")
    parser.add_argument("--licence", metavar="ID", help="as the hub names it, e.g. mit")
    parser.add_argument(
        "--results",
        type=Path,
        metavar="PATH",
        help="whose rows go into the card (default: eval.tsv beside the folder of models, or that"
        " which was uploaded with the model)",
    )


def run(args: argparse.Namespace) -> None:
    """Upload, and say how to load it.

    Raises:
        ValueError: something is missing, or the hub refuses it.
    """
    from slamflow import pretrained
    from slamflow.commands import opening, readme, speaking

    model = opening.model(args.model, FETCHED)
    pretrained.check(model)
    place = opening.tokeniser_folder(args.tokeniser, model)
    speech = (place / opening.CODEBOOK).is_file()
    contents: dict[str, Path | bytes] = dict(_files(model, MODEL, "", needed=MODEL[2]))
    contents |= _files(place, TOKENISER, f"{opening.TOKENISER}/")
    if speech:
        contents |= _hubert(opening.tokeniser(args.tokeniser, args.hubert, model))
    if args.vocoder or (model / opening.VOCODER).is_dir():
        vocoder = speaking.folder(args.vocoder, model)
        pretrained.check(vocoder)
        contents |= _files(vocoder, VOCODER, f"{opening.VOCODER}/", needed=VOCODER[1])
    found = _results(args.results, model)
    if found is not None and len(found):
        contents["eval.tsv"] = found.to_csv(sep="\t", index=False).encode()
    text = readme.text(model, args.repository, found, speech, args.licence)
    contents["README.md"] = text.encode()
    url = _send(args.repository, args.private, contents)
    print(
        f"{url}\nfrom transformers import AutoModelForCausalLM\n"
        f'model = AutoModelForCausalLM.from_pretrained("{args.repository}")'
    )
    if speech:
        print(f"# slamflow generate --model {args.repository} in.wav out.wav")


def _results(given: Path | None, model: Path) -> Any:
    """What is known of a model's results: a table, or None."""
    from slamflow.commands import readme

    before = model / "eval.tsv"  # uploaded with it, so that all its rows are about it
    if given is None and before.is_file():
        return readme.results(before)
    evaluated = given or model.parent.parent / "eval.tsv"
    return readme.results(evaluated, model.name) if given or evaluated.is_file() else None


def _files(folder: Path, names: tuple[str, ...], prefix: str, needed: str = "") -> dict[str, Path]:
    """Those files that a folder has, by their paths in the repository."""
    found = {f"{prefix}{name}": folder / name for name in names if (folder / name).is_file()}
    if not found or (needed and f"{prefix}{needed}" not in found):
        raise ValueError(f"{folder}: has no {needed or ' or '.join(names[:-1])}")
    return found


def _hubert(tokeniser: Any) -> dict[str, Path | bytes]:
    """The HuBERT of a tokeniser: its weights, or where the hub has them."""
    import json

    from slamflow.commands import opening

    if tokeniser.place is not None:
        commit = tokeniser.hubert.parent.name  # of the hub's cache; a branch may move
        text = json.dumps({**tokeniser.place, "revision": commit}, indent=2, sort_keys=True) + "\n"
        return {f"{opening.TOKENISER}/{opening.REFERENCE}": text.encode()}
    if tokeniser.hubert is None:
        return {}
    return dict(_files(tokeniser.hubert.parent, HUBERT, f"{opening.TOKENISER}/{opening.HUBERT}/"))


def _send(repository: str, private: bool, contents: dict[str, Path | bytes]) -> str:
    """Upload in one commit; returns the repository's address.

    What an earlier upload has left in OURS and is not in this one goes.
    """
    import warnings

    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if not get_token():
        raise ValueError("set HF_TOKEN to a token of the hub that may write")
    api = HfApi()
    operations: list[Any] = [CommitOperationAdd(name, it) for name, it in contents.items()]
    warnings.filterwarnings("ignore", "It seems that you are about to commit a data file")
    try:
        # without a word, an existing repository stays as public as it is
        made = api.create_repo(repository, private=private or None, exist_ok=True)
        found = api.model_info(made.repo_id)
        there = {each.rfilename for each in found.siblings or ()}
        stale = sorted(name for name in there - set(contents) if OURS.match(name))
        operations += [CommitOperationDelete(name) for name in stale]
        if found.private or not private:
            api.create_commit(made.repo_id, operations, commit_message="Upload by slamflow")
            return str(made)
    except (HfHubHTTPError, HFValidationError, OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{repository}: cannot be uploaded to {api.endpoint} ({reason}); check HF_TOKEN, which"
            " must be one that may write there"
        ) from None
    raise ValueError(
        f"{repository}: is there and public; nothing was uploaded: make it private on the hub, or"
        " name another one"
    )
