"""What the sections of the page are made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

SCORES = ["model", "benchmark", "group", "metric", "convention", "default"]
SCORES += ["value", "ci_low", "ci_high", "n", "chance"]
COMPARED = ["model", "against", "benchmark", "convention", "difference", "ci_low", "ci_high", "n"]


@dataclass(frozen=True)
class Material:
    """A workflow's results.

    Attributes:
        block: `models`: [{name, kind, start, trained_on}, …] in the order of `evaluate`, with those
            that they start from; `official`: [{benchmark, set, split}, …]; `generated`: benchmarks
            whose GenPPL is taken as the Slam paper's; `spoken`: [{model, benchmark, corpus,
            vocoder, weights (its folder), tokeniser, codebook}, …]; `corpora`: [[name, shards],
            …]; `mixtures`, `tokenisers`: names. Paths are relative to the checkout.
        results: their folder.
        scores, comparisons: `eval.tsv` and `comparisons.tsv` as text.
        data_root: of recordings that lie outside the tables.
    """

    block: Mapping[str, Any]
    results: Path
    scores: pd.DataFrame
    comparisons: pd.DataFrame
    data_root: Path | None = None

    @property
    def models(self) -> dict[str, Mapping[str, Any]]:
        """What is known of each model, by its name."""
        return {its["name"]: its for its in self.block["models"]}

    @property
    def checkout(self) -> Path:
        """The folder that holds `results`, also where that is a link to another place."""
        return self.results.absolute().parent

    def shards(self, folder: str, corpus: str) -> list[Path]:
        """The tables of a corpus below a folder of results; those of fewer shards are no more."""
        count = dict(self.block["corpora"])[corpus]
        paths = (self.results / folder / corpus / f"{n:04d}.parquet" for n in range(count))
        return [path for path in paths if path.exists()]

    def kind(self, model: str) -> str:
        """What kind of model it is; the empty text of what the config does not know."""
        return str(self.models.get(model, {}).get("kind", ""))

    def start(self, model: str) -> str:
        """What a model starts from; the empty text if that is nothing, or not known."""
        return str(self.models.get(model, {}).get("start") or "")


def records(rows: pd.DataFrame) -> list[dict[str, str]]:
    """The rows of a table of text, each by its columns."""
    names = [str(name) for name in rows.columns]
    return [dict(zip(names, row, strict=True)) for row in rows.to_numpy().tolist()]
