"""Curves of trainings: loss, learning rate and, of DPO, how often the chosen answer wins."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from slamflow.report.page.figures import COLOURS, DASHES, drawing, svg, thinned

NAMED = 12  # trainings of a figure, at most, that it has a legend for
WINDOW = 0.02  # of a training, over which its loss is averaged


def figures(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Figures with captions.

    Args:
        runs: name, kind, trained_on and log of each training, none of them empty.
    """
    found = []
    pretrained = [run for run in runs if run["kind"] != "aligned"]
    for place, mixture in enumerate(dict.fromkeys(run["trained_on"] for run in pretrained)):
        some = [run for run in pretrained if run["trained_on"] == mixture]
        caption = (
            f"Loss on {mixture} (nats a token, running mean) against tokens read. A circle is the"
            " loss on held-out documents: what lies above its curve has been learnt by heart."
            " Mixtures have vocabularies of their own, so that losses of different figures do not"
            " compare."
        )
        figure = _curves(some, "tokens", "loss", "tokens", "loss", f"loss-{place}", held_out=True)
        found.append(_figure(f"Loss on {mixture}", figure, caption, some))
    aligned = [run for run in runs if run["kind"] == "aligned"]
    if aligned:
        figure = _curves(aligned, "step", "accuracy", "update", "accuracy", "preferences")
        caption = (
            "DPO: the share of training pairs whose chosen answer gains more over the base model"
            " than the rejected one (running mean). Each alignment starts at 0.5 or below; near 1"
            " there is nothing left to learn from these pairs."
        )
        found.append(_figure("Alignment with preferences", figure, caption, aligned))
    if runs:
        figure = _curves(
            runs, "step", "learning_rate", "update", "learning rate", "rates", smooth=False
        )
        caption = "The learning rate of each update, as the schedules made it."
        found.append(_figure("Learning rates", figure, caption, runs))
    return found


def _figure(title: str, svg: Any, caption: str, runs: Sequence[Any]) -> dict[str, Any]:
    if len(runs) > NAMED:
        caption += f" These are {len(runs)} trainings; their names are in the ledger below."
    return {"title": title, "svg": svg, "caption": caption}


def _curves(
    runs: Sequence[dict[str, Any]],
    x: str,
    y: str,
    xlabel: str,
    ylabel: str,
    name: str,
    held_out: bool = False,
    smooth: bool = True,
) -> Any:
    with drawing() as figure:
        axes = figure.subplots()
        for number, run in enumerate(runs):
            log = run["log"]
            style = {
                "color": COLOURS[number % len(COLOURS)],
                "linestyle": DASHES[number // len(COLOURS) % len(DASHES)],
            }
            values = log[y].to_numpy()
            shown = _smooth(values) if smooth else values
            axes.plot(
                thinned(log[x].to_pylist()), thinned(shown.tolist()), label=run["name"], **style
            )
            if held_out:
                points = _held_out(log)
                axes.plot(*points, "o", color=style["color"], markerfacecolor="white", zorder=5)
        if y != "accuracy":
            _logarithmic(axes)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.xaxis.set_major_formatter("{x:,.0f}" if x == "step" else _big())
        if len(runs) <= NAMED:
            axes.legend(ncols=2 if len(runs) > 4 else 1)
        names = ", ".join(run["name"] for run in runs)
        last = "; ".join(f"{run['name']} ends at {run['log'][y][-1].as_py():.3g}" for run in runs)
        return svg(figure, name, f"{ylabel} against {xlabel} of {names}. {last}.")


def _logarithmic(axes: Any) -> None:
    """A logarithmic y with plain numbers at 1, 2, 5, 10, …"""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")


def _smooth(values: np.ndarray) -> np.ndarray:
    """The mean over the last values, WINDOW of all wide; at the beginning over fewer."""
    width = max(1, round(WINDOW * len(values)))
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - width)
    return (sums[ends] - sums[starts]) / (ends - starts)


def _held_out(log: Any) -> tuple[list[int], list[float]]:
    """Tokens and mean held-out loss over corpora, wherever it was taken."""
    found = [
        (tokens, float(np.mean([each["loss"] for each in losses])))
        for tokens, losses in zip(
            log["tokens"].to_pylist(), log["validation"].to_pylist(), strict=True
        )
        if losses
    ]
    return [each[0] for each in found], [each[1] for each in found]


def _big() -> Any:
    from matplotlib.ticker import EngFormatter

    return EngFormatter(sep=" ")
