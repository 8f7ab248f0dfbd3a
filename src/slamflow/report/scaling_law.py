"""The scaling law of speech language models, and what it says of benchmarks.

The law is that of Cuervo and Marxer 2024 (arXiv 2404.00685) for speech of 25 units a second with
K = 500: L(N, D) = E + A / N^α + B / D^β, for N parameters and D tokens. Compute is C = 6 N D FLOP.
Scores come from the loss by our own fit to the 31 models of that work, from scratch on mHuBERT's
units: chance + exp(a + b (L − 2)), with an error of about 0.6 points.
"""

import math

E, A, B, ALPHA, BETA = 1.73, 13.9, 39.8, 0.25, 0.24
CHANCE = 50.0  # percent
SCORES = {  # a and b; sBLIMP is the macro average over phenomena
    "sBLIMP": (2.153, -3.725),
    "tSC": (3.129, -2.169),
    "sSC": (1.495, -5.101),
}
LEAST_FLOP, LARGEST_LOSS = 8e16, 2.25  # beyond which there is no data


def loss(parameters: float, tokens: float) -> float:
    """The loss (nats a unit) of a model of `parameters` after `tokens` different ones."""
    return E + A / parameters**ALPHA + B / tokens**BETA


def optimum(flop: float) -> tuple[float, float]:
    """Parameters and tokens of the least loss at this compute.

    N = G (C/6)^a and D = (C/6)^b / G with G = (αA/βB)^(1/(α+β)), a = β/(α+β), b = α/(α+β).
    """
    total = ALPHA + BETA
    balance = (ALPHA * A / (BETA * B)) ** (1 / total)
    pairs = flop / 6
    return balance * pairs ** (BETA / total), pairs ** (ALPHA / total) / balance


def score(benchmark: str, found: float) -> float:
    """The accuracy (percent) of a model of loss `found` on one of SCORES."""
    first, slope = SCORES[benchmark]
    return CHANCE + math.exp(first + slope * (found - 2))


def predicted(benchmark: str, flop: float) -> float:
    """The accuracy (percent) of the best model at this compute."""
    return score(benchmark, loss(*optimum(flop)))


def extrapolated(flop: float) -> bool:
    """Whether the law has no data at this compute, or at the loss that it says."""
    return flop < LEAST_FLOP or loss(*optimum(flop)) > LARGEST_LOSS
