"""What texts, ids and names say on the report's page, they only say."""

from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small_report
import yaml

from slamflow import files
from slamflow.report.page import writing

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}</td></svg>&lt;\x1b[2J"


class Elements(HTMLParser):
    """Tags and attributes of a page, and what it says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.said += data


def infect(path: Path) -> None:
    """Append EVIL to all ids, texts and reasons of a table."""
    table = pq.read_table(path)
    for name in {"id", "item", "text", "reason", "source"} & set(table.column_names):
        place = table.column_names.index(name)
        values = [value and value + EVIL for value in table[name].to_pylist()]
        table = table.set_column(place, table.schema.field(name), pa.array(values, pa.string()))
    files.write_table(table, path, table.schema)


def page(results: Path, block: dict) -> Elements:
    tables = (results / "eval.tsv", results / "comparisons.tsv")
    writing.write(block, *tables, results / "report.html", None)
    return Elements((results / "report.html").read_text(encoding="utf-8"))


@pytest.mark.filterwarnings("ignore:Glyph")
def test_what_is_shown_is_text(tmp_path: Path) -> None:
    results = tmp_path / "results"
    small_report.make(results)
    honest = page(results, small_report.BLOCK)
    for path in results.rglob("*.parquet"):
        infect(path)
    rows = [
        row | {"group": row["group"] if row["group"] == "all" else row["group"] + EVIL}
        for row in small_report.SCORES
    ]
    small_report.tables_of(results, rows, [small_report.DIFFERENCE])
    (results / "run_config.yaml").write_text(yaml.safe_dump({"recipe": EVIL, EVIL: {"seed": 7}}))
    found = page(results, small_report.BLOCK | {"recipe": EVIL})
    assert found.tags == honest.tags and found.attributes == honest.attributes
    assert "script" not in found.tags and not any(a.startswith("on") for a in found.attributes)
    for shown in (f"too <i>long</i>{EVIL}", f"the <u>cat</u>{EVIL}", f"<b>animals</b>{EVIL}"):
        assert shown in found.said
    assert found.said.count(EVIL) > 8
