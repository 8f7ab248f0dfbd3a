"""Measure scoring beside the usual way: the same weights, pairs, machine and run.

    python speed/scoring.py --speech results/speech/lexical/0000.parquet \\
        --model results/models/slm --codebook results/tokenisers/hubert/kmeans.safetensors
    python speed/scoring.py --size slam     # pairs spoken by espeak-ng, random weights

The usual way takes pairs in their order, a batch at a time: the waves of the positives, and then
of the negatives, are padded and go through transformers' HubertModel and scikit-learn's `predict`;
the units without repeats are padded and go through the language model with a mask. It does all
this for every model. Ours makes units once a tokeniser, and then scores each model on them. Both
begin with waves in memory; the ways take turns; the least time of each counts.
"""

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import reference
import scoring_ways
import sklearn
import torch
import transformers
from sklearn.cluster import MiniBatchKMeans
from transformers import HubertModel, PreTrainedModel

from slamflow import audio
from slamflow.lm import architecture, saved, vocabulary
from slamflow.synthesis.espeak import Espeak
from slamflow.tokeniser import codebook, encoder, utterances
from slamflow.tokeniser.features import SAMPLING_RATE

WORDS = "the old captain and a small red dog went slowly over seven quiet hills before winter came"
COLUMNS = ("item", "rendition", "role")
T = TypeVar("T")


def main() -> None:
    args = _arguments()
    torch.set_num_threads(args.threads)
    machine = {"threads": args.threads, "device": args.device}
    opened = encoder.open_encoder("hubert", args.layer, args.hubert / "model.safetensors", machine)
    hubert = HubertModel.from_pretrained(args.hubert, attn_implementation="sdpa").eval()
    hubert = hubert.to(opened.device)
    pairs = (_read(args.speech, args.data_root) if args.speech else _spoken())[: args.pairs]
    waves = [wave for pair in pairs for wave in pair]
    centroids = _centroids(args, opened, waves)
    predictor = MiniBatchKMeans(len(centroids), init=centroids.numpy(), n_init=1, max_iter=1)
    predictor.fit(centroids.numpy()).cluster_centers_ = centroids.numpy()
    network = saved.load(args.model) if args.model else _random(args.size, len(centroids))
    network = network.to(opened.device)
    placed, found = centroids.to(opened.device), {}
    times: dict[str, list[tuple[float, float]]] = {}

    def timed(name: str, way: Callable[[], T]) -> T:
        wall, core = time.perf_counter(), time.process_time()
        result = way()
        if opened.device == "cuda":
            torch.cuda.synchronize()
        spent = time.perf_counter() - wall, time.process_time() - core
        times.setdefault(name, []).append(spent)
        print(f"{name}: {spent[0]:.2f} s, {spent[1]:.2f} of all cores", file=sys.stderr, flush=True)
        return result

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "units.parquet"
        for _ in range(args.repeats):
            units = timed("units", lambda: scoring_ways.units(opened, placed, waves, path))
            found["ours"] = timed("scores", lambda: scoring_ways.ours(network, path))
            found["usual"] = timed(
                "usual",
                lambda: scoring_ways.usual(
                    hubert, args.layer, predictor, network, pairs, args.batch
                ),
            )
    tokens = sum(map(len, units)) + len(units)
    best = {name: np.min(spent, axis=0) for name, spent in times.items()}
    processor = torch.cuda.get_device_name() if opened.device == "cuda" else platform.machine()
    print(f"{processor}, {args.threads} threads, float32; Python {platform.python_version()},")
    print(f"torch {torch.__version__}, transformers {transformers.__version__},", end=" ")
    print(f"scikit-learn {sklearn.__version__}")
    seconds = sum(map(len, waves)) / SAMPLING_RATE
    print(f"{len(pairs)} pairs, {seconds:.0f} s of audio, {tokens} tokens; a model of", end=" ")
    print(f"{network.num_parameters() / 1e6:.1f}M parameters; the usual way in batches of", end=" ")
    print(f"{args.batch} pairs\n")
    print("| | pairs a core second | pairs a second | the usual way takes |\n|---|---|---|---|")
    ways = {
        "the usual way, each model": best["usual"],
        "ours, the first model of a tokeniser": best["units"] + best["scores"],
        "ours, each further model": best["scores"],
    }
    for name, (wall, core) in ways.items():
        basis = best["usual"][0] / wall if opened.device == "cuda" else best["usual"][1] / core
        print(f"| {name} | {len(pairs) / core:.1f} | {len(pairs) / wall:.1f} | {basis:.1f} × |")
    other = np.mean(found["ours"] != found["usual"])
    print(
        f"\nunits of the usual way depend on padding: {other:.2%} of the pairs come out otherwise"
    )


def _centroids(
    args: argparse.Namespace, opened: encoder.Encoder, waves: list[np.ndarray]
) -> torch.Tensor:
    """Those of a codebook, or else frames of the first waves."""
    if args.codebook:
        array, origin = codebook.read(args.codebook)
        codebook.check(origin, args.codebook, opened.identity, opened.dimension)
        return torch.from_numpy(array)
    frames = torch.cat(opened.encode(waves[:32])).cpu()
    torch.manual_seed(0)
    return frames[torch.randperm(len(frames))[: args.clusters]].contiguous()


def _read(speech: list[Path], data_root: Path | None) -> list[scoring_ways.Pair]:
    members: dict[tuple[str, int], dict[str, np.ndarray]] = {}
    for path in speech:
        for row, wave in utterances.read(path, SAMPLING_RATE, data_root, columns=COLUMNS):
            members.setdefault((row["item"], row["rendition"]), {})[row["role"]] = wave
    return [(pair["positive"], pair["negative"]) for pair in members.values() if len(pair) == 2]


def _spoken() -> list[scoring_ways.Pair]:
    """Sentences of 3 to 12 words and the same with two words exchanged."""
    rng, words, pairs = np.random.default_rng(0), WORDS.split(), []
    with Espeak() as engine:
        for _ in range(200):
            text = rng.choice(words, size=rng.integers(3, 13), replace=False)
            other = text.copy()
            other[[0, -1]] = other[[-1, 0]]
            both = (engine.speak(" ".join(each), "en-us", 175, 50) for each in (text, other))
            good, bad = (
                audio.resample(
                    each.samples.astype(np.float32) / 32768, each.sampling_rate, SAMPLING_RATE
                )
                for each in both
            )
            pairs.append((good, bad))
    return pairs


def _random(size: str, clusters: int) -> PreTrainedModel:
    return architecture.build(reference.init(size), clusters + vocabulary.UNITS, 1024).eval()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    pocket = Path(__file__).parents[1] / "resources" / "hubert-pocket"
    parser.add_argument("--hubert", type=Path, default=pocket, help="folder of the weights")
    parser.add_argument("--layer", type=int, default=2)
    parser.add_argument("--codebook", type=Path, help="kmeans.safetensors; default: drawn frames")
    parser.add_argument("--clusters", type=int, default=500, help="so many of them")
    parser.add_argument("--model", type=Path, help="folder of a language model of so many units")
    parser.add_argument(
        "--size", choices=tuple(reference.SIZES), default="pocket", help="random weights"
    )
    parser.add_argument("--speech", type=Path, nargs="*", default=[], help="speech tables of pairs")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--pairs", type=int, default=200, help="the first so many")
    parser.add_argument("--batch", type=int, default=16, help="pairs of the usual way at once")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
