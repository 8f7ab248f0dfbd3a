"""A judge behind an API: what it is asked, waiting, keys, answers that cannot be read."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from loopback import Headers, Reply, Server, json_reply, serving

from slamflow import files
from slamflow.generation import judging
from slamflow.tables import judgements as judgements_table
from slamflow.tables import transcripts as transcripts_table

SAID = ["the dog ran home", "", "ball the the", "lily went home"]
ANSWERS = {"the dog ran home": "5", "ball the the": "Score: 2/5", "lily went home": "1 or 5?"}
MACHINE = {"retries": 2, "retry_wait": 0.01, "workers": 2}


class Judge(Server):
    """Chat completions; `faults` come before answers, each once."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[dict[str, Any]] = []
        self.refusing: list[Reply] = []
        self.passing = 0  # answers before what is refused

    def receive(self, method: str, path: str, headers: Headers, body: bytes) -> Reply:
        if path != "/v1/chat/completions" or method != "POST":
            return Reply(404)
        if headers.get("authorization") != "Bearer secret":
            return Reply(401)
        if self.refusing and not self.passing:
            return self.refusing.pop()
        self.passing = max(0, self.passing - 1)
        self.bodies.append(json.loads(body))
        [message] = self.bodies[-1]["messages"]
        said = next(text for text in ANSWERS if text in message["content"])
        return json_reply(
            {"choices": [{"message": {"role": "assistant", "content": ANSWERS[said]}}]}
        )


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Iterator[Judge]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("JUDGE_KEY", "secret")
    with serving(Judge()) as server:
        assert isinstance(server, Judge)
        yield server


def config(judge: Judge, **changes: Any) -> dict[str, Any]:
    plain = {"url": f"{judge.address}/v1/", "model": "some-judge", "key": "JUDGE_KEY"}
    return {**plain, "instructions": None, **changes}


def write(path: Path, prompts: list[str] | None = None) -> Path:
    rows = [
        {"id": f"u{i}", "prompt": prompts and prompts[i], "text": text, "engine": "sphinx"}
        for i, text in enumerate(SAID)
    ]
    schema = transcripts_table.SCHEMA
    files.write_table(pa.Table.from_pylist(rows, schema=schema), path, schema)
    return path


def test_every_transcript_that_is_not_empty_is_judged(judge: Judge, tmp_path: Path) -> None:
    judge.refusing = [Reply(503), Reply(429, b"", {"Retry-After": "0"})]
    output = tmp_path / "j.parquet"
    judging.judge(config(judge), write(tmp_path / "t.parquet"), output, tmp_path, MACHINE)
    rows = files.read_table(output, judgements_table.SCHEMA).to_pylist()
    assert [row["score"] for row in rows] == [5, None, 2, None]
    assert [row["answer"] for row in rows] == ["5", None, "Score: 2/5", "1 or 5?"]
    assert len(judge.bodies) == 3
    assert {(body["model"], body["temperature"]) for body in judge.bodies} == {("some-judge", 0)}


def test_prompts_and_own_instructions_are_filled_in(judge: Judge, tmp_path: Path) -> None:
    table = write(tmp_path / "t.parquet", ["one {text}", "two", "three", "four"])
    own = config(judge, instructions="Begins {prompt}; goes on: {text}.")
    judging.judge(own, table, tmp_path / "j.parquet", tmp_path, {**MACHINE, "workers": 1})
    asked = [body["messages"][0]["content"] for body in judge.bodies]
    assert asked[1] == "Begins three; goes on: ball the the."
    assert asked[0] == "Begins one {text}; goes on: the dog ran home."
    judging.judge(config(judge), table, tmp_path / "k.parquet", tmp_path, MACHINE)
    last = judge.bodies[-1]["messages"][0]["content"]
    assert "Beginning: " in last and "{" not in last.replace("{text}", "")
    alone = write(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"has no prompts by themselves"):
        judging.judge(own, alone, tmp_path / "l.parquet", tmp_path, MACHINE)


def test_answers_outlive_what_fails(judge: Judge, tmp_path: Path) -> None:
    """Each is paid for once, though the first run fails, and one answer breaks off."""
    table, output, one = write(tmp_path / "t.parquet"), tmp_path / "j.parquet", {"workers": 1}
    judge.passing, judge.refusing = 1, [Reply(400)] * 3
    with pytest.raises(ValueError, match=r"judge: .* answered 400"):
        judging.judge(config(judge), table, output, tmp_path, {**MACHINE, **one})
    assert len(judge.bodies) == 1 and not output.exists()
    with (tmp_path / judging.KEPT).open("a") as file:
        file.write('\n["5a", "4')  # the writing of another one was killed
    short = Reply(200, b"{", {"Content-Length": "99", "Connection": "close"})
    judge.refusing = [short]
    for _ in range(2):
        judging.judge(config(judge), table, output, tmp_path, {**MACHINE, **one})
        rows = files.read_table(output, judgements_table.SCHEMA).to_pylist()
        assert [row["score"] for row in rows] == [5, None, 2, None]
        assert len(judge.bodies) == 3
    other = config(judge, model="another-judge")
    judging.judge(other, table, output, tmp_path, MACHINE)
    assert len(judge.bodies) == 6


def test_a_damaged_answer_is_asked_for_again(judge: Judge, tmp_path: Path) -> None:
    table, output, kept = write(tmp_path / "t.parquet"), tmp_path / "j.parquet", judging.KEPT
    judging.judge(config(judge), table, output, tmp_path, MACHINE)
    found = files.read_table(output, judgements_table.SCHEMA)
    asked, lines = len(judge.bodies), (tmp_path / kept).read_text().splitlines()
    lines[1] = re.sub(r'(?<="answer": ")', "4", lines[1])
    (tmp_path / kept).write_bytes("\n".join(lines).encode() + b"\n\xff\n5\n[]")
    judging.judge(config(judge), table, output, tmp_path, MACHINE)
    assert len(judge.bodies) == asked + 1
    assert files.read_table(output, judgements_table.SCHEMA).equals(found)


def test_what_cannot_be_is_said_in_one_line(
    judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, output = write(tmp_path / "t.parquet"), tmp_path / "j.parquet"
    judge.refusing = [Reply(503)] * 30
    with pytest.raises(ValueError, match=r"judge: .* answered 503 .*; check `url`, `model`"):
        judging.judge(config(judge), table, output, tmp_path, MACHINE)
    judge.refusing = [json_reply({"error": "no"})] * 30
    with pytest.raises(ValueError, match="answers what is no chat completion"):
        judging.judge(config(judge), table, output, tmp_path, MACHINE)
    judge.refusing = []
    monkeypatch.setenv("JUDGE_KEY", "wrong")
    with pytest.raises(ValueError, match=r"judge: .* answered 401") as refused:
        judging.judge(config(judge), table, output, tmp_path, MACHINE)
    assert "wrong" not in str(refused.value)
    monkeypatch.delenv("JUDGE_KEY")
    with pytest.raises(ValueError, match="the environment variable JUDGE_KEY is not set"):
        judging.judge(config(judge), table, output, tmp_path, MACHINE)
    assert not output.exists()


SCORES = {"4": 4, " **3**\n": 3, "Score: 5.": 5, "2 out of 5": 2, "5/5": 5, "1 - poor": 1}
UNREADABLE = ("", "0", "6", "10", "3.5", "between 2 and 4")


@pytest.mark.parametrize("answer", [*SCORES, *UNREADABLE])
def test_scores_of_answers(answer: str) -> None:
    assert judging.score(answer) == SCORES.get(answer)
