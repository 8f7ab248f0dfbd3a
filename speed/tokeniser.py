"""Measure the tokeniser beside the usual way: the same weights, audio, machine and run.

    python speed/tokeniser.py --speech results/speech/stories/0000.parquet
    python speed/tokeniser.py --base            # the size of mHuBERT-25Hz, random weights

The usual way sorts utterances by length, pads them with zeros into batches with a mask of
attention, has transformers' HubertModel give the hidden states of all layers, and scikit-learn
predict the clusters. Both begin with waves in memory, in batches of as many seconds of audio. The
two take turns; the least time of each counts.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import reference
import sklearn
import torch
import transformers
from sklearn.cluster import MiniBatchKMeans
from transformers import HubertConfig, HubertModel

from slamflow import audio
from slamflow.synthesis.espeak import Espeak
from slamflow.tokeniser import encoder, tokenising, utterances
from slamflow.tokeniser.features import SAMPLING_RATE

BASE = {  # slprl/mhubert-base-25hz
    "conv_dim": (512,) * 8,
    "conv_kernel": (10, 3, 3, 3, 3, 2, 2, 2),
    "conv_stride": (5, 2, 2, 2, 2, 2, 2, 2),
    "conv_pos_batch_norm": True,
}
WORDS = "the old captain and a small red dog went slowly over seven quiet hills before winter came"
VOICES = ("en-us", "en-gb", "en-gb-scotland", "en-us+f3", "en-gb+m2")
Waves = list[np.ndarray]
T = TypeVar("T")


def main() -> None:
    args = _arguments()
    torch.set_num_threads(args.threads)
    machine = {"threads": args.threads, "device": args.device, "micro_batch": args.micro_batch}
    with tempfile.TemporaryDirectory() as folder:
        weights = _random_base(Path(folder)) if args.base else args.hubert / "model.safetensors"
        layer = args.layer if args.layer is not None else (11 if args.base else 3)
        opened = encoder.open_encoder("hubert", layer, weights, machine, precision=args.precision)
        model = HubertModel.from_pretrained(weights.parent, attn_implementation="sdpa")
    usual = model.eval().to(opened.device)
    assert opened.hubert and not opened.hubert.normalised, "the usual way here does not normalise"
    waves = _waves(args.speech, args.data_root, args.seconds)
    seconds = sum(map(len, waves)) / SAMPLING_RATE
    frames = torch.cat(opened.encode(waves[:8])).cpu()
    centroids = frames[torch.randperm(len(frames))[: args.clusters]].contiguous()
    predictor = MiniBatchKMeans(len(centroids), init=centroids.numpy(), n_init=1, max_iter=1)
    predictor.fit(centroids.numpy()).cluster_centers_ = centroids.numpy()
    placed = centroids.to(opened.device)
    ways: dict[str, Callable[[], list[np.ndarray]]] = {
        "ours": lambda: _ours(opened, placed, waves),
        "usual": lambda: _usual(usual, layer, predictor, waves, opened.seconds),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    found: dict[str, list[np.ndarray]] = {}
    types = {"ours": args.precision, "usual": "float32"}
    limits = dict.fromkeys(types, 0.0)
    for _ in range(args.repeats):
        for name, way in ways.items():
            found[name], spent = _timed(way, opened.device)
            times[name].append(spent)
            limits[name] = max(limits[name], reference.limit(opened.device, types[name]))
    alone = _usual(usual, layer, predictor, waves, 0.0)
    work = _work(usual.config, layer, len(centroids), waves) / seconds
    processor = torch.cuda.get_device_name() if opened.device == "cuda" else _processor()
    print(
        f"{processor}, {args.threads} threads, {args.precision}; Python {platform.python_version()}"
    )
    print(f"torch {torch.__version__}, transformers {transformers.__version__},", end=" ")
    print(f"scikit-learn {sklearn.__version__}")
    print(f"{len(waves)} utterances, {seconds:.0f} s of audio; {work / 1e9:.2f} GFLOP a second of")
    print(f"audio to layer {layer}; square matrix products reach", end=" ")
    print(f"{limits['usual'] / 1e9:.0f} GFLOP a second in float32\n")
    print("| | × real time a core second | × a wall second | of the limit | other units |")
    print("|---|---|---|---|---|")
    for name in ways:
        wall, core = (min(column) for column in zip(*times[name], strict=True))
        basis = wall if opened.device == "cuda" else core
        other = np.mean(np.concatenate(found[name]) != np.concatenate(alone))
        print(f"| {name} | {seconds / core:.1f} | {seconds / wall:.1f} |", end=" ")
        print(f"{work * seconds / basis / limits[name]:.0%} | {other:.2%} |")
    gains = [min(t[i] for t in times["usual"]) / min(t[i] for t in times["ours"]) for i in (1, 0)]
    print(f"\nours is {gains[0]:.2f} × as fast a core second, {gains[1]:.2f} × a wall second")
    print("of the limit: of square matrix products in the same precision, a second")
    print("other units: the share of frames that differ from transformers' at batch 1")


def _ours(opened: encoder.Encoder, centroids: torch.Tensor, waves: Waves) -> list[np.ndarray]:
    read = (({"id": str(index)}, wave) for index, wave in enumerate(waves))
    made = tokenising.tokenise(opened, centroids, read, Path("audio"))
    return [found for _, _, found in sorted(made, key=lambda entry: entry[0])]


@torch.inference_mode()
def _usual(
    model: HubertModel, layer: int, predictor: MiniBatchKMeans, waves: Waves, seconds: float
) -> list[np.ndarray]:
    """In batches of so many `seconds`, filled up to the longest; of one utterance for 0."""
    order = sorted(range(len(waves)), key=lambda index: -len(waves[index]))
    found = [np.empty(0)] * len(waves)
    while order:
        size = max(1, int(seconds * SAMPLING_RATE) // len(waves[order[0]]))
        batch, order = order[:size], order[size:]
        tensors = [torch.from_numpy(waves[index]) for index in batch]
        padded = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True)
        mask = torch.nn.utils.rnn.pad_sequence([t.new_ones(len(t)).long() for t in tensors], True)
        given = {"attention_mask": mask.to(model.device)} if len(batch) > 1 else {}
        output = model(padded.to(model.device), output_hidden_states=True, **given)
        hidden = output.hidden_states[layer].cpu().numpy()
        for row, index in zip(hidden, batch, strict=True):
            length = int(model._get_feat_extract_output_lengths(len(waves[index])))
            found[index] = predictor.predict(np.ascontiguousarray(row[:length]))
    return found


def _timed(way: Callable[[], T], device: str) -> tuple[T, tuple[float, float]]:
    """What it gives, and the seconds by the clock and of all cores."""
    wall, core = time.perf_counter(), time.process_time()
    found = way()
    if device == "cuda":
        torch.cuda.synchronize()
    return found, (time.perf_counter() - wall, time.process_time() - core)


def _work(shape: HubertConfig, layer: int, clusters: int, waves: Waves) -> float:
    """FLOP of the matrix products and convolutions from waves to units."""
    total, width = 0.0, shape.hidden_size
    for samples in map(len, waves):
        frames, channels = samples, 1
        for out, kernel, stride in zip(
            shape.conv_dim, shape.conv_kernel, shape.conv_stride, strict=True
        ):
            frames = (frames - kernel) // stride + 1
            total += 2 * frames * kernel * channels * out
            channels = out
        inside = channels * width  # the projection
        kernel, groups = shape.num_conv_pos_embeddings, shape.num_conv_pos_embedding_groups
        inside += kernel * width * width // groups
        inside += layer * (4 * width * width + 2 * width * shape.intermediate_size)
        inside += layer * 2 * frames * width  # attention
        total += 2 * frames * (inside + width * clusters)
    return total


def _waves(speech: list[Path], data_root: Path | None, seconds: float) -> Waves:
    """The first so many seconds of the tables; or espeak-ng's, of 2 to 20 s."""
    found: Waves = []
    for wave in _read(speech, data_root) if speech else _spoken():
        found.append(wave)
        if sum(map(len, found)) >= seconds * SAMPLING_RATE:
            break
    return found


