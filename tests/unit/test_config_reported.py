"""What a config tells `report.html`."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from slamflow import provenance
from slamflow.config import blocks, reported
from slamflow.config.load import load

ROOT = Path(__file__).parents[2]


def _block(**values: Any) -> dict[str, Any]:
    """What `write_report` is told of a config, as it reaches the job."""
    block = blocks.block(load(ROOT, values), "write_report", None)
    return dict(json.loads(provenance.canonical_json(block)))


def test_only_what_says_so_is_a_published_storycloze() -> None:
    """Sets of many speakers have the same layout, and may have any name."""
    source = {"folder": "SpokenStoryCloze/tSC-multispeaker", "published": None}
    many = _block(recipe="slam", corpora={"topic-storycloze": {"source": source}})
    assert "topic-storycloze" not in [its["benchmark"] for its in many["official"]]
    values = {"recipe": "slam", "corpora": {"topic-storycloze": {"source": {"published": None}}}}
    corpus = SimpleNamespace(corpus="topic-storycloze")
    for rule in ("list_source", "cut_audio"):
        one, other = (
            blocks.block(load(ROOT, each), rule, corpus) for each in ({"recipe": "slam"}, values)
        )
        assert one == other  # it reruns nothing


def test_what_the_config_says() -> None:
    block = _block(recipe="slam")
    official = {its["benchmark"]: (its["set"], its["split"]) for its in block["official"]}
    assert official["sblimp-dev"] == ("sBLIMP", "dev")
    assert official["swuggy-dev"] == ("sWUGGY", "dev")
    assert official["spoken-storycloze"] == ("sSC", "")
    assert official["topic-storycloze"] == ("tSC", "")
    # the paper's GenPPL, by two benchmarks, since an aligned model's sampling differs
    assert sorted(block["generated"]) == sorted({it["benchmark"] for it in block["spoken"]})
    assert len(block["generated"]) == 2
    spoken = {it["model"]: it for it in block["spoken"]}
    assert spoken["slam"]["weights"] == "results/vocoders/twist"
    benchmark = spoken["slam"]["benchmark"]
    files = reported.files(load(ROOT, {"recipe": "slam"}), [("slam", benchmark)])
    assert f"results/voices/twist/slam/{benchmark}.parquet" in files
    assert block["models"][0] == {
        "name": "slam",
        "kind": "aligned",
        "start": "slam-pretrained",
        "trained_on": "spokenswag",
    }
    assert [its["name"] for its in block["models"]] == ["slam", "slam-pretrained"]
    assert ["libri-light", 500] in block["corpora"] and block["tokenisers"] == ["slam"]
    found = _block(recipe="pocket")
    assert found["official"] == []
    kinds = {its["name"]: its["kind"] for its in found["models"]}
    assert kinds["slm"] == "trained" and kinds["topline"] == "topline"
    assert kinds["untrained"] == "untrained" and kinds["bigram"] == "n-gram"
