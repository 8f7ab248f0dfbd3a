"""The command `slamflow`, as one types it."""

import functools
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from small_results import CLUSTERS, LAYER, ONE, Results, make, wave
from transformers import AutoModelForCausalLM

from slamflow import audio, files
from slamflow.benchmarks import intervals
from slamflow.commands import main
from slamflow.tables import units as units_table
from slamflow.tokeniser import hubert, kmeans, runs, tokenising

ROOT = Path(__file__).parents[2]
Terminal = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return make(tmp_path_factory.mktemp("checkout"))


def status(arguments: tuple[object, ...]) -> int:
    """The exit status of a command."""
    more = [] if arguments[0] == "upload" else ["--threads", "1"]
    return main.main([*map(str, arguments), *more])


def run(capfd: Terminal, *arguments: object) -> tuple[str, str]:
    """What a command prints that ends well: on stdout and on stderr."""
    capfd.readouterr()
    ended = status(arguments)
    out, err = capfd.readouterr()
    assert ended == 0, err
    return out, err


def fails(capfd: Terminal, *arguments: object) -> str:
    """The last line of a command that ends with status 2, and no traceback."""
    capfd.readouterr()
    assert status(arguments) == 2
    out, err = capfd.readouterr()
    assert "Traceback" not in err and not out
    line = err.splitlines()[-1]
    assert line.startswith(f"slamflow {arguments[0]}: error: ")
    return line


@functools.cache
def opened_tokeniser(folder: Path, weights: Path) -> tuple[hubert.Hubert, torch.Tensor]:
    encoder, centroids = tokenising.open_tokeniser(folder / "kmeans.safetensors", weights, ONE)
    assert isinstance(encoder.hubert, hubert.Hubert)
    return encoder.hubert, centroids


def units_of(results: Results, path: Path) -> tuple[list[int], list[int]]:
    """Units and durations of one file, by itself and plainly."""
    opened, centroids = opened_tokeniser(results.tokeniser, results.hubert)
    heard = audio.decode(audio.Recording("", path, None, None), 16_000)
    [features] = hubert.features(opened, [torch.from_numpy(heard)], LAYER)
    found = runs.runs(kmeans.assign(features, centroids).numpy())
    return found[0].tolist(), found[1].tolist()


