"""Mixtures of speech, text, and documents in which both take turns.

Interleaving follows Maimon et al. 2025, "Scaling Analysis of Interleaved Speech-Text Language
Models" (arXiv 2504.02398): spans of words are speech or text, a marker says which one begins, and
the tokens of the three kinds of documents are balanced. An interleaved document is
`<S> <text> t1 … <speech> u1 … <text> … <S>`; the others have no markers.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from slamflow import files
from slamflow.lm import documents, packing, shares, spans, spoken_words
from slamflow.lm.documents import Documents
from slamflow.lm.spoken_words import Words
from slamflow.lm.vocabulary import BOUNDARY, UNITS, Interleaved
from slamflow.tables import units as units_table
from slamflow.tables.lists import lists_of
from slamflow.tokeniser import bpe, codebook

SPEECH, TEXT, INTERLEAVED = KINDS = ("speech", "text", "interleaved")
SURE = 0.25  # s by which the units of an utterance may be shorter or longer than it is


def pack(
    config: Mapping[str, Any],
    units: Sequence[Path],
    text: Sequence[Path],
    speech: Sequence[Path],
    alignments: Sequence[Path],
    centroids: Path,
    tokenizer: Path,
    output: Path,
) -> str:
    """Pack documents of the three kinds; returns a line that says what was made.

    A part of the mixture is `{corpus}:{kind}`. The kinds of one item are held out together.

    Args:
        config: see `packing.pack`, and `interleaving`: see `spans.draw`, and `balance`, the weights
            of speech, text and interleaved documents. Tokens are proportional to them, and the
            kind that runs out first is used exactly once; `shares` are of a corpus in each kind.
        units: tables of units, which are the documents of speech.
        text: tables of entries of the text tokeniser, which are those of text.
        speech: speech tables with the words of those corpora that are interleaved.
        alignments: see `spoken_words.read`.
        centroids: kmeans.safetensors of the units.
        tokenizer: tokenizer.json.
        output: the packed table.

    Raises:
        ValueError: units or shares do not fit, or there are no documents of a kind that is wanted.
    """
    origin, given = codebook.read(centroids)[1], config["interleaving"]
    ids = Interleaved(origin.clusters, codebook.size(tokenizer))
    words = documents.by_corpus(speech)
    aligned = {(path.parent.name, path.name): path for path in map(Path, alignments)}
    opened, seed = bpe.load(tokenizer), int(config.get("seed", 0))
    corpora: dict[str, Documents] = {}
    for corpus, paths in documents.by_corpus(units).items():
        corpora[f"{corpus}:{SPEECH}"] = documents.read(paths, ids.units, ids.size)
        tables = {path.name: path for path in words.get(corpus, [])}
        if not tables:
            continue
        for path in paths:
            if path.name not in tables:
                raise ValueError(f"{path}: there are no words of it; give the speech of all shards")
        frames = origin.frame_rate, origin.centre
        corpora[f"{corpus}:{INTERLEAVED}"] = documents.joined(
            read(
                given,
                path,
                spoken_words.read(tables[path.name], aligned.get((corpus, path.name))),
                opened,
                ids,
                *frames,
                seed,
            )
            for path in paths
        )
    for corpus, paths in documents.by_corpus(text).items():
        corpora[f"{corpus}:{TEXT}"] = documents.read(paths, ids.entries, ids.size, ids.text)
    balance = dict(zip(KINDS, map(float, given.get("balance", (1, 1, 1))), strict=True))

    def times(tokens: Mapping[str, int]) -> dict[str, float]:
        return shares.balanced(tokens, config.get("shares") or {}, balance)

    return packing.write(config, corpora, times, ids.units, ids.size, output)


def read(
    config: Mapping[str, Any],
    units: Path,
    words: Mapping[str, Words],
    tokenizer: Tokenizer,
    ids: Interleaved,
    frame_rate: float,
    centre: float,
    seed: int,
) -> Documents:
    """The utterances of a units table as interleaved documents; those without words are left out.

    What is drawn for an utterance depends on the seed, its corpus and its id only.

    Args:
        config: see `spans.draw`.
        words: by id; see `spoken_words.read`.
        frame_rate: frames a second of the units' durations.
        centre: s from an utterance's beginning to the centre of its first frame.

    Raises:
        ValueError: the units of an utterance do not last as long as it does.
    """
    columns = ["id", "item", "duration", "units", "durations"]
    table = files.read_table(units, units_table.SCHEMA, columns)
    made, items = [np.empty(0, dtype=np.int64)], []
    lists = zip(*(lists_of(table[column]) for column in ("units", "durations")), strict=True)
    for row, (name, (heard, lengths)) in enumerate(
        zip(table["id"].to_pylist(), lists, strict=True)
    ):
        found = words.get(name)
        if found is None or heard is None or not len(heard):
            continue
        frames = np.repeat(heard, lengths)
        lasting, duration = len(frames) / frame_rate, table["duration"][row].as_py()
        if abs(lasting - duration) > SURE:
            raise ValueError(
                f"{units}: row {row} ({name}) lasts {duration:.2f} s and its units {lasting:.2f} s;"
                " interleaving needs units of every frame: extract these anew, or take others"
            )
        rng = shares.generator(seed, units.parent.name, name)
        speech = spans.draw(config, len(found.labels), rng)
        made.append(document(frames, found, speech, tokenizer, ids, frame_rate, centre))
        items.append(table["item"][row].as_py())
    offsets = np.cumsum([len(tokens) for tokens in made])
    return Documents(np.concatenate(made).astype(documents.width(ids.size)), offsets, items)


def document(
    frames: np.ndarray,
    words: Words,
    speech: np.ndarray,
    tokenizer: Tokenizer,
    ids: Interleaved,
    frame_rate: float,
    centre: float,
) -> np.ndarray:
    """The tokens of an interleaved document, int64 [tokens].

    Args:
        frames: a unit a frame.
        speech: which words are speech, bool [words].
        frame_rate, centre: see `read`.
    """
    parts: list[Sequence[int] | np.ndarray] = [[BOUNDARY]]
    for spoken, first, last in spans.runs(speech):
        if spoken:
            times = words.starts[first], words.ends[last - 1]
            heard = within(frames, *times, frame_rate, centre)
            parts += [[ids.to_speech], heard.astype(np.int64) + UNITS]
        else:
            text = " ".join(filter(None, words.labels[first:last]))
            (entries,) = bpe.encode(tokenizer, [text])
            parts += [[ids.to_text], entries.astype(np.int64) + ids.text]
    return np.concatenate([*parts, [BOUNDARY]])


def within(
    frames: np.ndarray, begin: float, end: float, frame_rate: float, centre: float
) -> np.ndarray:
    """The units, without repeats, of the frames whose centres are in [begin, end) s.

    Where there is none, it is the unit of the frame whose centre is nearest to the middle.

    Args:
        frames: a unit a frame, [frames], one at least.
        frame_rate, centre: see `read`.
    """
    before = centre * frame_rate  # frames
    first, last = (max(0, int(np.ceil(time * frame_rate - before))) for time in (begin, end))
    if last <= first:
        first = max(0, int(np.floor((begin + end) / 2 * frame_rate - before + 0.5)))
    first = min(first, len(frames) - 1)
    heard = frames[first : max(last, first + 1)]
    return heard[np.append(True, heard[1:] != heard[:-1])]
