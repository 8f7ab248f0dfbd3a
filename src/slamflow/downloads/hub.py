"""Downloads from the Hugging Face hub.

huggingface_hub finds the commit and lists its files; the files come through `transfer`, since that
library begins a file anew when it was killed, and keeps none of its parts.
"""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import filter_repo_objects

from slamflow import files, logs
from slamflow.downloads import retrying, space, transfer, unpacking
from slamflow.downloads.place import RECORD, Place, Row, all_done

T = TypeVar("T")


def fetch(config: Mapping[str, Any], place: Place) -> tuple[str, list[Row]]:
    """Fetch the files of a repository into `place.files`.

    The token is HF_TOKEN of the environment, the hub HF_ENDPOINT, if they are set.

    Args:
        config: `repository`, `type`, `revision` and `patterns`, which may be None.

    Returns:
        The commit, and the files by path.

    Raises:
        ValueError: no such repository, commit or file; or it is refused, or for hours; or a file
            is not what the hub says it is; or the disk has too little room.
        retrying.Passing: the hub cannot be reached.
        OSError: the disk is full.
    """
    endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
    token = os.environ.get("HF_TOKEN") or None
    api = HfApi(endpoint=endpoint, token=token or False)
    refused = functools.partial(_refused, config, endpoint)
    try:
        commit = _commit(api, config, place)
        logs.info(f"{config['repository']} at {config['revision']} is commit {commit}")
        wanted = _matching(_listed(api, config, commit, place), config)
        sources = {
            file.path: transfer.Source(
                hf_hub_url(
                    config["repository"],
                    file.path,
                    repo_type=config["type"],
                    revision=commit,
                    endpoint=endpoint,
                ),
                file.size,
                f"sha256:{file.lfs.sha256}" if file.lfs else f"git:{file.blob_id}",
                token,
            )
            for file in wanted
        }
        _download(sources, place)
    except OfflineModeIsEnabled:
        raise ValueError(
            f"{config['repository']}: HF_HUB_OFFLINE is set; unset it and run again"
        ) from None
    except HfHubHTTPError as error:
        missing = isinstance(error, RevisionNotFoundError)
        raise refused(error.response.status_code, missing) from None
    except retrying.Refused as error:
        raise refused(error.status, False, str(error)) from None
    rows = [
        (
            file.path,
            file.size,
            file.lfs.sha256 if file.lfs else files.sha256(place.files / file.path),
        )
        for file in wanted
    ]
    return commit, sorted(rows)


def _commit(api: HfApi, config: Mapping[str, Any], place: Place) -> str:
    """The commit of a revision; a branch stays where it was when the download began."""
    known = place.partial / "commit"
    if known.exists():
        return known.read_text()
    asked = _asking(
        place,
        api,
        lambda: api.repo_info(
            config["repository"],
            repo_type=config["type"],
            revision=config["revision"],
            timeout=transfer.TIMEOUT[1],
        ),
    )
    commit = str(asked.sha)
    with files.replacing(known) as temporary:
        temporary.write_text(commit)
    return commit


def _listed(api: HfApi, config: Mapping[str, Any], commit: str, place: Place) -> list[RepoFile]:
    def ask() -> list[RepoFile]:
        tree = api.list_repo_tree(
            config["repository"], repo_type=config["type"], revision=commit, recursive=True
        )
        return [entry for entry in tree if isinstance(entry, RepoFile)]

    return _asking(place, api, ask)


def _matching(listed: Sequence[RepoFile], config: Mapping[str, Any]) -> list[RepoFile]:
    """The files that match a pattern; each pattern has to match one.

    Raises:
        ValueError: a pattern matches none, or a path is not safe.
    """
    patterns = config["patterns"]
    files = {file.path: file for file in listed if file.path != RECORD}
    for pattern in ["*"] if patterns is None else patterns:
        if not list(filter_repo_objects(files, allow_patterns=[pattern])):
            raise ValueError(
                f"{config['repository']}: none of its {len(files)} files matches {pattern!r};"
                f" mend `patterns` (there is {', '.join(sorted(files)[:3]) or 'no file'})"
            )
    try:
        for path in files:
            unpacking.inside(path)
    except unpacking.Unsafe as error:
        raise ValueError(f"{config['repository']}: refused, {error}") from None
    return [files[path] for path in filter_repo_objects(files, allow_patterns=patterns)]


def _download(sources: Mapping[str, transfer.Source], place: Place) -> None:
    total = sum(source.size or 0 for source in sources.values())
    done = sum(transfer.arrived(place.files / path) for path in sources)
    space.check(total - done, place.partial, "the rest of the download")
    meter = transfer.Meter(place.label, total, done, place.patience.stop)

    def action(path: str) -> Callable[[], None]:
        target = place.files / path
        return lambda: transfer.download(sources[path], target, meter, place.patience)

    # A file that has its name was checked when it got it.
    missing = [path for path in sources if not (place.files / path).exists()]
    all_done([action(path) for path in missing], place)


def _asking(place: Place, api: HfApi, action: Callable[[], T]) -> T:
    """Ask the hub's API, again if need be."""
    host = urlsplit(api.endpoint).netloc

    def ask() -> T:
        try:
            return action()
        except HfHubHTTPError as error:
            reply = error.response
            found = retrying.refusal(reply.status_code, reply.reason_phrase, reply.headers, host)
            raise error if isinstance(found, retrying.Refused) else found from None
        except httpx2.TransportError as error:
            reason = retrying.cause(error)
            raise retrying.Passing(f"{host} cannot be reached ({reason})") from None

    return place.patience(ask)


def _refused(
    config: Mapping[str, Any], endpoint: str, status: int, revision: bool, message: str = ""
) -> ValueError:
    repository = config["repository"]
    folder = {"model": "", "dataset": "datasets/", "space": "spaces/"}[config["type"]]
    page = f"{endpoint}/{folder}{repository}"
    if status in (401, 403):
        if os.environ.get("HF_TOKEN"):
            repair = f"check that the token in HF_TOKEN may read it and accept its terms at {page}"
        else:
            repair = f"accept its terms at {page} and set HF_TOKEN to a token that may read it"
        return ValueError(f"{repository}: the hub refuses it ({status}); {repair}")
    if revision:
        return ValueError(
            f"{repository}: has no revision {config['revision']!r}; see {page}/commits/main"
        )
    if status == 404 and not message:
        return ValueError(
            f"{repository}: there is no such {config['type']} at {endpoint}, or it is private; mend"
            " `repository` or `type`, or set HF_TOKEN"
        )
    return ValueError(f"{repository}: {message or f'the hub answers {status}'}; see {page}")
