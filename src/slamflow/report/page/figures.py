"""Figures of the page as inline SVG: one style, text as text, and colours that all can tell."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from markupsafe import Markup, escape

# Okabe and Ito's colours, the darker ones first
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#333333", "#8c8c00")
QUIET = "#777777"
DASHES = ("-", "--", ":", "-.")  # so that lines differ in print, too
POINTS = 300  # of a curve, at most
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "slamflow",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.4,
}


@contextmanager
def drawing(width: float = 5.2, height: float = 3.2) -> Iterator[Any]:
    """A figure of `width` × `height` inches in the page's style; draw it within the block."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        yield Figure(figsize=(width, height), layout="constrained")


def svg(figure: Any, name: str, alternative: str) -> Markup:
    """A figure as an element of a page.

    Args:
        name: unlike that of any other figure of the page.
        alternative: what the figure shows, for who cannot see it.
    """
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = (
        re.sub(r'\s(xmlns(:\w+)?|width|height|version)="[^"]*"', "", text[: text.index(">")])
        + (text[text.index(">") :])
    )
    text = text.replace("xlink:href", "href")
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
    label = f'<svg role="img" aria-label="{escape(alternative)}"'
    return Markup(text.replace("<svg", label, 1))


def thinned(values: list[Any]) -> list[Any]:
    """At most POINTS of the values, evenly chosen; the last one is among them."""
    step = -(-len(values) // POINTS) if values else 1
    return values[::-1][::step][::-1]
