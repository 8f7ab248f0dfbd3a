"""Text as units: the entries of a byte-level BPE.

A text is normalised to NFC and gets a space before it, so that a word has the same units wherever
it stands. Units give back the text that they were made from.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from slamflow import files
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import runs


def train(
    config: Mapping[str, Any], speech: Sequence[Path], output: Path, machine: Mapping[str, Any]
) -> str:
    """Write a tokenizer.json learnt from speech tables' texts; returns a line on what was made.

    Each different text counts once. The same texts give the same bytes, whatever the order of the
    tables and the number of threads.

    Args:
        config: `vocabulary`, the number of entries, 256 of which are the bytes.
        machine: `threads`.

    Raises:
        ValueError: an utterance has no text, or all texts give fewer entries.
    """
    os.environ["RAYON_NUM_THREADS"] = str(machine.get("threads", 1))  # for the library's first work
    wanted = int(config["vocabulary"])
    tokenizer = _around(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=wanted,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    seen: set[str] = set()
    tokenizer.train_from_iterator(_different(speech, seen), trainer)
    if (found := tokenizer.get_vocab_size()) < wanted:
        raise ValueError(
            f"{output}: {len(seen)} different texts give {found} entries, not {wanted}; lower"
            " `bpe.vocabulary`, or name more corpora"
        )
    with files.replacing(output) as temporary:
        temporary.write_text(tokenizer.to_str(pretty=True) + "\n", encoding="utf-8")
    return f"{found} entries from {len(seen)} different texts"


def extract(tokenizer: Path, speech: Path, output: Path) -> None:
    """Write the units table of a speech table; equal units in a row stay, durations are not known.

    Args:
        tokenizer: tokenizer.json; a unit is an id of it.

    Raises:
        ValueError: an utterance has no text, or `tokenizer` is no such file.
    """
    opened = load(tokenizer)
    table = files.read_table(speech, speech_table.SCHEMA, (*runs.COPIED, "text"))
    kind = pa.list_(pa.uint16())
    units = pa.array(encode(opened, _texts(speech, table)), kind)
    made = table.select(runs.COPIED).append_column("units", units)
    made = made.append_column("durations", pa.nulls(len(made), kind))
    files.write_table(made, output, units_table.SCHEMA)


def load(path: Path) -> Tokenizer:
    """The tokeniser in a tokenizer.json.

    Raises:
        ValueError: the file is none.
    """
    try:
        content = Path(path).read_text(encoding="utf-8")
        opened = Tokenizer.from_str(content)
        model = json.loads(content)["model"]
        pairs = [(left, right) for left, right in model["merges"]]
        again = _around(models.BPE(model["vocab"], pairs))
    except FileNotFoundError:
        raise
    except Exception as error:  # the library raises no other class
        raise ValueError(f"{path}: is no tokenizer.json ({error}); {files.REMAKE}") from None
    # what `train` makes has nothing that does not follow from the merges
    bytes_first = sorted(pre_tokenizers.ByteLevel.alphabet())
    entries = dict.fromkeys([*bytes_first, *(left + right for left, right in pairs)])
    numbered = {entry: number for number, entry in enumerate(entries)}
    if model["vocab"] != numbered or again.to_str() != opened.to_str():
        raise ValueError(f"{path}: damaged (not all follows from its merges); {files.REMAKE}")
    return opened


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[np.ndarray]:
    """The units of each text, uint16 [n]."""
    return [np.array(tokenizer.encode(text).ids, dtype=np.uint16) for text in texts]


def _around(model: models.BPE) -> Tokenizer:
    """The tokeniser with this model."""
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        # `add_prefix_space` would give none to a text that begins with one: two texts, equal units
        [normalizers.NFC(), normalizers.Prepend(" ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    return tokenizer


def _different(speech: Sequence[Path], seen: set[str]) -> Iterator[str]:
    """Each text that is not in `seen`, which it is added to."""
    for path in speech:
        for text in _texts(path, files.read_table(path, speech_table.SCHEMA, ("id", "text"))):
            if text not in seen:
                seen.add(text)
                yield text


def _texts(path: Path, table: pa.Table) -> list[str]:
    texts: list[str] = table["text"].to_pylist()
    for row, text in enumerate(texts):
        if not (text or "").strip():
            raise ValueError(
                f"{path}: row {row} ({table['id'][row]}) has no text; features: bpe needs corpora"
                " whose text is known"
            )
    return texts
