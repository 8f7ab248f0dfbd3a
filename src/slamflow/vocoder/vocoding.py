"""Units to waves by any vocoder, and tables of units or continuations to tables of speech."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.nn.utils.rnn import pad_sequence

from slamflow import files, logs, pretrained
from slamflow.tables import speech as speech_table
from slamflow.tables import voices as voices_table
from slamflow.tokeniser import codebook as codebook_file
from slamflow.training import device
from slamflow.vocoder import durations, hifigan, mel, origins, vocoded, voices

KINDS: dict[str, Any] = {mel.KIND: mel.UnitMel, hifigan.KIND: hifigan.CodeHifigan}
BATCH = {"cpu": 8, "cuda": 32}  # utterances, unless the machine says otherwise


def load(folder: Path, codebook: Path | None = None, device: str = "cpu") -> Any:
    """The vocoder in `folder`, in eval mode, ready to speak the units of a codebook.

    Args:
        codebook: kmeans.safetensors of the units' tokeniser; a vocoder of numbered units speaks
            those that it knows without it, unchecked.

    Raises:
        ValueError: it is none, its weights are not what its config describes, or it speaks other
            units.
    """
    try:
        described = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
        kind = KINDS[described["model_type"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        pretrained.check(Path(folder))
        raise ValueError(
            f"{folder}: holds no vocoder ({error!r}); a released one is converted first"
        ) from None
    vocoder = pretrained.load(kind, Path(folder), device, name="vocoder")
    if kind is mel.UnitMel:
        if codebook is None:
            raise ValueError(f"{folder}: speaks the units of any codebook; give the codebook")
        origins.check_features(vocoder.config.features, folder, codebook)
        vocoder.learn(torch.from_numpy(codebook_file.read(codebook)[0]))
    elif codebook is not None:
        origins.check_units(vocoder.config, folder, codebook)
    return vocoder


@torch.inference_mode()
def vocode(
    vocoder: Any,
    units: Sequence[np.ndarray],
    counts: Sequence[np.ndarray | None] | None = None,
    names: Sequence[str] | None = None,
    speakers: Sequence[str | None] | None = None,
) -> list[np.ndarray]:
    """Waves, float32 [samples] at the vocoder's `config.sampling_rate`, of units.

    The same units give the same wave, but for rounding, whatever else is in the batch.

    Args:
        units: integers [n] of each utterance, without repeats; n ≥ 1.
        counts: frames of each unit; None where the vocoder says how long they last.
        names: of the utterances, for messages.
        speakers: of the utterances, for vocoders of many voices; see `voices.spoken`.

    Raises:
        ValueError: an utterance has no units, or such as the vocoder does not know.
    """
    counts = lasting(vocoder, units, counts, names, speakers)
    repeated = [each.repeat(count) for each, count in zip(units, counts, strict=True)]
    frames = [torch.from_numpy(each.astype(np.int64)).to(vocoder.device) for each in repeated]
    lengths = torch.tensor([len(each) for each in frames], device=vocoder.device)
    batch, told = pad_sequence(frames, batch_first=True), voices.told(vocoder, speakers)
    return [wave.cpu().numpy() for wave in vocoder.waves(batch, lengths, *told)]


@torch.inference_mode()
def lasting(
    vocoder: Any,
    units: Sequence[np.ndarray],
    counts: Sequence[np.ndarray | None] | None = None,
    names: Sequence[str] | None = None,
    speakers: Sequence[str | None] | None = None,
) -> list[np.ndarray]:
    """Frames of each unit, int64 [n] an utterance: those given, or what the vocoder says.

    Args and Raises: as for `vocode`.
    """
    known, found = int(vocoder.units), []
    for number, (each, count) in enumerate(zip(units, counts or [None] * len(units), strict=True)):
        strange = each[(each < 0) | (each >= known)]
        if len(strange) or not len(each):
            name = names[number] if names else f"utterance {number}"
            shown = f"has unit {strange[0]}" if len(strange) else "has no units"
            raise ValueError(f"{name} {shown}; the vocoder knows units 0 to {known - 1}")
        if count is None:
            taken = torch.from_numpy(each.astype(np.int64)).to(vocoder.device)
            size = torch.tensor([len(each)], device=vocoder.device)
            told = voices.told(vocoder, speakers and speakers[number : number + 1])
            logarithms = vocoder.lasting(taken[None], size, *told)
            count = durations.counts(logarithms)[0].cpu().numpy()
        found.append(count.astype(np.int64))
    return found


def vocode_table(
    config: Mapping[str, Any],
    folder: Path,
    codebook: Path,
    units: Sequence[Path],
    output: Path,
    machine: Mapping[str, Any],
    label: str = "vocode",
) -> None:
    """Write the speech of units tables, or of a table of continuations, in their order.

    Of continuations, prompt and continuation are one utterance, repeats removed, the vocoder
    says how long its units last, and the table says when the prompt ends. An utterance without
    units is a frame of silence.

    Args:
        config: `durations`: given (those of the units table) or predicted (by the vocoder).
        folder: of the vocoder.
        codebook: kmeans.safetensors of the units' tokeniser.
        units: tables of one kind.
        machine: `device`, `threads`, `micro_batch` (utterances at once).

    Raises:
        ValueError: the vocoder belongs to another tokeniser, or does not know a unit.
    """
    place = device.prepare(machine)
    vocoder = load(folder, codebook, place)
    size = int(machine.get("micro_batch") or BATCH["cpu" if place == "cpu" else "cuda"])
    predicted = config.get("durations", "given") == "predicted"
    tables = [vocoded.read(path) for path in units]
    total = sum(table.num_rows for table in tables)
    hop, rate = int(vocoder.config.hop), int(vocoder.config.sampling_rate)
    schema = (voices_table if "prompt" in tables[0].column_names else speech_table).SCHEMA
    progress, done, silent = logs.Progress(label, total, "utterances"), 0, 0
    nothing = np.zeros(hop, dtype=np.float32)
    with files.writing_table(output, schema) as write:
        for path, rows in vocoded.batches(units, tables):
            spoken = {i: nothing for i, row in enumerate(rows) if not len(row["units"])}
            silent, done = silent + len(spoken), done + len(spoken)
            # of like length together; the table's order comes back below
            order = sorted(set(range(len(rows))) - set(spoken), key=lambda i: len(rows[i]["units"]))
            for part in vocoded.parts(order, size):
                taken = [rows[i] for i in part]
                counts = [None if predicted else row["durations"] for row in taken]
                names = [f"{path}: {row['id']}" for row in taken]
                said = [row["units"] for row in taken]
                speakers = [row["speaker"] for row in taken]
                frames = lasting(vocoder, said, counts, names, speakers)
                for row, count in zip(taken, frames, strict=True):
                    first = int(count[: len(row.get("prompt", ()))].sum())
                    row["prompt_end"] = first * hop / rate
                waves = vocode(vocoder, said, frames, names, speakers)
                spoken |= dict(zip(part, waves, strict=True))
                progress.update(done := done + len(part))
            made = [
                vocoded.speech_row(row, spoken[i], vocoder.config) for i, row in enumerate(rows)
            ]
            write(pa.Table.from_pylist(made, schema=schema))
    if silent:
        logs.say(f"{label}: {silent} of {total} utterances have no units and are silent")
