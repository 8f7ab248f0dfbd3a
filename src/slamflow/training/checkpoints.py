"""Checkpoints of a running stage: weights, the optimiser's state and the log so far.

Nothing is pickled. Random numbers need no state: the loop seeds them anew for every micro-batch.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import torch
from safetensors.torch import load_file, save_file

from slamflow import files
from slamflow.tables import training as training_table

State = Mapping[int, Mapping[str, torch.Tensor]]

WEIGHTS, OPTIMISER, LOG = "weights.safetensors", "optimiser.safetensors", "training.parquet"


def save(folder: Path, module: torch.nn.Module, state: State, log: pa.Table) -> None:
    """Write a checkpoint into `folder`, which exists.

    Args:
        state: the optimiser's, by parameter.
        log: ends with the last update made.
    """
    save_file(_weights(module), folder / WEIGHTS)
    named = {
        f"{index}.{key}": value
        for index, entries in state.items()
        for key, value in entries.items()
    }
    save_file(named, folder / OPTIMISER)
    files.write_table(log, folder / LOG, log.schema)


def load(folder: Path, module: torch.nn.Module, measures: Sequence[str]) -> tuple[State, pa.Table]:
    """Load a checkpoint's weights into `module`.

    Returns:
        The optimiser's state, by parameter, and the log.

    Raises:
        ValueError: it is not one of this model.
    """
    weights = load_file(folder / WEIGHTS)
    if weights.keys() != _weights(module).keys():
        raise ValueError(f"{folder}: is no checkpoint of this model; delete {folder.parent}")
    with torch.no_grad():
        for name, tensor in _weights(module).items():
            tensor.copy_(weights[name])
    state: defaultdict[int, dict[str, torch.Tensor]] = defaultdict(dict)
    for name, tensor in load_file(folder / OPTIMISER).items():
        index, key = name.split(".", 1)
        # a copy: NFS cannot remove a checkpoint that a tensor is still mapped from
        state[int(index)][key] = tensor.clone()
    return state, files.read_table(folder / LOG, training_table.schema(measures))


def _weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters, shared ones once, and persistent buffers."""
    seen: set[int] = set()
    found = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            found[name] = tensor.data
    return found
