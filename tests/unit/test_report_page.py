"""`report.html`, from a small results folder with everything and from one with almost nothing."""

import base64
import io
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import small_report
import soundfile
import speech_tables

from slamflow.report import scaling_law, tables
from slamflow.report.page import comparisons, costs, material, tracks, writing
from slamflow.tokeniser import codebook
from slamflow.vocoder import origins

VOID = {"meta", "br", "hr", "img", "input", "link", "path", "rect", "use"}


class Page(HTMLParser):
    """A page's elements; it fails on those that are not closed where they should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self.text = text
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.rows and self.rows[-1] and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    @property
    def said(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def cells(self) -> list[list[str]]:
        return [[re.sub(r"\s+", " ", cell).strip() for cell in row] for row in self.rows]


def write(results: Path, **block: object) -> Page:
    output = results / "report.html"
    writing.write(
        small_report.BLOCK | block,
        results / "eval.tsv",
        results / "comparisons.tsv",
        output,
        None,
    )
    return Page(output.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "results"
    small_report.make(folder)
    return folder


@pytest.fixture(scope="module")
def page(results: Path) -> Page:
    return write(results)


def test_it_needs_nothing_but_itself(page: Page) -> None:
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object")
        for key in ("src", "srcset", "poster", "data"):
            assert (attributes.get(key) or "data:").startswith("data:")
        address = attributes.get("href") or "#"
        assert address.startswith("#") or (tag == "a" and address.startswith("https://"))
    style = re.findall(r"<style.*?</style>", page.text, re.DOTALL)
    assert style and not any("url(" in each.replace("url(#", "") for each in style)
    assert not re.search(r"@import|xmlns", page.text)


def test_it_can_be_read_by_all(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [str(a["href"])[1:] for _, a in page.tags if (a.get("href") or "").startswith("#")]
    assert targets and set(targets) <= set(ids)
    assert set(re.findall(r"url\(#(.*?)\)", page.text)) <= set(ids)
    for tag, attributes in page.tags:
        if tag == "th":
            assert attributes.get("scope") in ("col", "row")
        if tag in ("svg", "audio"):
            assert attributes.get("aria-label")
        if tag == "img":
            assert attributes.get("alt")
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    captions = [tag for tag, _ in page.tags].count("caption")
    assert captions == [tag for tag, _ in page.tags].count("table")


def test_every_section_is_there(page: Page) -> None:
    assert "Left out" not in page.said.replace("Left out: no benchmark of this run is an", "")
    assert not [tag for tag, attributes in page.tags if "teaser" in str(attributes.get("id"))]
    for section in writing.SECTIONS:
        assert f'<section id="{section.name}">' in page.text


def test_its_numbers_are_those_of_the_tables(page: Page) -> None:
    cells = page.cells()
    for row in small_report.SCORES:
        interval = f"{row['value']} [{row['ci_low']}, {row['ci_high']}]"
        shown = row["value"] if row["default"] == "false" else interval
        shown = shown if row["value"] else "–"  # nothing was heard
        assert any(each[0].startswith(row["model"]) and shown in each for each in cells), row
    assert any("3.5 [-0.4, 7.2], p 0.081" in each for each in cells)
    assert material.SCORES == tables.COLUMNS and set(material.COMPARED) <= set(tables.COMPARED)


def test_text_is_never_markup(page: Page) -> None:
    for said in ("<b>animals</b>", "too <i>long</i>", "the <u>cat</u>"):
        assert said in page.said and said not in page.text


def test_costs(page: Page, results: Path) -> None:
    folder = results / "models" / "tiny"
    weights = costs.weights(folder)
    # token table 27 × 32, tied; two layers of q, o 32 × 32, k, v 16 × 32, and three of 32 × 64
    products = 27 * 32 + 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 64)
    assert weights is not None and weights.products == products
    ledger = {row[0]: row for row in page.cells() if len(row) == 13}
    tokens = small_report.STEPS * small_report.TOKENS
    assert float(ledger["tiny"][6]) == pytest.approx(6 * products * tokens, rel=0.005)
    # 16 pairs a step, of as many tokens as the card says
    pairs = small_report.STEPS * 16 * 125.2
    assert float(ledger["tiny-dpo"][6]) == pytest.approx(6 * products * pairs, rel=0.005)
    assert ledger["tiny"][8] == "tales 1.250" and ledger["tiny"][9] == "40 s"
    stages = {stage["rule"]: stage for stage in costs.stages(results)}
    assert stages["pretrain_model"]["gpu_hours"] == pytest.approx(4)  # two hours on two
    assert stages["align_model"]["gpu_hours"] is None
    assert "4.00 GPU-hours" in page.said


def test_data(page: Page) -> None:
    heads = [row for row in page.cells() if len(row) == 7]
    corpora = {row[0]: row for row in heads[: [row[0] for row in heads].index("mixture")]}
    assert corpora["tales"][4] == "2" and "no partner: 1" in corpora["tales"][6]
    seconds = sum(speech_tables.table(6)["duration"].to_pylist())
    assert corpora["tales"][5] == f"units {6 * 3 / seconds:.1f}"
    assert corpora["cloze"][4] == "0"
    mixtures = [row for row in page.cells() if "87.5 %" in row]
    assert mixtures and mixtures[0][:3] == ["tales", "1", "2"]


def test_clips_are_the_speech(page: Page, results: Path) -> None:
    sources = [str(a["src"]) for tag, a in page.tags if tag == "audio"]
    assert len(sources) == 4 * 4  # four prompts: original, resynthesis, two models
    clips = [soundfile.read(io.BytesIO(base64.b64decode(s.partition(",")[2]))) for s in sources]
    seconds = [len(wave) / rate for wave, rate in clips]
    first = speech_tables.table(1).to_pylist()[0]
    # original, and the models, which here say the same; three units last six frames
    for place in (0, 2, 3):
        assert seconds[place] == pytest.approx(first["duration"], abs=0.15)
        assert np.abs(clips[place][0]).max() > 0.05
    hop = codebook.read(results / "tokenisers" / "units" / "kmeans.safetensors")[1]
    assert seconds[1] == pytest.approx(2 * 3 * origins.hop(hop) / small_report.RATE, abs=0.15)
    assert "nothing was recognised" in page.said
    labels = [str(a["aria-label"]) for tag, a in page.tags if tag == "audio"]
    assert [each.split(", ")[1] for each in labels[:4]] == [
        "original",
        "spoken again from its units",
        "tiny",
        "tiny-dpo",
    ]


def test_how_it_was_made(page: Page) -> None:
    graph = next(str(a["aria-label"]) for t, a in page.tags if "Graph" in str(a.get("aria-label")))
    assert graph is not None
    lines = next(
        str(a["aria-label"]) for t, a in page.tags if t == "svg" and "rules" in str(a["aria-label"])
    )
    for start, end in (
        ("synthesise_speech", "train_hubert"),
        ("train_hubert", "fit_kmeans"),
        ("fit_kmeans", "train_hubert"),
        ("fit_kmeans", "extract_units"),
    ):
        assert f"{start} → {end}" in lines
    assert "stroke-dasharray" in page.text
    assert "pretrain_model → score_benchmark" in lines
    # what a longer way says is left out, and what has no part in these results
    assert "extract_units → score_benchmark" not in lines and "forgotten" not in lines
    assert "models.a 7" in page.said and "/private" not in page.text
    assert "c0dec0dec0de" in page.said


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    results = tmp_path / "results"
    small_report.tables_of(results, [small_report.row("bigram", 51.3)], [])
    page = write(results, spoken=[])
    said = page.said
    for reason in ("comparisons.tsv is empty", "neither logs", "packed rows are not there any"):
        assert reason in said
    assert "no benchmark of this run names a vocoder" in said
    assert "51.3 [48.0, 54.2]" in said and "Snakemake's notes are not beside" in said
    small_report.tables_of(results, [], [])
    assert "eval.tsv has no scores of models" in write(results).said


def test_a_damaged_table_is_one_line(tmp_path: Path) -> None:
    small_report.tables_of(tmp_path, [], [])
    (tmp_path / "eval.tsv").write_text("model\tbenchmark\n")
    with pytest.raises(ValueError, match=r"eval\.tsv: has no column `group`; delete it"):
        write(tmp_path)
    assert not (tmp_path / "report.html").exists()


OFFICIAL = [
    {"benchmark": "cloze", "set": "tSC", "split": ""},
    {"benchmark": "blimp", "set": "sBLIMP", "split": "dev"},
]


def test_beside_published_ones(results: Path, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(results / "models")
    rows = [
        small_report.row("tiny", 71.2),
        small_report.row("tiny-dpo", 72.4),
        small_report.row("tiny", 73.0, convention="zerospeech-mean"),
        small_report.row("bigram", 51.0),
        small_report.row("tiny", 55.5, benchmark="blimp", convention="slamkit-mean"),
        small_report.row("tiny", 54.4, benchmark="blimp", convention="slm-scaling"),
        small_report.row(
            "tiny", 56.6, benchmark="blimp", convention="slm-scaling", metric="macro_accuracy"
        ),
    ]
    ppl = {"metric": "gen_ppl", "benchmark": "spoken", "convention": "as the paper"}
    rows += [small_report.row("tiny", 88.8, **ppl)]
    rows += [small_report.row("tiny", 3.5, **ppl | {"metric": "auto_bleu"})]
    small_report.tables_of(tmp_path, rows, [])
    page = write(tmp_path, official=OFFICIAL, generated=["spoken"], spoken=[])
    text = page.text[page.text.index('<section id="beside">') :]
    beside = Page(text[: text.index("</section>") + 10])
    cells = {(row[0], row[2].split(" ")[0]): row for row in beside.cells()}
    slam = cells["Slam", "82.04"]
    assert slam[3:] == ["slamkit-mean", "1 A5000-day", "", "arXiv 2502.15814"]
    assert ("tiny", "71.2") in cells and ("tiny", "55.5") in cells and ("tiny", "56.6") in cells
    # another convention, another average, and what is no language model of speech
    assert not {("tiny", "73.0"), ("tiny", "54.4"), ("bigram", "51.0")} & cells.keys()
    assert ["tiny", "88.8 [85.5, 91.7]", "3.5", "as the paper"] in beside.cells()
    assert ["Slam without DPO", "88.3", "3.47", "arXiv 2502.15814"] in beside.cells()
    # an aligned model's compute is that of its base, too
    products = 27 * 32 + 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 64)
    spent = 6 * products * small_report.STEPS * (small_report.TOKENS + 16 * 125.2)
    ours = cells["tiny-dpo", "72.4"]
    assert float(ours[4].split()[0]) == pytest.approx(spent, rel=0.05)
    predicted = scaling_law.predicted("tSC", spent)
    assert ours[5] == f"{predicted:.1f} (extrapolated)" and ours[3] == "slamkit-mean, accuracy"
    figures = [str(a["aria-label"]) for tag, a in beside.tags if tag == "svg"]
    assert len(figures) == 2 and f"{slam[1]} Slam 82.04 %" in figures[0]
    assert f"{ours[1]} tiny-dpo 72.4 %" in figures[0] and "54.4" not in figures[1]
    # a figure has one convention and split: Slam does not name the split of its sBLIMP
    assert "Marxer" not in figures[0] and "TWIST" not in figures[0]
    assert "Cuervo & Marxer, largest 61.3 %" in figures[1] and "tiny 56.6 %" in figures[1]
    assert "Slam" not in figures[1] and "55.5" not in figures[1]
    assert "nothing was published of this split by this convention" in beside.said
    others = {(row[0], row[1]): row[2:] for row in beside.cells()}
    assert others["Slam", "58.86"][:2] == ["slamkit-mean", "not named"]
    assert others["TWIST-7B", "74.1"][0] == "first published"
    assert others["Cuervo & Marxer, largest", "78.0"][0] == "slm-scaling"
    assert "extrapolated: no data" in beside.said


def test_perplexity_compares_where_no_accuracy_does(results: Path, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(results / "models")
    ppl = {"metric": "gen_ppl", "benchmark": "spoken", "convention": "as the paper"}
    small_report.tables_of(tmp_path, [small_report.row("tiny", 88.8, **ppl)], [])
    page = write(tmp_path, generated=["spoken"], spoken=[])
    assert ["tiny", "88.8 [85.5, 91.7]", "", "as the paper"] in page.cells()
    assert "compares with nothing" not in page.said and "compare with nothing" not in page.said


def test_many_pairs_are_cut_by_pair(tmp_path: Path) -> None:
    """Of those that are drawn, all benchmarks are."""
    names = [f"m{number}" for number in range(comparisons.SHOWN + 1)]
    rows = [
        small_report.DIFFERENCE | {"model": name, "against": "other", "benchmark": benchmark}
        for benchmark in ("one", "two")
        for name in names
    ]
    small_report.tables_of(tmp_path, [], rows)
    page = write(tmp_path, spoken=[])
    heads = [row[0] for row in page.cells()]
    assert heads.count("m0− other") == heads.count(f"{names[-2]}− other") == 2
    assert f"{names[-1]}− other" not in heads and f"{names[-1]} − other" in heads
    assert f"the first {comparisons.SHOWN} of {comparisons.SHOWN + 1} pairs" in page.said


def test_a_link_to_results_elsewhere(tmp_path: Path) -> None:
    """What lies beside the link in the checkout is found; shards of before are not read."""
    small_report.make(tmp_path / "made" / "results")
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (tmp_path / "made" / ".snakemake").rename(checkout / ".snakemake")
    results = checkout / "results"
    results.symlink_to(tmp_path / "made" / "results")
    (results / "vocoders").rename(checkout / "resources")
    for folder in ("speech", "units/units", "rejected"):
        shard = results / folder / "tales" / "0000.parquet"
        shard.with_name("0001.parquet").write_bytes(shard.read_bytes())
    shipped = [its | {"weights": "resources/voice"} for its in small_report.HEARD]
    page = write(results, spoken=shipped)
    assert "pretrain model" in page.said and "Snakemake's notes are not beside" not in page.said
    labels = [str(a["aria-label"]) for tag, a in page.tags if tag == "audio"]
    assert sum("spoken again" in label for label in labels) == 4
    tales = next(row for row in page.cells() if row[0] == "tales" and len(row) == 7)
    assert (tales[1], tales[4]) == ("6", "2")
    (checkout / "resources").rename(checkout / "gone")
    missing = write(results, spoken=shipped)
    assert "Not spoken again from its units: resources/voice is not there" in missing.said


def test_models_of_other_units_have_a_gallery_of_their_own(results: Path) -> None:
    other = small_report.HEARD[1] | {"tokeniser": "others", "codebook": "results/none"}
    page = write(results, spoken=[small_report.HEARD[0], other])
    assert "as units of units, spoken by voice" in page.said
    assert "as units of others, spoken by voice" in page.said
    labels = [str(a["aria-label"]) for tag, a in page.tags if tag == "audio"]
    assert sum("spoken again" in label for label in labels) == 4  # of the first alone
    assert "results/none is not there" in page.said


def test_axes() -> None:
    scale = tracks.axis(["47.0", "100.0", "50", ""], ceiling=100)
    assert (scale.low, scale.high) == (40, 100) and scale.place("70") == 50
    assert scale.place("") is None and scale.place("0") == 0
    assert [text for text, _ in scale.marks] == ["40", "60", "80", "100"]
    found = tracks.mark(scale, "70", "55", "85")
    assert found == tracks.Mark(50.0, 25.0, 50.0)
    assert tracks.mark(scale, "70", "", "") == tracks.Mark(50.0, 50.0, 0.0)
    around = tracks.axis(["-4.1", "2.0"], zero=True)
    assert around.low <= -4.1 and around.high >= 2 and 0.0 in around.ticks
    assert tracks.axis([]).place(0.5) is not None
