"""A picture of a tokeniser's quality: beside MFCC k-means, and which phones its units stand for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slamflow import files
from slamflow.tokeniser.phone_set import PHONES

SHARES = {"PNMI": "pnmi", "phone purity": "phone_purity", "cluster purity": "cluster_purity"}
RATES = {
    "units a second": ("units_a_second", "{:.1f}"),
    "bits a second": ("bitrate", "{:.0f}"),
    "perplexity": ("perplexity", "{:.0f}"),
    "units used": ("used", "{:.1%}"),
    "repeats": ("repeats", "{:.1%}"),
}
PARTS = {"tokeniser": "#2066a8", "mfcc": "#b8b8b8"}  # and their colours
# vowels, then consonants by how they are made: what is alike stands near
ORDER = (
    "IY IH EY EH AE AA AO AH ER UH UW OW OY AY AW Y W R L M N NG"
    " B D G P T K CH JH DH V Z ZH TH F S SH HH"
).split()


def draw(quality: Path, joint: np.ndarray, output: Path) -> None:
    """Draw what is in a `quality.json` as PNG.

    Args:
        joint: frames of each phone of PHONES and each unit, [phones, K]; all 0 where no phones
            are known.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    measured = files.read_json(quality)
    figure = Figure(figsize=(12, 9.5), layout="constrained")
    figure.suptitle(_title(quality.parent.name, measured))
    halves: Any = figure.subfigures(2, 1, height_ratios=(4, 6))
    above, below = halves
    shares, errors, rates = above.subplots(1, 3, width_ratios=(4, 5, 4))
    values = {
        part: [
            (measured[part][key], (measured[part]["intervals"] or {}).get(key))
            for key in SHARES.values()
        ]
        for part in PARTS
    }
    _bars(shares, list(SHARES), values, "phones and units (higher is better)")
    shares.legend(
        loc="upper right",
        ncols=2,
        frameon=False,
        handles=[Patch(color=colour, label=part) for part, colour in PARTS.items()],
    )
    kinds = [(of, kind) for of in ("features", "units") for kind in ("within", "across")]
    found = {part: [measured[part]["abx"][of][kind] for of, kind in kinds] for part in PARTS}
    values = {
        part: [(each["error"], each["interval"]) for each in its] for part, its in found.items()
    }
    _bars(errors, [f"{of}\n{kind}" for of, kind in kinds], values, "ABX error (lower is better)")
    _table(rates, measured)
    _heat_map(below, joint)
    with files.replacing(output) as temporary:
        # its version would change the bytes
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})


def _title(name: str, measured: Mapping[str, Any]) -> str:
    source = f"layer {measured['layer']}" if measured["features"] == "hubert" else "MFCC"
    return (
        f"{name}: {source}, K = {measured['clusters']}, {measured['frame_rate']:g} frames a second;"
        f" {measured['utterances']} utterances, 95 % intervals"
    )


def _bars(
    axes: Any,
    labels: Sequence[str],
    values: Mapping[str, Sequence[tuple[float | None, list[float] | None]]],
    title: str,
) -> None:
    """Groups of bars with intervals; what is not known has none."""
    width = 0.8 / len(values)
    highest = 0.0
    for number, (part, its) in enumerate(values.items()):
        for place, (value, interval) in enumerate(its):
            if value is None:
                continue
            low, high = interval or (value, value)
            where = place + (number - (len(values) - 1) / 2) * width
            # an interval of few utterances need not hold the value
            error = [[max(0.0, value - low)], [max(0.0, high - value)]]
            axes.bar(where, value, width, color=PARTS[part], yerr=error, capsize=3)
            axes.annotate(
                f"{value:.3f}"[1:] if value < 1 else "1",
                (where, max(value, high)),
                (0, 2),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=8,
            )
            highest = max(highest, value, high)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylim(0, 1.25 * highest or 1)  # with room for a legend
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def _table(axes: Any, measured: Mapping[str, Any]) -> None:
    rows = [
        [name, *(form.format(measured[part][key]) for part in PARTS)]
        for name, (key, form) in RATES.items()
    ]
    for kind, text in (
        ("noise", "same units, noise at {} dB"),
        ("speed", "edited units, speed {}"),
    ):
        for key in measured["tokeniser"][kind]:
            both = [measured[part][kind][key] for part in PARTS]
            shown = ["" if value is None else f"{value:.1%}" for value in both]
            rows.append([text.format(key), *shown])
    axes.axis("off")
    table = axes.table(
        rows,
        colLabels=["", *PARTS],
        colWidths=(0.54, 0.23, 0.23),
        cellLoc="right",
        bbox=(0, 0, 1, 1),
        edges="horizontal",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    for (_, column), cell in table.get_celld().items():
        cell.set_linewidth(0.3)
        if column == 0:
            cell.get_text().set_ha("left")


def _heat_map(figure: Any, joint: np.ndarray) -> None:
    axes = figure.subplots()
    order = [PHONES.index(phone) for phone in ORDER]
    used = np.flatnonzero(joint.sum(0))
    if not len(used):
        axes.axis("off")
        axes.text(0.5, 0.5, "no phones are known", ha="center", va="center")
        return
    share = joint[order][:, used] / joint[:, used].sum(0)
    columns = np.lexsort((-share.max(0), share.argmax(0)))
    image = axes.imshow(
        share[:, columns], aspect="auto", interpolation="nearest", cmap="BuPu", vmin=0, vmax=1
    )
    axes.set_yticks(range(len(order)), ORDER, fontsize=7)
    axes.set_xlabel(f"{len(used)} of {joint.shape[1]} units, by their likeliest phone")
    axes.set_title("p(phone | unit), silence left out", fontsize=10)
    figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03)
