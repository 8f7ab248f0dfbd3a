"""How often each document of a mixture is trained on, and which are held out."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

EPOCHS, TOKENS, WEIGHT = "epochs", "tokens", "weight"


def generator(seed: int, *names: str) -> np.random.Generator:
    """What draws for one thing: it depends on the seed and the thing's names only."""
    digest = hashlib.blake2b("\n".join(names).encode(), digest_size=16).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, np.uint32).tolist()])


def epochs(
    tokens: Mapping[str, int], shares: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """How often each corpus is trained on.

    Args:
        tokens: the training tokens of each corpus.
        shares: of a corpus, `epochs`, `tokens` (as many epochs as make so many) or `weight`
            (tokens are proportional to the weights, and the corpus that runs out first is used
            exactly once). A corpus that is not named has 1 epoch.

    Raises:
        ValueError: a share of a corpus that the mixture lacks, or that cannot be had.
    """
    weights = {}
    found = dict.fromkeys(tokens, 1.0)
    for name, share in shares.items():
        if name not in tokens:
            raise ValueError(
                f"shares: {name} is none of the mixture's corpora ({', '.join(tokens)}); remove it"
            )
        kinds = [kind for kind, value in share.items() if value is not None]
        if len(kinds) != 1 or kinds[0] not in (EPOCHS, TOKENS, WEIGHT) or share[kinds[0]] < 0:
            raise ValueError(
                f"shares: {name} has {dict(share)}; give one of {EPOCHS}, {TOKENS} and {WEIGHT}"
            )
        kind, value = kinds[0], float(share[kinds[0]])
        if kind != EPOCHS and value and not tokens[name]:
            raise ValueError(f"shares: {name} has no training tokens; remove it from the mixture")
        if kind == WEIGHT:
            weights[name] = value
        else:
            found[name] = value if kind == EPOCHS or not value else value / tokens[name]
    return found | weighted({name: tokens[name] for name in weights}, weights)


def balanced(
    tokens: Mapping[str, int],
    given: Mapping[str, Mapping[str, float]],
    balance: Mapping[str, float],
) -> dict[str, float]:
    """How often each part of a mixture of several kinds of documents is trained on.

    Args:
        tokens: training tokens of each part, `{corpus}:{kind}`.
        given: shares of corpora, see `epochs`; a corpus has its share in each kind.
        balance: the weight of each kind; the one that runs out first is used as `given` says.

    Raises:
        ValueError: a corpus or a kind has no documents.
    """
    kinds: dict[str, dict[str, int]] = {kind: {} for kind in balance}
    for name, count in tokens.items():
        corpus, _, kind = name.partition(":")
        kinds[kind][corpus] = count
    known = sorted({corpus for parts in kinds.values() for corpus in parts})
    if unknown := sorted(given.keys() - set(known)):
        raise ValueError(
            f"shares: {unknown[0]} is none of the mixture's corpora ({', '.join(known)}); remove it"
        )
    times, totals = {}, {}
    for kind, parts in kinds.items():
        own = {corpus: share for corpus, share in given.items() if corpus in parts}
        times[kind] = epochs(parts, own)
        totals[kind] = sum(parts[corpus] * often for corpus, often in times[kind].items())
        if balance[kind] and not totals[kind]:
            raise ValueError(
                f"interleaving: there are no documents of {kind} to balance; name corpora that have"
                " them, or give the kind the weight 0"
            )
    scale = weighted(totals, balance)
    return {
        f"{corpus}:{kind}": often * scale[kind]
        for kind, parts in times.items()
        for corpus, often in parts.items()
    }


def weighted(tokens: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    """The share of each part's tokens that makes their numbers proportional to the weights.

    The part that runs out first has exactly 1, those of weight 0 have 0.
    """
    spans = {name: tokens[name] / weight for name, weight in weights.items() if weight}
    least = min(spans.values(), default=0.0)
    return {name: least / spans[name] if name in spans else 0.0 for name in weights}


def copies(lengths: np.ndarray, times: float, rng: np.random.Generator) -> np.ndarray:
    """How often each document is used so that all are used `times` times: int64 [documents].

    Each is used floor(times) times. Of what is left, documents are drawn without replacement until
    one more would take their tokens farther from it.

    Args:
        lengths: tokens of each document.
    """
    whole = int(times)
    found = np.full(len(lengths), whole, dtype=np.int64)
    wanted = (times - whole) * lengths.sum()
    drawn = rng.permutation(len(lengths))
    sums = np.concatenate([[0], np.cumsum(lengths[drawn])])
    found[drawn[: int(np.argmin(np.abs(sums - wanted)))]] += 1
    return found


def held_out(
    items: Mapping[str, Sequence[str]], share: float, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Which documents of each corpus are held out: all those of the chosen items, in all corpora.

    Of each corpus a share of its items is chosen, one at least unless it has a single item.

    Args:
        items: the item of each document, by corpus.
    """
    chosen: set[str] = set()
    for names in items.values():
        different = list(dict.fromkeys(names))
        count = max(1, round(share * len(different))) if share > 0 and len(different) > 1 else 0
        count -= sum(name in chosen for name in different)
        left = [name for name in different if name not in chosen]
        chosen |= {left[i] for i in rng.permutation(len(left))[: max(0, count)]}
    return {
        corpus: np.fromiter((item in chosen for item in names), dtype=bool, count=len(names))
        for corpus, names in items.items()
    }
