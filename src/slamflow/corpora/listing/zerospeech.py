"""ZeroSpeech 2021: sWUGGY in `lexical/`, sBLIMP in `syntactic/`, as its sLM21-dataset lies there.

Layout and averages are those of the official evaluation (Nguyen et al., 2020, "The Zero Resource
Speech Benchmark 2021"): the voices of an id are renditions of one item.
"""

import bisect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from slamflow.corpora.listing import pairs

# occurrences of the word in LibriSpeech; each band begins at its number
BANDS = ((0.0, "oov"), (1.0, "1-5"), (5.0, "6-20"), (20.0, "21-100"), (100.0, ">100"))
UNKNOWN = "unknown"  # the band of a word whose frequency is empty
COLUMNS = {
    "lexical": ("id", "filename", "voice", "frequency", "word", "correct"),
    "syntactic": ("id", "filename", "voice", "type", "subtype", "transcription", "correct"),
}
ROLES = {"1": "positive", "0": "negative"}
REPAIR = "take the gold.csv of sLM21-dataset; the archive of 2021 has none"


def list_files(
    config: Mapping[str, Any], data_root: Path, manifest: pa.Table | None = None
) -> pa.Table:
    """The wav files of one task and split, and the rows of its gold.csv that have none.

    An item is an id (of a subtype, where there are some), a rendition one of its voices in their
    sorted order. The group is the word's frequency band (a non-word is in that of its word), or
    the type of the sentence.

    Args:
        config: `folder` (holds `lexical` and `syntactic`), `task`, `split` (`dev` or `test`),
            `shards`.

    Raises:
        ValueError: the folder or gold.csv is missing, or gold.csv is not as it should be.
    """
    task = config["task"]
    folder = f"{config['folder']}/{task}/{config['split']}"
    names = pairs.found(folder, data_root, manifest)
    heard = {pairs.stem(name) for name in names if name.endswith(".wav")}
    rows = _gold(Path(data_root) / folder / "gold.csv", task)
    for row in rows:
        if row["id"] not in heard:
            row["reason"] = "no such file"
    unknown = heard - {row["id"] for row in rows}
    rows += [{"name": f"{n}.wav", "id": n, "reason": "not in gold.csv"} for n in sorted(unknown)]
    return pairs.table(config, folder, rows, data_root, manifest)


def band(frequency: str) -> str:
    """The official name of the band of a frequency, as gold.csv has it."""
    if not frequency:
        return UNKNOWN
    place = bisect.bisect_right(BANDS, float(frequency), key=lambda known: known[0])
    if not place:
        raise ValueError(f"{frequency} is below 0")
    return BANDS[place - 1][1]


def _gold(path: Path, task: str) -> list[pairs.Row]:
    """The utterances that gold.csv names, in its order."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file; {REPAIR}")
    try:
        gold = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig").fillna("")
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: not readable as CSV ({error}); {REPAIR}") from None
    gold.columns = gold.columns.str.strip()
    for column in COLUMNS[task]:
        if column not in gold.columns:
            raise ValueError(f"{path}: has no column `{column}`; {REPAIR}")
    wrong = gold[~gold["correct"].isin(list(ROLES)) | (gold["filename"] == "")]
    if len(wrong):
        row = wrong.iloc[0]
        raise ValueError(
            f"{path}: row {wrong.index[0]}: filename is {row['filename']!r} and correct is"
            f" {row['correct']!r}, which should be 0 or 1; {REPAIR}"
        )
    gold["filename"] = gold["filename"].str.removesuffix(".wav")
    item = gold["id"]
    if task == "syntactic":
        item = gold["type"] + "/" + gold["subtype"] + "/" + gold["id"]
    voices: dict[str, set[str]] = {}
    for name, voice in zip(item, gold["voice"], strict=True):
        voices.setdefault(name, set()).add(voice)
    places = {
        (name, voice): place
        for name, heard in voices.items()
        for place, voice in enumerate(sorted(heard))
    }
    groups = gold["type"] if task == "syntactic" else _bands(path, gold)
    texts = gold["transcription" if task == "syntactic" else "word"]
    columns = (gold["filename"], item, gold["correct"], groups, gold["voice"], texts)
    return [
        {
            "id": filename,
            "name": f"{filename}.wav",
            "item": name,
            "role": ROLES[correct],
            "group": group,
            "rendition": places[name, voice],
            "speaker": voice,
            "text": text or None,
        }
        for filename, name, correct, group, voice, text in zip(*columns, strict=True)
    ]


def _bands(path: Path, gold: pd.DataFrame) -> pd.Series:
    """The band of the word of each row's id; of the first voice, should they differ."""
    words = gold[gold["correct"] == "1"].sort_values("voice", kind="stable")
    found: dict[str, str] = {}
    for row, name, frequency in zip(words.index, words["id"], words["frequency"], strict=True):
        try:
            found.setdefault(name, band(frequency))
        except ValueError:
            raise ValueError(
                f"{path}: row {row}: frequency is {frequency!r} and should be a count; {REPAIR}"
            ) from None
    return gold["id"].map(lambda name: found.get(name, UNKNOWN))
