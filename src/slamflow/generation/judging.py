"""Scores of transcripts by a language model behind an API, as in GPTScore.

Any server that speaks OpenAI's chat completions is asked. Its answers may change with what runs
there and cost money, so each is kept as it came, as soon as it came.
"""

import json
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import requests

from slamflow import files, logs, provenance, seals
from slamflow.downloads import retrying
from slamflow.tables import judgements as judgements_table
from slamflow.tables import transcripts as transcripts_table
from slamflow.workers import in_order

TIMEOUT = (30, 300)  # seconds until a connection, and until an answer
AT_ONCE = 4  # requests, unless the machine says otherwise
KEPT = "answers.jsonl"  # in the state folder: digests of what was asked, and the answers
TEXT, PROMPT = "{text}", "{prompt}"
_TASK = (
    "A speech model was given the beginning of a recording and went on speaking by itself. {what}"
    " Judge how well the continuation makes sense after its beginning: 1 is meaningless, 2 mostly"
    " meaningless, 3 partly sensible, 4 mostly sensible and 5 fluent and coherent. Speech"
    " recognition made the transcript, so pay no heed to capitals and punctuation. Answer with one"
    " number from 1 to 5 and nothing else.\n\n"
)
WHOLE = _TASK.format(what="The transcript below holds both.") + f"Transcript: {TEXT}"
APART = (
    _TASK.format(what="The transcripts of both are below.")
    + f"Beginning: {PROMPT}\nContinuation: {TEXT}"
)


def judge(
    config: Mapping[str, Any],
    transcripts: Path,
    output: Path,
    state: Path,
    machine: Mapping[str, Any],
    label: str = "judge_transcripts",
) -> None:
    """Write what a judge says of each transcript that is not empty.

    What was asked and answered before, whole or in a run that failed, is not asked again.

    Args:
        config: `url` of the API, before `/chat/completions`; `model`, its name there;
            `instructions`, in which {text} stands for the transcript and {prompt} for that of the
            prompt if it was heard by itself, or None for those of this module; `key`, the
            environment variable that holds the API's key, or None if it wants none.
        state: a folder of this job's own, in which the answers stay.
        machine: `workers` (requests at once), `retries`, `retry_wait` (s).

    Raises:
        ValueError: there is no key, the prompt is asked for and not known, or the server refuses
            or answers what is no chat completion.
    """
    rows = files.read_table(transcripts, transcripts_table.SCHEMA).to_pylist()
    apart = any(row["prompt"] is not None for row in rows)
    instructions = str(config.get("instructions") or (APART if apart else WHOLE))
    if PROMPT in instructions and not apart:
        raise ValueError(
            f"judge.instructions hold {PROMPT}, and {transcripts} has no prompts by themselves;"
            " write `transcription: {prompt: given}`"
        )
    patience = retrying.Patience(machine.get("retries", 7), machine.get("retry_wait", 1.0))
    url, headers = f"{str(config['url']).rstrip('/')}/chat/completions", _headers(config)
    known, writing = _kept(state / KEPT), threading.Lock()

    def answered(row: Mapping[str, Any]) -> str | None:
        if not row["text"].strip():
            return None
        said = {TEXT: row["text"], PROMPT: row["prompt"] or ""}
        asked = re.sub("|".join(said), lambda found: said[found[0]], instructions)
        body = {"model": config["model"], "temperature": 0}
        body["messages"] = [{"role": "user", "content": asked}]
        digest = provenance.digest(provenance.canonical_json([url, body]))
        if digest in known:
            return known[digest]
        try:
            answer = patience(lambda: _ask(url, headers, body))
        except (retrying.Passing, retrying.Refused) as error:
            raise ValueError(f"judge: {error}; check `url`, `model` and the key") from None
        with writing, (state / KEPT).open("a", encoding="utf-8") as file:
            line = json.dumps(seals.sealed({"asked": digest, "answer": answer}))
            file.write(f"\n{line}")  # one that was cut short has ended
        return answer

    progress = logs.Progress(label, len(rows), "transcripts")
    made = []
    found = in_order(answered, rows, int(machine.get("workers") or AT_ONCE))
    for row, answer in zip(rows, found, strict=True):
        made.append({"id": row["id"], "score": score(answer or ""), "answer": answer})
        progress.update(len(made))
    schema = judgements_table.SCHEMA
    files.write_table(pa.Table.from_pylist(made, schema=schema), output, schema)


def score(answer: str) -> int | None:
    """The number from 1 to 5 that an answer has, if there is no other in it; `4/5` is 4."""
    plain = re.sub(r"(\d)\s*(?:/|out of)\s*5\b", r"\1", answer)
    numbers = set(re.findall(r"\d+(?:\.\d+)?", plain))
    return int(numbers.pop()) if len(numbers) == 1 and numbers <= set("12345") else None


def _kept(path: Path) -> dict[str, str]:
    """Answers by the digest of what was asked; a line that is cut short or damaged is no answer."""
    found = {}
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.splitlines():
        try:
            match seals.opened(json.loads(line)):
                case {"asked": str(asked), "answer": str(answer)}:
                    found[asked] = answer
                case [str(asked), str(answer)]:  # of older versions
                    found[asked] = answer
        except ValueError:
            continue
    return found


def _headers(config: Mapping[str, Any]) -> dict[str, str]:
    name = config.get("key")
    if name is None:
        return {}
    if not os.environ.get(name):
        raise ValueError(
            f"judge: the environment variable {name} is not set; set it to the key of"
            f" {config['url']}, or write `key: null` if it wants none"
        )
    return {"Authorization": f"Bearer {os.environ[name]}"}


def _ask(url: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> str:
    try:
        reply = requests.post(url, json=body, headers=dict(headers), timeout=TIMEOUT)
    except requests.RequestException as error:
        raise retrying.Passing(f"{url}: {retrying.cause(error)}") from None
    if not reply.ok:
        raise retrying.refusal(reply.status_code, reply.reason, reply.headers, url)
    try:
        return str(reply.json()["choices"][0]["message"]["content"] or "")
    except (ValueError, LookupError, TypeError):
        raise ValueError(f"judge: {url} answers what is no chat completion") from None
