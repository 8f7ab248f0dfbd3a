"""Likelihoods of items whose context and ending are of two kinds: one is heard, one is read.

SpiritLM (Nguyen and others, 2024, arXiv 2402.05755) asks models of speech and text so for endings
of StoryCloze. The context is the words that the two members of an item begin with, the ending is
what follows. A member is what such a document is in training (`lm.interleaving`):
`<S> <text> t1 … <speech> u1 … <S>`, or the two the other way round; one that is read as a whole is
`<S> t1 … <S>`, as documents of text are. Its prompt is all up to the ending, whose marker belongs
to the prompt.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from slamflow import files
from slamflow.benchmarks import prompts, scoring, utterances
from slamflow.lm import interleaving, saved
from slamflow.lm.spoken_words import Words
from slamflow.lm.vocabulary import BOUNDARY, Interleaved
from slamflow.tables import scores as scores_table
from slamflow.tables import units as units_table
from slamflow.tables.lists import lists_of
from slamflow.tokeniser import bpe, codebook
from slamflow.training.device import prepare

UNITS, TEXT = KINDS = ("units", "text")
Parts = tuple[Words, Words]  # context, ending


def score(
    config: Mapping[str, Any],
    model: Path,
    units: Sequence[Path],
    speech: Sequence[Path],
    alignments: Sequence[Path],
    centroids: Path,
    tokenizer: Path,
    output: Path,
    machine: dict,
    label: str = "score_crossing",
) -> None:
    """Write the scores table of one model of speech and text on one benchmark.

    Args:
        config: the `scoring` block: `context` and `ending`, of KINDS; one of them is text.
        model: folder in transformers layout.
        units: the units tables of the benchmark's corpus.
        speech, alignments: where its words are known; see `prompts.read`.
        centroids: kmeans.safetensors of the units.
        tokenizer: tokenizer.json of the text.
        output: path of the scores table.
        machine: see `scoring.score`.
        label: for progress lines.

    Raises:
        ValueError: the model has other ids, or an utterance has no such context and ending.
    """
    kinds = str(config["context"]), str(config["ending"])
    if TEXT not in kinds or not set(kinds) <= set(KINDS):
        raise ValueError(
            f"scoring: context and ending are {' and '.join(kinds)}; one must be text, and the"
            " other text or units"
        )
    network, origin = saved.load(model).to(prepare(machine)), codebook.read(centroids)[1]
    ids = Interleaved(origin.clusters, codebook.size(tokenizer))
    if network.config.vocab_size != ids.size:
        raise ValueError(
            f"{model}: has {network.config.vocab_size} ids, and with {ids.units} units and"
            f" {ids.entries} entries of text it would have {ids.size}; name a model that was"
            " trained on both tokenisers"
        )
    parts, opened = divided(speech, alignments), bpe.load(tokenizer)
    tables, tokens, ends = [], [], []
    for path in units:
        table = files.read_table(path, units_table.SCHEMA)
        tables.append(table.select(utterances.KEPT))
        for row, (key, frames) in enumerate(zip(*_frames(table, origin.frame_rate), strict=True)):
            if key not in parts:
                raise ValueError(
                    f"{path}: row {row} (`{key}`): the words of its item's two members are not"
                    " known; give the corpus an `alignment` that finds words, or see in"
                    " results/alignments/ why this one has none"
                )
            if frames is None:
                raise ValueError(
                    f"{path}: row {row} (`{key}`): its units do not last as long as it does;"
                    " extract them anew"
                )
            sequence, prompt = member(
                frames, parts[key], kinds, opened, ids, origin.frame_rate, origin.centre
            )
            tokens.append(sequence)
            ends.append(prompt)
    spoken = utterances.gathered(pa.concat_tables(tables), tokens, ends, scores_table.BOTH)
    terms = scoring.fitting(network, spoken.distinct, machine, label)
    utterances.write(spoken, terms, named(*kinds), output, Path(model).name)


def named(context: str, ending: str) -> str:
    """The modality of a pass as the scores table names it."""
    return context if context == ending else f"{context} to {ending}"


def divided(speech: Sequence[Path], alignments: Sequence[Path] = ()) -> dict[str, Parts]:
    """Context and ending of each utterance whose words and whose partner's are known, by its id.

    Args:
        speech, alignments: see `prompts.read`.

    Raises:
        ValueError: two members begin with different words, or one ends where the other goes on.
    """
    found = {}
    for (item, rendition), members in prompts.read(speech, alignments).items():
        known = [words for words in members.values() if words is not None]
        if len(members) != 2 or len(known) != 2:
            continue
        shared = prompts.common(*known)
        if shared == 0 or shared == min(len(words.labels) for words in known):
            problem = "begin with different words" if shared == 0 else "have not both an ending"
            raise ValueError(
                f"{', '.join(map(str, speech))}: item `{item}`, rendition {rendition}: its members"
                f" {problem}, so that context and ending cannot be of two kinds"
            )
        for key, words in zip(members, known, strict=True):
            found[key] = _slice(words, 0, shared), _slice(words, shared, len(words.labels))
    return found


def member(
    frames: np.ndarray,
    parts: Parts,
    kinds: tuple[str, str],
    tokenizer: Tokenizer,
    ids: Interleaved,
    frame_rate: float,
    centre: float,
) -> tuple[np.ndarray, int]:
    """The tokens of a member, int64 [tokens], and how many after the first `<S>` are its prompt.

    Args:
        frames: a unit a frame.
        kinds: of context and ending.
        frame_rate, centre: see `interleaving.read`.
    """
    made = []
    for words, kind in zip(parts, kinds, strict=True):
        heard = np.full(len(words.labels), kind == UNITS)
        document = interleaving.document(frames, words, heard, tokenizer, ids, frame_rate, centre)
        made.append(document[1:-1])
    if kinds[0] == kinds[1]:
        made = [part[1:] for part in made]  # documents of one kind have no markers
    prompt = len(made[0]) + (kinds[0] != kinds[1])
    return np.concatenate([[BOUNDARY], *made, [BOUNDARY]]), prompt


def _slice(words: Words, first: int, after: int) -> Words:
    span = slice(first, after)
    return Words(words.labels[span], words.starts[span], words.ends[span])


def _frames(table: pa.Table, rate: float) -> tuple[list[str], list[np.ndarray | None]]:
    """Ids, and a unit a frame, None where the units do not last as long as the utterance."""
    found: list[np.ndarray | None] = []
    lists = (lists_of(table[name]) for name in ("units", "durations"))
    for duration, heard, lengths in zip(table["duration"].to_pylist(), *lists, strict=True):
        known = heard is not None and lengths is not None and len(heard) > 0
        frames = np.repeat(heard, lengths) if known else np.empty(0)
        whole = known and abs(len(frames) / rate - duration) <= interleaving.SURE
        found.append(frames if whole else None)
    return table["id"].to_pylist(), found
