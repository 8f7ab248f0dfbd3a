"""The two ways from pairs of waves to their outcomes that `scoring.py` measures."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from sklearn.cluster import MiniBatchKMeans
from transformers import HubertModel, PreTrainedModel

from slamflow import files
from slamflow.benchmarks import scoring, utterances
from slamflow.lm import vocabulary
from slamflow.tables import units as units_table
from slamflow.tokeniser import encoder, runs, tokenising
from slamflow.tokeniser.features import SAMPLING_RATE

Pair = tuple[np.ndarray, np.ndarray]  # waves: positive, negative


def units(
    opened: encoder.Encoder, centroids: torch.Tensor, waves: list[np.ndarray], path: Path
) -> list[np.ndarray]:
    """Write the units table of waves, positives and negatives by turns."""
    read = (({"id": str(index)}, wave) for index, wave in enumerate(waves))
    made = sorted(tokenising.tokenise(opened, centroids, read, path), key=lambda entry: entry[0])
    units, durations = zip(*(runs.runs(frames) for *_, frames in made), strict=True)
    count = len(waves)
    speech = pa.table(
        {
            "id": [str(index) for index in range(count)],
            "item": [str(index // 2) for index in range(count)],
            "role": ["positive", "negative"] * (count // 2),
            "group": [""] * count,
            "rendition": pa.array([0] * count, pa.int32()),
            "speaker": [""] * count,
            "duration": [len(wave) / SAMPLING_RATE for wave in waves],
        }
    )
    schema = units_table.schema("float32", 1.0)
    files.write_table(runs.table(speech, units, durations), path, schema)
    return list(units)


def ours(network: PreTrainedModel, path: Path) -> np.ndarray:
    """Whether the positive of each pair is likelier, by the mean over tokens."""
    read = utterances.read([path], vocabulary.layout(network.config), "model")
    budget = scoring.TOKENS_A_BATCH[network.device.type]
    terms = scoring.likelihoods(network, read.distinct, budget)
    means = np.array([each.mean() for each in terms.tokens])[read.which]
    return means[::2] < means[1::2]


@torch.inference_mode()
def usual(
    hubert: HubertModel,
    layer: int,
    predictor: MiniBatchKMeans,
    network: PreTrainedModel,
    pairs: list[Pair],
    size: int,
) -> np.ndarray:
    """The same, in batches of so many pairs."""
    means: list[list[np.ndarray]] = [[], []]
    for begin in range(0, len(pairs), size):
        for which in (0, 1):
            waves = [torch.from_numpy(pair[which]) for pair in pairs[begin : begin + size]]
            mask = _padded([torch.ones(len(wave), dtype=torch.long) for wave in waves], 0)
            output = hubert(
                _padded(waves, 0).to(hubert.device),
                attention_mask=mask.to(hubert.device),
                output_hidden_states=True,
            )
            spoken = []
            for row, wave in zip(output.hidden_states[layer].cpu().numpy(), waves, strict=True):
                length = int(hubert._get_feat_extract_output_lengths(len(wave)))
                clusters = predictor.predict(np.ascontiguousarray(row[:length]))
                tokens = torch.from_numpy(runs.runs(clusters)[0].astype(np.int64))
                ends = torch.full((1,), vocabulary.BOUNDARY)
                spoken.append(torch.cat([ends, tokens + vocabulary.UNITS, ends]))
            tokens = _padded(spoken, vocabulary.PAD).to(network.device)
            seen = (tokens != vocabulary.PAD).long()
            logits = network(input_ids=tokens, attention_mask=seen).logits.float()
            chances = logits[:, :-1].log_softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0]
            sums = -(chances * seen[:, 1:]).sum(1) / seen[:, 1:].sum(1)
            means[which].append(sums.cpu().numpy())
    return np.concatenate(means[0]) < np.concatenate(means[1])


def _padded(rows: list[torch.Tensor], value: int) -> torch.Tensor:
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
