"""Measure k-means beside scikit-learn's MiniBatchKMeans: the same frames, machine and run.

    python speed/kmeans.py --speech results/speech/stories/*.parquet

scikit-learn's has the settings that fairseq's HuBERT has. The two take turns, with another seed
each time; the least time of each counts.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits

from slamflow.tokeniser import encoder, kmeans
from slamflow.tokeniser.kmeans_clustering import nearest


def main() -> None:
    args = _arguments()
    machine = {"threads": args.threads, "data_root": args.data_root}
    kind = "hubert" if args.hubert else "mfcc"
    weights = args.hubert / "model.safetensors" if args.hubert else None
    opened = encoder.open_encoder(kind, args.layer, weights, machine)
    frames = kmeans.collect(opened, args.speech, args.frames, 0, machine, "collect")
    placed = torch.from_numpy(frames).to(opened.device)
    print(f"\n{len(frames)} frames of {kind}, {frames.shape[1]} dimensions; {args.threads} threads")
    print(f"of {opened.device}; torch {torch.__version__}, scikit-learn {sklearn.__version__}\n")
    print(
        "| K | inertia ÷ theirs, each seed | core s | theirs | wall s | theirs | × core | × wall |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for clusters in args.clusters:
        ratios, times = [], []
        for seed in range(args.repeats):
            begun = _clock()
            ours = kmeans.cluster(placed, clusters, seed)
            between = _clock()
            with threadpool_limits(args.threads):
                theirs = _theirs(frames, clusters, seed, args.starts)
            times.append(np.concatenate([between - begun, _clock() - between]))
            ratios.append(_inertia(placed, ours) / _inertia(placed, theirs))
        wall, core, their_wall, their_core = np.min(times, axis=0)
        shown = ", ".join(f"{ratio:.4f}" for ratio in ratios)
        print(f"| {clusters} | {shown} | {core:.2f} | {their_core:.2f} | {wall:.2f}", end=" ")
        print(
            f"| {their_wall:.2f} | {their_core / core:.1f} | {their_wall / wall:.1f} |", flush=True
        )


def _clock() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


def _theirs(frames: np.ndarray, clusters: int, seed: int, starts: int) -> np.ndarray:
    model = MiniBatchKMeans(
        clusters,
        init="k-means++",
        n_init=starts,
        batch_size=10_000,
        max_iter=100,
        max_no_improvement=100,
        tol=0.0,
        reassignment_ratio=0.0,
        compute_labels=False,
        random_state=seed,
    )
    centroids: np.ndarray = model.fit(frames).cluster_centers_
    return centroids


def _inertia(frames: torch.Tensor, centroids: np.ndarray) -> float:
    distances = nearest(frames, torch.from_numpy(centroids).to(frames.device))[1]
    return float(distances.sum(dtype=torch.float64))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--speech", type=Path, nargs="+", required=True, help="speech tables")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--hubert", type=Path, help="folder of the weights; default: MFCC")
    parser.add_argument("--layer", type=int, default=3)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--clusters", type=int, nargs="+", default=[50, 100, 200, 500])
    parser.add_argument("--starts", type=int, default=20, help="n_init of theirs")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