def test_help_is_there_at_once() -> None:
    """Nothing that takes long is imported for it, and each command says how it is used."""
    source = (
        "import sys; from slamflow.commands import main\n"
        "try: main.main(sys.argv[1:])\n"
        "except SystemExit as end: assert not end.code\n"
        "print(sorted({'torch', 'numpy', 'pyarrow', 'transformers', 'yaml'} & set(sys.modules)))"
    )
    for command in ([], ["generate"], ["score"], ["tokenise"], ["upload"]):
        done = subprocess.run(
            [sys.executable, "-c", source, *command, "--help"], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("[]\n") and f"slamflow {' '.join(command)}" in done.stdout
        assert "example" in done.stdout


def test_what_is_written_of_commands_is_right() -> None:
    """All that is printed as a command line in the page and the helps has options that exist."""
    page = (ROOT / "docs" / "commands.md").read_text()
    texts = [page, main.EXAMPLES, *(command.EXAMPLE for command in main.COMMANDS)]
    lines = re.findall(r"^ *(?:HF_\S+ )?slamflow (.*)$", "\n".join(texts).replace("\\\n", ""), re.M)
    assert len(lines) == 7 + 4 + 4
    made = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert made["project"]["scripts"]["slamflow"] == f"{main.main.__module__}:main"
    for line in lines:
        main.parser().parse_args(shlex.split(line))


def test_an_error_ends_with_status_2() -> None:
    given = ["-m", "slamflow", "tokenise", "--tokeniser", "t", "a.wav", "--out", "u.csv"]
    done = subprocess.run([sys.executable, *given], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("slamflow tokenise: error: --out: u.csv should end in .tsv")


def test_tokenise_gives_the_units_of_the_workflow(
    results: Results, tmp_path: Path, capfd: Terminal
) -> None:
    """In the order of the command line, of any rate and channels, in each kind of table."""
    paths = [
        wave(tmp_path / "b.wav", 1),
        wave(tmp_path / "a.flac", 2, rate=44_100, channels=2),
        wave(tmp_path / "c.wav", 3, rate=8_000),
    ]
    expected = [units_of(results, path) for path in paths]
    assert len(set(expected[0][0])) > 3
    given = ("tokenise", "--tokeniser", results.tokeniser, *paths)
    lines = run(capfd, *given)[0].splitlines()
    assert lines[0] == "file\tseconds\tunits\tdurations"
    for line, path, (units, durations) in zip(lines[1:], paths, expected, strict=True):
        cells = line.split("\t")
        assert cells[0] == str(path) and float(cells[1]) > 0.3
        assert [list(map(int, cell.split())) for cell in cells[2:]] == [units, durations]
    run(capfd, *given, "--out", tmp_path / "units.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "units.jsonl").read_text().splitlines()]
    assert [(row["units"], row["durations"]) for row in rows] == expected
    run(capfd, *given, "--out", tmp_path / "units.parquet")
    table = files.read_table(tmp_path / "units.parquet", units_table.SCHEMA)
    assert table["units"].to_pylist() == [units for units, _ in expected]
    assert table["id"].to_pylist() == list(map(str, paths))


def test_tokenise_takes_folders(results: Results, tmp_path: Path, capfd: Terminal) -> None:
    for name in ("x/2.wav", "x/1.flac", "y.wav"):
        wave(tmp_path / "talks" / name, 4)
    (tmp_path / "talks" / "notes.txt").write_text("no audio")
    out = run(capfd, "tokenise", "--tokeniser", results.tokeniser, tmp_path / "talks")[0]
    names = [line.split("\t")[0] for line in out.splitlines()[1:]]
    assert names == [str(tmp_path / "talks" / name) for name in ("x/1.flac", "x/2.wav", "y.wav")]


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Path]]:
    """Files of pairs; of the last, both members are the same."""
    root = tmp_path_factory.mktemp("members")
    pairs = [(wave(root / f"p{i}.wav", i), wave(root / f"n{i}.wav", 50 + i)) for i in range(5)]
    return [*pairs, (wave(root / "p.wav", 9), wave(root / "n.wav", 9))]


def laid_out(folder: Path, members: list[tuple[Path, Path]], kind: str) -> Path:
    """The pairs in a folder, in groups a and b."""
    lines = ["positive\tnegative\tgroup"]
    for index, pair in enumerate(members):
        group = "ab"[index % 2]
        if kind == "table":
            lines.append("\t".join([*map(str, pair), group]))
            continue
        for path, role in zip(pair, ("positive", "negative"), strict=True):
            if kind == "folders":
                target = folder / role / group / f"{index}.wav"
            else:
                word = {"positive": "correct", "negative": "incorrect"}[role]
                target = folder / group / f"{index}_{word}.wav"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    if kind == "table":
        folder.mkdir()
        (folder / "pairs.tsv").write_text("\n".join(lines) + "\n")
    return folder


def mean_likelihood(network: Any, units: list[int]) -> float:
    """The mean of ln p a token, of one sequence by itself in float64."""
    tokens = torch.tensor([1, *(unit + 2 for unit in units), 1])
    with torch.no_grad():
        terms = network(tokens[None, :-1]).logits[0].log_softmax(-1)
    return float(terms[torch.arange(len(tokens) - 1), tokens[1:]].mean())


def test_tokenise_prints_names_that_a_terminal_would_obey(
    results: Results, tmp_path: Path, capfd: Terminal
) -> None:
    names = ["a\x1b[2J", "b\nc\td", "c\u200d\u202ed"]
    for name in names:
        wave(tmp_path / "odd" / f"{name}.wav", 1)
    printed, said = run(capfd, "tokenise", tmp_path / "odd", "--tokeniser", results.tokeniser)
    lines = [line.split("\t")[0] for line in printed.splitlines()]
    shown = (r"a\x1b[2J", r"b\nc\td", names[2])
    assert lines[1:] == [f"{tmp_path / 'odd' / name}.wav" for name in shown]
    assert "\x1b" not in said


def test_score_is_that_of_each_recording_by_itself(
    results: Results, members: list[tuple[Path, Path]], tmp_path: Path, capfd: Terminal
) -> None:
    network = AutoModelForCausalLM.from_pretrained(results.model, dtype=torch.float64).eval()
    expected = [
        [mean_likelihood(network, units_of(results, path)[0]) for path in pair] for pair in members
    ]
    outcomes = [float(good > bad) for good, bad in expected[:-1]] + [0.5]
    assert 0 < np.mean(outcomes) < 1
    by_group, tables = [0, 2, 4, 1, 3, 5], {}
    for kind in ("table", "folders", "slamkit"):
        folder = laid_out(tmp_path / kind, members, kind)
        given = ("--model", results.model, "--tokeniser", results.tokeniser, folder)
        _, err = run(capfd, "score", *given, "--out", tmp_path / f"{kind}.tsv")
        items = np.array(outcomes)[range(6) if kind == "table" else by_group]
        low, high = intervals.interval([intervals.stratum(items, np.arange(6))])
        said = f"all: {100 * items.mean():.1f} % [{100 * low:.1f}, {100 * high:.1f}] of 6 "
        assert said in err and "\na: " in err and "\nb: " in err
        tables[kind] = pd.read_csv(tmp_path / f"{kind}.tsv", sep="\t").sort_values(
            "group", kind="stable"
        )
    for table in tables.values():
        assert table["group"].tolist() == [*"aaabbb"]
        assert table["outcome"].tolist() == [outcomes[index] for index in by_group]
        for column, role in enumerate(("positive", "negative")):
            scores = [expected[index][column] for index in by_group]
            assert table[f"score_{role}"].tolist() == pytest.approx(scores, rel=1e-5)
    assert str(tmp_path / "folders/positive/a/0.wav") in tables["folders"]["positive"].tolist()
    assert tables["table"]["negative"].tolist()[0] == str(members[0][1])


def test_score_by_another_convention(
    results: Results, members: list[tuple[Path, Path]], tmp_path: Path, capfd: Terminal
) -> None:
    folder = laid_out(tmp_path / "pairs", members, "folders")
    given = ("score", "--model", results.model, "--tokeniser", results.tokeniser, folder)
    means = pd.read_csv(_file(tmp_path, run(capfd, *given)[0]), sep="\t")
    sums = run(capfd, *given, "--convention", "slamkit-sum")[0]
    table = pd.read_csv(_file(tmp_path, sums), sep="\t")
    for index in range(len(table)):
        tokens = len(units_of(results, Path(table["positive"][index]))[0]) + 1
        expected = tokens * means["score_positive"][index]
        assert table["score_positive"][index] == pytest.approx(expected)
    assert "speech whose words are known" in fails(
        capfd, *given, "--convention", "conditional-mean"
    )
    assert "must be one of slamkit-mean" in fails(capfd, *given, "--convention", "best")


def _file(folder: Path, text: str) -> Path:
    (folder / "table.tsv").write_text(text)
    return folder / "table.tsv"


def test_score_leaves_out_what_cannot_be_used(
    results: Results, members: list[tuple[Path, Path]], tmp_path: Path, capfd: Terminal
) -> None:
    folder = laid_out(tmp_path / "pairs", members, "slamkit")
    (folder / "a" / "0_incorrect.wav").unlink()
    (folder / "a" / "0_incorrect.wav").write_bytes(b"no audio")
    (folder / "b" / "1_incorrect.wav").unlink()
    for name in ("x.wav", "y.wav"):
        (folder / name).symlink_to(members[0][0])
    given = ("--model", results.model, "--tokeniser", results.tokeniser, folder)
    out, err = run(capfd, "score", *given)
    assert len(out.splitlines()) == 1 + 4 and " of 4 " in err
    assert "a/0_incorrect.wav: cannot be used (cannot be decoded" in err
    assert "b/1_correct.wav: cannot be used (no partner" in err
    assert "x.wav: cannot be used (unreadable name" in err


def test_generate_speaks_what_the_model_says(
    results: Results, tmp_path: Path, capfd: Terminal
) -> None:
    """The same seed gives the same bytes, another one another continuation of the same prompt."""
    heard = wave(tmp_path / "in.flac", 3, rate=22_050, channels=2)
    given = ("--model", results.model, "--tokeniser", results.tokeniser)
    given = ("generate", *given, "--vocoder", results.vocoder, "--seconds", 0.4, "--new-tokens", 12)
    for name, seed in {"a": 1, "b": 1, "c": 2, "alone": 1}.items():
        more = ("--alone",) if name == "alone" else ()
        run(capfd, *given, *more, "--seed", seed, heard, tmp_path / f"{name}.wav")
    made = {name: (tmp_path / f"{name}.wav").read_bytes() for name in ("a", "b", "c")}
    assert made["a"] == made["b"] != made["c"]
    whole, alone = (soundfile.read(tmp_path / f"{name}.wav") for name in ("a", "alone"))
    assert whole[1] == 16_000 and np.abs(whole[0]).max() > 0.01
    assert 0 < len(alone[0]) < len(whole[0])
    run(capfd, *given[:-4], "--seconds", "inf", "--new-tokens", 1, heard, tmp_path / "all.wav")
    assert len(soundfile.read(tmp_path / "all.wav")[0]) > len(whole[0]) - len(alone[0])


def test_generate_needs_room_and_a_fitting_vocoder(
    results: Results, tmp_path: Path, capfd: Terminal
) -> None:
    heard = wave(tmp_path / "in.wav", 3)
    given = ("generate", "--model", results.model, "--tokeniser", results.tokeniser)
    message = fails(capfd, *given, "--vocoder", results.model, heard, tmp_path / "out.wav")
    assert "holds no vocoder" in message
    given = (*given, "--vocoder", results.vocoder)
    message = fails(capfd, *given, "--voice", "s1", heard, tmp_path / "out.wav")
    assert "--voice s1: " in message and message.endswith("speaks as s0")
    message = fails(capfd, *given, heard, tmp_path / "out.mp3")
    assert "should end in .wav or .flac" in message
    assert not list(tmp_path.glob("*out*"))


def test_errors_are_one_line(results: Results, tmp_path: Path, capfd: Terminal) -> None:
    heard, tokeniser = wave(tmp_path / "a.wav", 1), ("--tokeniser", results.tokeniser)
    assert "no such file" in fails(capfd, "tokenise", *tokeniser, tmp_path / "gone.wav")
    (tmp_path / "text.wav").write_text("no audio")
    message = fails(capfd, "tokenise", *tokeniser, heard, tmp_path / "text.wav")
    assert f"{tmp_path / 'text.wav'}: cannot be used (cannot be decoded" in message
    short = tmp_path / "short.wav"
    soundfile.write(short, np.ones(1000) / 2, 16_000)
    assert "too short (0.06 s)" in fails(capfd, "tokenise", *tokeniser, short)
    if not torch.cuda.is_available():
        message = fails(capfd, "tokenise", *tokeniser, heard, "--device", "cuda")
        assert "there is no GPU" in message
    message = fails(capfd, "tokenise", "--tokeniser", tmp_path / "gone", heard)
    assert "no such folder, and no repository of the hub (user/name)" in message
    message = fails(capfd, "tokenise", "--tokeniser", results.model, heard)
    assert "has no kmeans.safetensors" in message
    laid_out(tmp_path / "pairs", [(heard, heard)], "folders")
    message = fails(capfd, "score", "--model", results.model, tmp_path / "pairs")
    assert "--tokeniser: is needed" in message
    message = fails(capfd, "score", "--model", results.tokeniser, *tokeniser, tmp_path / "gone")
    assert "no such folder" in message
    message = fails(capfd, "score", "--model", results.model, *tokeniser, results.root)
    assert "holds no pairs, which are a table pairs.tsv" in message


def test_the_hubert_must_be_the_tokenisers(
    results: Results, tmp_path: Path, capfd: Terminal
) -> None:
    """It is found by what it is; another one, or none, is refused."""
    heard = wave(tmp_path / "a.wav", 1)
    alone = tmp_path / "units"
    alone.mkdir()
    (alone / "kmeans.safetensors").symlink_to(results.tokeniser / "kmeans.safetensors")
    assert "give --hubert" in fails(capfd, "tokenise", "--tokeniser", alone, heard)
    given = ("tokenise", "--tokeniser", alone, heard)
    assert run(capfd, *given, "--hubert", results.hubert.parent)[0].count("\n") == 2
    shipped = ROOT / "resources" / "hubert-pocket"
    assert "was fitted on another HuBERT" in fails(capfd, *given, "--hubert", shipped)


def test_a_model_of_other_units_is_refused(
    results: Results, tmp_path: Path, capfd: Terminal
) -> None:
    other = tmp_path / "model"
    other.mkdir()
    config = json.loads((results.model / "config.json").read_text())
    files.write_json({**config, "units": 500}, other / "config.json")
    given = ("score", "--model", other, "--tokeniser", results.tokeniser)
    pairs = laid_out(
        tmp_path / "p", [(wave(tmp_path / "a.wav", 1), wave(tmp_path / "b.wav", 2))], "folders"
    )
    assert f"makes {CLUSTERS} units, but model knows 500" in fails(capfd, *given, pairs)
