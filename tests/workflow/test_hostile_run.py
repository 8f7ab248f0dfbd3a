"""Names that a shell, a terminal or YAML would obey, through real runs: nothing is executed."""

import os
from pathlib import Path

import numpy as np
import soundfile
import yaml
from running import TARGET, run_snakemake

from slamflow import files
from slamflow.tables import rejected as rejected_table
from slamflow.tables import sources as sources_table
from slamflow.tables import speech as speech_table

CANARY = "canary"  # below the checkout, where commands run
NAMES = (
    f"$(touch {CANARY})",
    f"`touch {CANARY}`",
    f"';touch {CANARY};'",
    f'" && touch {CANARY} && "',
    f"|touch {CANARY}",
    "-rf",
    "--log",
    " a  b ",
    "line\nbreak\r",
    "tab\t{braces} %s \\n",
    "\x1b[2J\x1b]0;title\x07",
    "<script>alert(1)</script>".replace("/", "∕"),
    "*?[x]~!#",
    "é e\u0301 \u202e right to left 日本",
)
NO_TEXT = b"caf\xe9"  # of another encoding than UTF-8


def write(folder: Path) -> None:
    """Recordings of half a second with such names."""
    folder.mkdir(parents=True)
    wave = 0.3 * np.sin(np.arange(8000) * 0.3)
    soundfile.write(folder / "plain.wav", wave, 16000)
    content = (folder / "plain.wav").read_bytes()
    for name in (*(os.fsencode(name) for name in NAMES), NO_TEXT):
        (Path(os.fsdecode(os.fsencode(folder) + b"/" + name + b".wav"))).write_bytes(content)


def test_paths_and_names_are_never_commands(checkout: Path, tmp_path: Path) -> None:
    """As `data_root`, as a folder in it, and as files that become ids."""
    evil = "".join(NAMES[:8])
    write(tmp_path / evil / evil)
    config = {
        "recipe": "crumb",
        "data_root": str(tmp_path / evil),
        "corpora": {"odd": {"source": {"kind": "audio", "folder": evil, "shards": 1}}},
    }
    (checkout / "config.yaml").write_text(yaml.safe_dump(config))
    target = "results/speech/odd/0000.parquet"
    done = run_snakemake(["--cores", "1", "-p", target], checkout)
    assert not [*checkout.rglob(CANARY), *tmp_path.glob(CANARY)]
    listed = files.read_table(checkout / "results/sources/odd.parquet", sources_table.SCHEMA)
    assert listed["id"].to_pylist().count("plain") == 1
    spoken = files.read_table(checkout / target, speech_table.SCHEMA)["id"].to_pylist()
    assert sorted(spoken) == sorted(["plain", *NAMES])
    left = files.read_table(
        checkout / "results/rejected/odd/0000.parquet", rejected_table.SCHEMA
    ).to_pylist()
    assert [row["reason"] for row in left] == ["path is not UTF-8"]
    assert left[0]["id"] == r"caf\xe9"
    assert "\x1b" not in done.stdout and "\x07" not in done.stdout


def test_an_error_that_names_such_a_file_is_a_plain_line(checkout: Path, tmp_path: Path) -> None:
    name = f"\x1b[2J$(touch {CANARY})\nerror: all is well"
    write(tmp_path / "data" / "x")
    config = {
        "recipe": "crumb",
        "data_root": str(tmp_path / "data"),
        "corpora": {"odd": {"source": {"kind": "audio", "folder": name, "shards": 1}}},
    }
    (checkout / "config.yaml").write_text(yaml.safe_dump(config))
    target = "results/sources/odd.parquet"
    done = run_snakemake(["--cores", "1", target], checkout, check=False)
    assert done.returncode == 1 and not [*checkout.rglob(CANARY)]
    [line] = [line for line in done.stdout.splitlines() if "does not exist" in line]
    assert line.startswith(rf"error: {tmp_path}/data/\x1b[2J$(touch {CANARY}) error: all is well: ")
    assert "\x1b" not in done.stdout


def test_a_config_file_makes_no_objects(checkout: Path) -> None:
    """Snakemake reads it; ours are read by `config.reading`."""
    (checkout / "evil.yaml").write_text(
        f"recipe: !!python/object/apply:os.system ['touch {CANARY}']\n"
    )
    done = run_snakemake(["-n", TARGET, "--configfile", "evil.yaml"], checkout, check=False)
    assert done.returncode == 1 and not (checkout / CANARY).exists()
    assert "Config file is not valid JSON or YAML" in done.stdout
