"""Any program as a voice: what it writes is spoken, what goes wrong is a reason or an error."""

import contextlib
import shutil
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_speaking import by_id, table

from slamflow import audio
from slamflow.synthesis import speaking, voices

TEXTS = ["Tom sat.", 'It\'s {wav} and "$(touch oops)" `id`; &', "He ran away from it all."]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A tone as long as the text, whose pitch is that of the voice; some words make it fail."""
    path = tmp_path / "program.py"
    path.write_text(
        textwrap.dedent(
            """
            import pathlib, subprocess, sys, time, wave
            text, wav, voice, seed = open(sys.argv[1]).read().strip(), *sys.argv[2:]
            if "fail" in text:
                print("some words", file=sys.stderr)
                sys.exit("this went wrong")
            if "sleep" in text:
                subprocess.Popen([sys.executable, "-c", f"import time; time.sleep(60) # {wav}"])
                time.sleep(60)
            if "nothing" in text:
                sys.exit()
            if "meet" in text:
                folder = pathlib.Path(__file__).parent
                (folder / f"{seed}.met").touch()
                for _ in range(50):
                    if len(list(folder.glob("*.met"))) == 2:
                        break
                    time.sleep(0.1)
                else:
                    sys.exit("nobody came")
            if "quick" in text:
                with wave.open(wav, "wb") as file:
                    file.setparams((1, 2, 8000, 0, "NONE", ""))
                    file.writeframes(bytes(range(256)) * 10)
                sys.exit()
            if "broken" in text:
                open(wav, "w").write("RIFF")
                sys.exit()
            import numpy, soundfile
            rate = 8000
            samples = numpy.sin(numpy.arange(len(text) * rate // 10) * float(voice) + int(seed))
            samples = 0.5 * samples * ("silent" not in text)
            if "nan" in text:
                samples[5] = float("nan")
            stereo = numpy.stack([samples, samples], 1)
            soundfile.write(wav, stereo[: 0 if "empty" in text else None], rate, "FLOAT")
            """
        )
    )
    return path


def config(program: Path, renditions: int = 1, **changes: Any) -> dict[str, Any]:
    command = [sys.executable, str(program), "{text_file}", "{wav}", "{voice}", "{seed}"]
    return {
        "speech": {"seed": 1, "renditions": renditions, "shards": 1, "sampling_rate": 16000},
        "synthesiser": {
            "engine": "command",
            "command": command,
            "voices": ["0.5", "0.25"],
            "seconds": 20,
        }
        | changes,
    }


def test_a_program_speaks(program: Path) -> None:
    spoken, rejected = speaking.speak(table(TEXTS), config(program, 3), 0, {"workers": 2})
    assert not rejected.num_rows
    assert spoken["text"].to_pylist() == [text for text in TEXTS for _ in range(3)]
    assert set(spoken["speaker"].to_pylist()) == {"0.5", "0.25"}
    for row in spoken.to_pylist():
        assert row["duration"] == pytest.approx(len(row["text"]) / 10, abs=1e-3)
        assert row["words"] is row["phones"] is row["rate"] is row["pitch"] is None
        samples = audio.read_audio(row, None, 16000)
        pitch = np.abs(np.fft.rfft(samples[:8000])).argmax() / 8000  # cycles a sample
        assert 4 * np.pi * pitch == pytest.approx(float(row["speaker"]), abs=2e-3)
    text = table(TEXTS)
    backwards = text.take([2, 1, 0])
    again, _ = speaking.speak(backwards, config(program, 3), 0, {"workers": 1})
    assert by_id(again) == by_id(spoken)
    assert not Path("oops").exists()  # no shell has read it


def test_what_goes_wrong_is_a_reason(program: Path) -> None:
    texts = ["fine", "fail", "nothing", "broken", "silent", "nan", "empty", "fine, too", "", "—"]
    spoken, rejected = speaking.speak(table(texts), config(program), 0, {"workers": 2})
    assert spoken["id"].to_pylist() == ["t0-r0", "t7-r0"]
    assert rejected["reason"].to_pylist() == [
        "synthesis failed: exit status 1, this went wrong",
        "synthesis failed: the program wrote no wav",
        "synthesis failed: the program wrote an unreadable wav",
        "silent",
        "not finite",
        "silent",
        "empty text",
        voices.NOTHING,
    ]


def test_as_many_run_at_once_as_the_job_has_threads(program: Path) -> None:
    text, machine = table(["meet quick"] * 2), {"workers": None, "threads": 2}
    spoken, rejected = speaking.speak(text, config(program), 0, machine)
    assert spoken.num_rows == 2, rejected["reason"].to_pylist()


def test_a_program_has_its_time_and_leaves_nothing(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    start = time.monotonic()
    settings = config(program, seconds=3)
    spoken, rejected = speaking.speak(table(["sleep", "quick"]), settings, 0, {"workers": 2})
    assert time.monotonic() - start < 20
    assert rejected["reason"].to_pylist() == ["synthesis failed: not done in 3 s"]
    assert spoken["id"].to_pylist() == ["t1-r0"]
    assert not list(folder.iterdir())
    while _runs(str(folder)):  # what was killed ends a moment later
        assert time.monotonic() - start < 20
        time.sleep(0.05)


def _runs(mark: str) -> bool:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes())
    return any(mark.encode() in line for line in lines)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"command": ["no-such-program", "{text}", "{wav}", "{voice}"]},
            "no program `no-such-program`",
        ),
        ({"command": ["cat", "{text}"]}, "needs {wav}, and {text} or {text_file}"),
        ({"command": ["cat", "{wav}"]}, "needs {wav}, and {text} or {text_file}"),
        ({"command": ["cat", "{text}", "{wav}"]}, "differ only if command has {voice}"),
    ],
)
def test_impossible_commands_are_errors(program: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        speaking.speak(table(TEXTS), config(program, **changes), 0, {})


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
@pytest.mark.parametrize("words", [["-t", "{text}"], ["-f", "{text_file}"]])
def test_flite(program: Path, words: list[str]) -> None:
    command = ["flite", "-voice", "{voice}", *words, "-o", "{wav}"]
    long = " ".join(["a", "dog", "sat", "in", "it"] * 20)
    texts = [TEXTS[0], "שלום 😀 naïve \x00 é", "12345", long]
    settings = config(program, 1, command=command, voices=["slt", "rms"])
    spoken, rejected = speaking.speak(table(texts), settings, 0, {"workers": 2})
    assert spoken.num_rows + rejected.num_rows == len(texts)
    rows = by_id(spoken)
    assert 0.5 < rows["t0-r0"]["duration"] < 2 and 10 < rows["t3-r0"]["duration"] < 60
    assert np.abs(audio.read_audio(rows["t0-r0"], None, 16000)).max() > 0.1
    again, _ = speaking.speak(table(texts), settings, 0, {"workers": 1})
    assert again.to_pylist() == spoken.to_pylist()