def _read(speech: list[Path], data_root: Path | None) -> Iterator[np.ndarray]:
    for path in speech:
        yield from (wave for _, wave in utterances.read(path, SAMPLING_RATE, data_root))


def _spoken() -> Iterator[np.ndarray]:
    rng, words = np.random.default_rng(0), WORDS.split()
    with Espeak() as engine:
        while True:
            text = " ".join(rng.choice(words, size=rng.integers(6, 60)))
            spoken = engine.speak(text, VOICES[rng.integers(len(VOICES))], 175, 50)
            samples = spoken.samples.astype(np.float32) / 32768
            yield audio.resample(samples, spoken.sampling_rate, SAMPLING_RATE)


def _random_base(folder: Path) -> Path:
    torch.manual_seed(0)
    HubertModel(HubertConfig(**BASE)).save_pretrained(folder)
    return folder / "model.safetensors"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "CPU")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    pocket = Path(__file__).parents[1] / "resources" / "hubert-pocket"
    parser.add_argument("--hubert", type=Path, default=pocket, help="folder of the weights")
    parser.add_argument("--base", action="store_true", help="random weights of mHuBERT's size")
    parser.add_argument("--layer", type=int, help="default: 3; with --base 11")
    parser.add_argument("--clusters", type=int, default=500)
    parser.add_argument("--speech", type=Path, nargs="*", default=[], help="speech tables")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--seconds", type=float, default=300, help="of audio")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--precision", default="float32", choices=encoder.PRECISIONS)
    parser.add_argument("--micro-batch", type=float, help="seconds of audio in a batch")
    return parser.parse_args()


if __name__ == "__main__":
    main()
