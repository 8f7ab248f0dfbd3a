"""What is measured of a vocoder, with real speech, a real recogniser and a vocoder of noise."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
import small_vocoders

from slamflow import files
from slamflow.corpora.generated import stories
from slamflow.generation import vocoder_quality
from slamflow.synthesis import speaking
from slamflow.tables import speech as speech_table
from slamflow.tokeniser import kmeans
from slamflow.tokeniser import units as units_stage
from slamflow.vocoder import released

ONE = {"threads": 1, "device": "cpu"}
VOICE = {"engine": "espeak", "voices": ["en-us+f3"], "rates": [165, 165], "pitches": [50, 50]}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Five short stories, their units of 20 MFCC centroids, and a vocoder with random weights."""
    folder = tmp_path_factory.mktemp("given")
    told = stories.generate({"count": 5, "seed": 7})
    texts = [".".join(text.split(".")[:2]) + "." for text in told["text"].to_pylist()]
    told = told.set_column(told.schema.get_field_index("text"), "text", pa.array(texts))
    how = {"seed": 1, "renditions": 1, "shards": 1, "sampling_rate": 16_000}
    spoken, _ = speaking.speak(told, {"speech": how, "synthesiser": VOICE}, 0, ONE)
    paths = {name: folder / "told" / name for name in ("speech", "units", "codebook")}
    files.write_table(spoken, paths["speech"], speech_table.SCHEMA)
    config = {"features": "mfcc", "layer": 0, "clusters": 20, "frames": 500, "seed": 1}
    kmeans.fit(config, None, [paths["speech"]], paths["codebook"], ONE)
    units_stage.extract(
        {"features": "mfcc"}, paths["codebook"], None, paths["speech"], paths["units"], ONE
    )
    released.convert({"voice": "lj"}, *small_vocoders.write(folder / "v"), folder / "vocoder")
    return paths | {"vocoder": folder / "vocoder"}


def measure(given: dict[str, Path], output: Path, count: int, speech: Path | None = None) -> None:
    vocoder_quality.measure(
        {"utterances": count},
        [speech or given["speech"]],
        [given["units"]],
        [given["speech"]],
        given["vocoder"],
        given["codebook"],
        None,
        output,
        ONE,
    )


def test_speech_is_understood_and_noise_is_not(given: dict[str, Path], tmp_path: Path) -> None:
    measure(given, tmp_path / "q.json", 2)
    [(corpus, found)] = json.loads((tmp_path / "q.json").read_text()).items()
    assert corpus == "told" and found["utterances"] == 2
    words = found["word_error_rate"]
    assert words["original"] < 0.5 < 0.8 < min(words["resynthesis"], words["shuffled"])
    units = found["unit_error_rate"]
    assert units["sign changed"] == 0  # MFCC do not hear it
    assert min(units["resynthesis"], units["shuffled"]) > 0.5
    table = files.read_table(given["units"], pa.schema([("units", pa.list_(pa.uint16()))]))
    chosen = [table["units"][place].as_py() for place in (0, 4)]
    assert found["units"] == sum(map(len, chosen))


def test_speech_without_texts(given: dict[str, Path], tmp_path: Path) -> None:
    table = files.read_table(given["speech"], speech_table.SCHEMA)
    place = table.schema.get_field_index("text")
    silent = table.set_column(place, "text", pa.nulls(len(table), pa.string()))
    files.write_table(silent, tmp_path / "s.parquet", speech_table.SCHEMA)
    with pytest.raises(ValueError, match=r"s.parquet: has no texts, with which"):
        measure(given, tmp_path / "q.json", 2, tmp_path / "s.parquet")
    assert not (tmp_path / "q.json").exists()
