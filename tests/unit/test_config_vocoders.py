"""Vocoders in the config: what is refused, and what reaches the stages."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from slamflow.config.load import load
from slamflow.config.plan import Plan

ROOT = Path(__file__).parents[2]
RELEASED = (
    "vocoders: {lj: {kind: released, tokeniser: hubert, folder: lj, weights: g.pt, voice: lj}}\n"
)
SPOKEN = "benchmarks: {spoken: {corpus: story-cloze, sampling: {}, vocoder: NAME}}\n"
ASKED = "evaluate: [{models: [MODEL], benchmarks: [spoken]}]\n"
OTHER = """tokenisers:
  small: {like: hubert, kmeans: {clusters: 100}}
  high: {like: hubert, kmeans: {layer: 3}}
mixtures: {other: {like: stories, tokeniser: TOKENISER}}
models: {other: {like: slm, mixture: other}}
"""
AGAIN = """questions:
  why: {about: Why so, arms: {a: [slm], b: [other]}, baseline: a, benchmarks: [spoken]}
"""
MEL = "vocoders: {vocoder-pocket: %s}"
GAN = """vocoders:
  gan:
    kind: hifigan
    tokeniser: hubert
    corpora: [stories]
    architecture: {upsample_rates: [5, 4, 4, 2, 2]}
    training: {budget: {steps: 1}}
