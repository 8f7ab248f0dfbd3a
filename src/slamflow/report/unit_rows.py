"""The rows of `eval.tsv` that say how good units are, from `quality.json`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slamflow.report import quality_file

ALL = "all"  # the group that is everything
UNITS = "units:"  # begins the name of a tokeniser as a benchmark
# of units' quality: convention, metric, and where value and interval are in quality.json
SHARES = ("pnmi", "phone_purity", "cluster_purity")
RATE = "units_a_second"
ABX = {f"abx_{speakers}": ("abx", "units", speakers) for speakers in ("within", "across")}
_MEASURES: list[tuple[str, str, tuple[str, ...], tuple[str, ...]]] = [
    *(("phones", metric, (metric,), ("intervals", metric)) for metric in SHARES),
    ("phones", RATE, (RATE,), ()),
    *(("phones", metric, (*at, "error"), (*at, "interval")) for metric, at in ABX.items()),
    *(("with-silence", metric, ("with_silence", metric), ()) for metric in SHARES),
]


def rows(tokeniser: str, path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a tokeniser, and of MFCC k-means of the same K.

    Args:
        path: its quality.json.

    Raises:
        ValueError: the file lacks something; it names the key.
    """
    measured = quality_file.read(path)
    for part, model in (("tokeniser", tokeniser), ("mfcc", "mfcc")):
        for convention, metric, *places in _MEASURES:
            value, interval = (
                quality_file.value(measured, (part, *place), path) if place else None
                for place in places
            )
            if value is None:
                continue
            low, high = (f"{end:.3f}" for end in interval) if interval else (None, None)
            yield {
                "model": model,
                "benchmark": f"{UNITS}{tokeniser}",
                "group": ALL,
                "metric": metric,
                "convention": convention,
                "default": str(convention == "phones").lower(),
                "value": f"{value:.1f}" if metric == RATE else f"{value:.3f}",
                "ci_low": low,
                "ci_high": high,
                "n": str(quality_file.value(measured, ("utterances",), path)),
            }
