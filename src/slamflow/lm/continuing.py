"""The stage in which a model continues the beginnings of utterances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from slamflow import files, logs
from slamflow.lm import generation, saved, shares
from slamflow.lm.vocabulary import layout
from slamflow.tables import continuations as continuations_table
from slamflow.tables import units as units_table
from slamflow.tables.lists import lists_of
from slamflow.tokeniser import codebook
from slamflow.training.device import prepare

ROLES = ("document", "positive", "prompt")  # the others are wrong, or answers


@dataclass(frozen=True)
class Prompt:
    """The beginning of an utterance: units uint16 [n]."""

    id: str
    speaker: str | None
    units: np.ndarray


def continue_speech(
    config: Mapping[str, Any],
    model: Path,
    units: Sequence[Path],
    output: Path,
    machine: Mapping[str, Any],
    label: str = "continue_speech",
    tokeniser: Path | None = None,
) -> None:
    """Write the table of a model's continuations, in the order of the utterances.

    Args:
        config: the `sampling` block: `seconds` of each prompt (None: whole utterances), `prompts`,
            how many are continued, drawn by seed (None: all), and those of `generation.Sampling`.
        model: folder in transformers' layout.
        units: the units tables of a corpus; utterances of the ROLES are prompts.
        output: path of the table.
        machine: `device`, `threads`, `micro_batch` (tokens a batch, prompts and padding included).
        label: for progress lines.
        tokeniser: kmeans.safetensors, which says how long a frame is; needed if `seconds` is given.

    Raises:
        ValueError: no prompts, one that the model cannot read or go on from, or no frames to cut
            by.
    """
    given = dict(config)
    seconds, most = given.pop("seconds", None), given.pop("prompts", None)
    sampling = generation.Sampling(**given)
    device = prepare(machine)
    network = saved.load(model).to(device)
    frames = None if seconds is None else round(float(seconds) * _frame_rate(tokeniser))
    name, known = Path(model).name, layout(network.config).units
    prompts = drawn(read(units, frames, known, name), most, sampling.seed)
    rooms = [generation.room(network, len(prompt.units), sampling) for prompt in prompts]
    if short := sum(steps < sampling.new_tokens for steps in rooms):
        logs.say(f"{label}: {short} continuations end with the model's context, if not before")
    budget = machine.get("micro_batch") or generation.TOKENS_A_BATCH[device]
    by_id = {prompt.id: prompt.units for prompt in prompts}
    found = generation.extend(network, by_id, sampling, budget, label)
    rows = [
        {
            "id": prompt.id,
            "speaker": prompt.speaker,
            "prompt": prompt.units,
            "continuation": found[prompt.id].units,
            "finished": found[prompt.id].finished,
            "seed": sampling.seed,
        }
        for prompt in prompts
    ]
    schema = continuations_table.SCHEMA
    files.write_table(pa.Table.from_pylist(rows, schema=schema), output, schema)


def read(paths: Sequence[Path], frames: int | None, known: int, model: str) -> list[Prompt]:
    """The units that begin in the first `frames` of each utterance; None: all of them.

    Args:
        known: how many units the model has.
        model: its name, for errors.

    Raises:
        ValueError: no utterance is a prompt, a row has no units or no durations, a unit is not
            known, or an id occurs twice.
    """
    columns = ["id", "role", "speaker", "units", "durations"]
    found: dict[str, Prompt] = {}
    for path in paths:
        table = files.read_table(path, units_table.SCHEMA, columns)
        names, roles, speakers = (table[column].to_pylist() for column in columns[:3])
        lists = zip(*(lists_of(table[column]) for column in columns[3:]), strict=True)
        for row, (name, (units, durations)) in enumerate(zip(names, lists, strict=True)):
            if roles[row] not in ROLES:
                continue
            place = f"{path}: row {row} (`{name}`)"
            if name in found:
                raise ValueError(f"{place}: this id occurs twice; give every utterance its own")
            if units is None:
                raise ValueError(f"{place} has no list of units; make it anew")
            kept = units
            if frames is not None:
                if durations is None:
                    raise ValueError(
                        f"{place} has no durations to cut by; write `seconds: null`, which takes"
                        " the whole of it"
                    )
                lengths = durations.astype(np.int64)
                kept = kept[np.cumsum(lengths) - lengths < frames]
            if len(kept) and int(kept.max()) >= known:
                raise ValueError(
                    f"{place} has unit {int(kept.max())}, but {model} knows only {known} units;"
                    " give it units of the tokeniser that it was trained on"
                )
            found[name] = Prompt(name, speakers[row], kept)
    if not found:
        raise ValueError(
            f"{', '.join(map(str, paths))}: no utterance is a prompt, which have one of the roles"
            f" {', '.join(ROLES)}"
        )
    return list(found.values())


def drawn(prompts: Sequence[Prompt], most: int | None, seed: int) -> list[Prompt]:
    """At most so many prompts, in their order; which, depends on the seed and all ids only."""
    if most is None or most >= len(prompts):
        return list(prompts)
    ids = sorted(prompt.id for prompt in prompts)
    places = shares.generator(seed, "prompts").choice(len(ids), most, replace=False)
    chosen = {ids[place] for place in places}
    return [prompt for prompt in prompts if prompt.id in chosen]


def _frame_rate(tokeniser: Path | None) -> float:
    if tokeniser is None or Path(tokeniser).suffix == ".json":
        raise ValueError(
            f"sampling: seconds: {tokeniser or 'no tokeniser'} does not say how long a frame is;"
            " write `seconds: null`, which takes whole utterances"
        )
    return float(codebook.read(tokeniser)[1].frame_rate)