"""


def plan(text: str) -> Plan:
    return Plan(load(ROOT, {"recipe": "vocoder_pocket", **yaml.safe_load(text)}), ROOT)


def block(made: Plan, rule: str, **names: str) -> Any:
    return json.loads(made.block(rule)(SimpleNamespace(**names)))


def spoken(vocoder: str, model: str, tokeniser: str = "small") -> str:
    return (
        (OTHER + SPOKEN + ASKED + RELEASED)
        .replace("NAME", vocoder)
        .replace("MODEL", model)
        .replace("TOKENISER", tokeniser)
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (MEL % "{speech: [stories-f3]}",
         "vocoders.vocoder-pocket: `speech` needs one for each of `corpora`, 2, not 1"),
        (MEL % "{speech: [f3-stories, f3-stories]}",
         "vocoders.vocoder-pocket.speech: f3-stories has another source than stories, and should"
         " say the same"),
        ("corpora: {stories-f3: {speech: {shards: 3}}}",
         "vocoders.vocoder-pocket.speech: stories-f3 has 3 shards, and stories has 2"),
        (MEL % "{tokeniser: phones}",
         "vocoders.vocoder-pocket.tokeniser: phones has no units of speech"),
        (MEL % "{architecture: {kernel: 4}}",
         "vocoders.vocoder-pocket.architecture: kernel 4 must be odd"),
        (MEL % "{quality: {corpora: [nothing]}}",
         "vocoders.vocoder-pocket.quality.corpora: there is no corpora.nothing"),
        ("vocoders: {mine: {kind: shipped, tokeniser: hubert, path: mine}}",
         "vocoders.mine.path: there is no mine/config.json: mend the path, or put the"
         " vocoder there"),
        (RELEASED.replace("folder: lj, ", ""),
         "vocoders.lj: needs either `download` or `folder`"),
        (SPOKEN.replace("NAME", "vocoder-pocket").replace("sampling: {}, ", ""),
         "benchmarks.spoken.vocoder: has nothing to speak: add `sampling`"),
        (spoken("vocoder-pocket", "other", "high"),
         "evaluate.0.models: vocoder-pocket, which speaks spoken, does not speak the units of"
         " other"),
        (spoken("lj", "other"),
         "evaluate.0.models: lj, which speaks spoken, does not speak the units of other"),
        (spoken("vocoder-pocket", "topline"),
         "evaluate.0.models: vocoder-pocket, which speaks spoken, does not speak the units of"
         " topline"),
        (spoken("vocoder-pocket", "other").replace("{clusters: 100}", "{padding: 40}"),
         "evaluate.0.models: vocoder-pocket, which speaks spoken, does not speak the units of"
         " other"),
        (spoken("vocoder-pocket", "slm", "high") + AGAIN,
         "questions.why.benchmarks: vocoder-pocket, which speaks spoken, does not speak the units"
         " of other"),
        ("tokenisers: {quick: {features: mfcc, corpora: [stories], kmeans: {clusters: 50,"
         " frames: 1000, frame_rate: 50}}}\n" + MEL % "{tokeniser: quick}",
         "vocoders.vocoder-pocket.tokeniser: frames of quick have 320 samples, and mels need a"
         " multiple of 128: use kind: hifigan"),
        ("tokenisers: {slow: {features: mfcc, corpora: [stories], kmeans: {clusters: 50,"
         " frames: 1000}}}\n" + GAN.replace("hubert", "slow"),
         "vocoders.gan.architecture.upsample_rates: multiply to 320, but frames of slow have 640"
         " samples"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(text: str, line: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        plan(text)
    assert str(caught.value).partition(": ")[2].startswith(line)


def test_who_speaks_which_units() -> None:
    plan(spoken("vocoder-pocket", "other"))  # another codebook of the same features
    plan(spoken("lj", "slm"))


def test_a_shipped_vocoder_speaks_what_its_kind_does(tmp_path: Path) -> None:
    shipped = f"vocoders: {{mine: {{kind: shipped, tokeniser: hubert, path: {tmp_path}}}, "
    text = spoken("mine", "other").replace("vocoders: {", shipped)
    (tmp_path / "model.safetensors").touch()
    for kind, speaks in (("unit_mel", True), ("code_hifigan", False)):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
        if speaks:
            plan(text)
            continue
        with pytest.raises(ValueError, match="mine, which speaks spoken, does not speak the units"):
            plan(text)


def test_what_a_training_is_made_of() -> None:
    made = plan("vocoders: {own: {like: vocoder-pocket, speech: null}}")
    names = ("stories/0000", "stories/0001", "f3-stories/0000")
    units = [f"results/units/hubert/{name}.parquet" for name in names]
    speech = [path.replace("units/hubert", "speech") for path in units]
    assert made.vocoder_units("vocoder-pocket") == made.vocoder_units("own") == units
    assert made.vocoder_pace("vocoder-pocket") == speech
    assert made.vocoder_speech("vocoder-pocket") == [
        path.replace("/stories/", "/stories-f3/") for path in speech
    ]
    assert made.vocoder_speech("own") == speech and made.vocoder_pace("own") == []
    found = block(made, "train_vocoder", vocoder="own")
    assert set(found) == {"kind", "voice", "hours", "held_out", "architecture", "training"}
    assert block(made, "measure_vocoder", vocoder="own") == {"utterances": 20}


def test_released_and_shipped_ones() -> None:
    made = plan(
        "downloads: {twist: {kind: archive, archives: [{url: 'http://a.b/g.zip'}]}}\n"
        "vocoders:\n"
        "  lj: {kind: released, tokeniser: hubert, download: twist, weights: g.pt, voice: lj}\n"
        "  mine: {kind: released, tokeniser: hubert, folder: lj, weights: g.pt, voice: lj}\n"
    )
    assert block(made, "convert_vocoder", vocoder="lj") == {
        "weights": "downloads/twist/g.pt",
        "settings": "downloads/twist/config.json",
        "voice": "lj",
    }
    assert block(made, "convert_vocoder", vocoder="mine")["weights"] == "lj/g.pt"
    assert made.released("lj") == ["results/downloads/twist.parquet"] and not made.released("mine")
    assert made.vocoder("lj") == "results/vocoders/lj/model.safetensors"


def test_each_kind_has_the_code_of_its_own_task() -> None:
    made = plan(
        "vocoders: {gan: {kind: hifigan, tokeniser: hubert, corpora: [stories],"
        " training: {budget: {steps: 1}}}}"
    )
    digests = {
        made.code("train_vocoder")(SimpleNamespace(vocoder=name))
        for name in ("gan", "vocoder-pocket")
    }
    assert len(digests) == 2
