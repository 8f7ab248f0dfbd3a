"""k-means on the device of its frames: a k-means++ start, mini-batches, then whole passes.

Equal seeds give equal bits on one machine with one number of threads: random numbers are drawn on
the CPU, and sums are taken in a fixed order.
"""

import math

import torch
from torch.nn import functional

_BATCH = 10_000  # frames, as fairseq's HuBERT
_STEPS = 40  # mini-batches
_PASSES = 20  # over all frames, at most
_GAIN = 1e-3  # the least part of the inertia that a pass must gain for another one to follow
_POOL = 20  # frames a cluster among which first centroids are sought


def cluster(frames: torch.Tensor, clusters: int, seed: int) -> torch.Tensor:
    """Centroids float32 [clusters, dimension] of frames float32 [n, dimension].

    Raises:
        ValueError: there are fewer frames, or fewer different ones, than clusters; or some are not
            finite.
    """
    if len(frames) < clusters:
        raise ValueError(f"{len(frames)} frames are too few for {clusters} clusters")
    if not bool(torch.isfinite(frames).all()):
        raise ValueError("frames to fit k-means on have values that are not finite")
    generator = torch.Generator().manual_seed(seed)
    start = _start(frames, clusters, generator)
    return settle(frames, _mini_batches(frames, start, generator))


def settle(frames: torch.Tensor, centroids: torch.Tensor) -> torch.Tensor:
    """Lloyd's passes over all frames [n, dimension] from centroids, until they gain little.

    A centroid without frames moves to the frame that is farthest from all others.
    """
    last = math.inf
    for _ in range(_PASSES):
        labels, distances = nearest(frames, centroids)
        inertia = float(distances.sum(dtype=torch.float64))
        sums, counts = _sums(frames, labels, len(centroids))
        centroids = torch.where(counts > 0, sums / counts.clamp(min=1), centroids)
        empty = (counts == 0).flatten().nonzero().flatten().tolist()
        for index in empty:
            far = frames[distances.argmax()]
            centroids[index] = far
            distances = torch.minimum(distances, (frames - far).square().sum(1))
        if last - inertia < _GAIN * inertia and not empty:
            break
        last = inertia
    return centroids


def nearest(frames: torch.Tensor, centroids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest centroid of each frame, int64 [n], and the square of its distance, [n].

    Args:
        frames: float32 [n, dimension].
        centroids: float32 [clusters, dimension].
    """
    labels, distances = [], []
    norms = centroids.square().sum(1)
    for part in frames.split(_BATCH):
        # |f - c|² without |f|², which is the same for all c
        least, index = torch.addmm(norms, part, centroids.T, alpha=-2).min(1)
        labels.append(index)
        distances.append((least + part.square().sum(1)).clamp_(min=0))
    return torch.cat(labels), torch.cat(distances)


def _start(frames: torch.Tensor, clusters: int, generator: torch.Generator) -> torch.Tensor:
    order = torch.randperm(len(frames), generator=generator)[: _POOL * clusters]
    first = _plus_plus(frames[order.to(frames.device)], clusters, generator)
    if len(torch.unique(first, dim=0)) == clusters:
        return first
    different = torch.unique(frames, dim=0)
    if len(different) < clusters:
        raise ValueError(
            f"{len(frames)} frames, of which only {len(different)} are different, are too few for"
            f" {clusters} clusters"
        )
    return _plus_plus(different, clusters, generator)


def _plus_plus(pool: torch.Tensor, clusters: int, generator: torch.Generator) -> torch.Tensor:
    """Greedy k-means++ (Arthur & Vassilvitskii 2007) among frames [n, dimension].

    A frame is drawn in proportion to the square of its distance to the nearest centroid so far;
    of 2 + log(clusters) draws, that which lowers the sum of these the most is taken.
    """
    draws = torch.rand(
        clusters, 2 + int(math.log(clusters)), generator=generator, dtype=torch.float64
    ).to(pool.device)
    centred = pool - pool.mean(0)  # so that little cancels in |f|² + |c|² - 2 f·c
    norms = centred.square().sum(1)
    chosen = [(draws[0, :1] * len(pool)).long()]
    closest = _squares(centred, norms, chosen[0])[:, 0]
    closest[chosen[0]] = 0
    for draw in draws[1:]:
        # whole numbers, as their running sum is the same in any order
        weights = closest * (2**31 / closest.max().clamp(min=1e-30))
        edges = weights.long().cumsum(0)
        drawn = torch.searchsorted(edges, (draw * edges[-1]).long(), right=True)
        drawn = drawn.clamp_(max=len(pool) - 1)
        tried = torch.minimum(_squares(centred, norms, drawn), closest[:, None])
        best = tried.sum(0).argmin().reshape(1)
        chosen.append(drawn[best])
        closest = tried[:, best][:, 0]
        closest[chosen[-1]] = 0
    return pool[torch.cat(chosen)]


def _squares(frames: torch.Tensor, norms: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Squared distances [n, m] of frames to the m `chosen` ones."""
    offsets = norms[:, None] + norms[chosen]
    return torch.addmm(offsets, frames, frames[chosen].T, alpha=-2).clamp_(min=0)


def _mini_batches(
    frames: torch.Tensor, centroids: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Each centroid as the mean of all that was nearest to it in random batches (Sculley 2010)."""
    seen = torch.zeros(len(centroids), 1, device=frames.device)
    size = min(_BATCH, len(frames))
    for drawn in torch.randint(len(frames), (_STEPS, size), generator=generator):
        batch = frames[drawn.to(frames.device)]
        sums, counts = _sums(batch, nearest(batch, centroids)[0], len(centroids))
        seen += counts
        centroids = centroids + (sums - counts * centroids) / seen.clamp(min=1)
    return centroids


def _sums(
    frames: torch.Tensor, labels: torch.Tensor, clusters: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The sum of the frames of each cluster, [clusters, dimension], and their number [clusters, 1].

    In the order of the frames: atomic additions on a GPU would come in any.
    """
    counts = torch.bincount(labels, minlength=clusters)
    order, starts = labels.argsort(stable=True), counts.cumsum(0) - counts
    return functional.embedding_bag(order, frames, starts, mode="sum"), counts[:, None].float()
