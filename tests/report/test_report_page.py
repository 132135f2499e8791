from __future__ import annotations

import re
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from PIL import Image
from report_results import demo_result

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.report.figures import fewer_colours, for_print
from voxplain.report.figures.charts.bars import region_bars
from voxplain.report.figures.style import DPI
from voxplain.report.html.render import render
from voxplain.report.html.sections import (
    Code,
    Fact,
    Made,
    NotRun,
    Page,
    Picture,
    Section,
    Table,
    Text,
)
from voxplain.report.pages import demo as pages
from voxplain.report.words.trust import rule_text, sentence
from voxplain.results.trust import Finding, Measurement, Rule

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Reader(HTMLParser):
    """Collects tags with their attributes, and complains of tags left open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def demo_page(summary: dict[str, Any], pictures: dict[str, bytes], viewer: str = "") -> Page:
    return pages.demo_page(demo_result(summary, Grid((22, 30, 20), np.eye(4))), pictures, viewer)


@pytest.fixture(scope="module")
def png() -> bytes:
    return region_bars([{"region": "A", "mean": 1.0}])


def assert_stands_alone(page: str) -> None:
    assert "default-src 'none'" in page
    for attrs in (a for _, a in Reader(page).tags):
        for name in ("src", "href", "srcset", "data", "poster"):
            assert (attrs.get(name) or "#").startswith(("#", "data:"))
    styles = " ".join(re.findall(r"<style>.*?</style>", page, re.DOTALL))
    assert "@import" not in styles
    assert "url(" not in styles


def test_the_demo_page_tells_everything(summary: dict[str, Any], png: bytes) -> None:
    keys = ["cohort", "training", "predictions", "localisation", "agreement", "gallery"]
    for method in summary["methods"]:
        keys += [
            f"{kind}:{method}:{c}" for kind in ("mosaic", "regions") for c in ("control", "case")
        ]
    page = render(demo_page(summary, dict.fromkeys(keys, png), '{"maps":[]}'))
    assert_stands_alone(page)
    reader = Reader(page)
    images = reader.all("img")
    assert len(images) == len(keys)
    for image in images:
        kind, data = str(image["src"]).split(",")
        assert kind == "data:image/png;base64"
        assert b64decode(data) == png
        assert image["alt"]
    (viewer,) = (one for one in reader.all("figure") if one.get("class") == "maps")
    (data,) = (one for one in reader.all("script") if one.get("type") == "application/json")
    assert viewer["data-from"] == data["id"]
    assert '{"maps":[]}' in reader.text
    assert reader.all("html")[0]["lang"] == "en"
    headings = [t.strip() for t in reader.text]
    for title in ("The cohort", "The maps", "Regions", "How to repeat this run"):
        assert headings.count(title) == 2
    sections = [s["id"] for s in reader.all("section")]
    assert [a["href"] for a in reader.all("a")] == [f"#{anchor}" for anchor in sections]
    text = " ".join(reader.text)
    for words in (
        "A demo of <maps> & more",
        "sub-<01>",
        "Grad-CAM is no better than chance.",
        "Gradient and Guided backpropagation find the effect better than chance.",
        "Gradient beats the voxel-wise t-map",
        "The verdict on Gradient.",
        "322,818",
        "0.850 to 1.000",
        "Maps are smoothed by 6 mm",
        "voxplain demo --out demo --seed 0",
        "ab" * 32,
        "2.13.0",
        "1.00×10⁻⁵",
        "116",
    ):
        assert words in text
    assert "&lt;maps&gt;" in page
    assert "<maps>" not in page


def test_verdicts_follow_the_summary(summary: dict[str, Any]) -> None:
    def text_of(**verdicts: bool) -> str:
        for method in summary["methods"].values():
            method.update(verdicts)
        return " ".join(Reader(render(demo_page(summary, {}))).text)

    good = text_of(better_than_chance=True, beats_edges=True, beats_t_map=False)
    assert "no better than chance" not in good
    assert "Every method finds the effect" in good
    assert "No method beats the voxel-wise t-map" in good
    weak = text_of(better_than_chance=True, beats_edges=False)
    assert "better than chance, but not than an edge filter" in weak
    bad = text_of(better_than_chance=False)
    assert "all are no better than chance" in bad


def test_a_page_without_pictures_has_no_holes(summary: dict[str, Any]) -> None:
    del summary["agreement"]
    page = render(demo_page(summary, {}))
    reader = Reader(page)
    assert reader.all("img") == []
    assert reader.all("canvas") == []
    assert reader.all("script") == []
    assert len(reader.all("section")) == 7
    assert "None" not in " ".join(reader.text)


def test_the_same_page_gives_the_same_file(summary: dict[str, Any]) -> None:
    assert render(demo_page(summary, {})) == render(demo_page(summary, {}))


def test_tables_set_numbers_and_gaps(png: bytes) -> None:
    table = Table(
        ("Name <b>", "Score", "Interval"),
        (("one", 0.12345, (0.1, 0.2)), ("two", None, None)),
        "A caption",
        highlight=frozenset({1}),
    )
    assert table.numeric == [False, True, True]
    page = Page("T", "S", (Section("One", "one", [table, Text(("<i>x</i>",))]),), (Fact("1", "l"),))
    html = render(page)
    assert re.search(r'<tr class="marked">\s*<td>two</td><td class="num">–</td>', html)
    assert '<td class="num">0.123</td><td class="num">0.100 to 0.200</td>' in html
    assert "Name &lt;b&gt;" in html
    assert "&lt;i&gt;x&lt;/i&gt;" in html
    empty = Table(("A", "B"), ())
    assert empty.numeric == [False, False]


def test_numbers_that_are_written_out_are_set_flush_right_but_names_are_not() -> None:
    rows = (
        ("0001", "< .001", "−3.1×10⁻⁵", "12 %", "1 to 2", None, "0.5"),
        ("0002", "0.337", "0", None, "2 to 9", None, "below"),
    )
    table = Table(("scan", "p", "mean", "share", "ranks", "none", "words"), rows)
    assert table.numeric == [False, True, True, True, False, False, False]


def test_a_name_with_a_hyphen_is_not_broken_in_print() -> None:
    table = Table(("scan", "what"), (("sub-0001", "a scan-wise map"),))
    html = render(Page("T", "S", (Section("One", "one", [table]),)))
    assert '<td class="word">sub-0001</td><td>a scan-wise map</td>' in html


def test_declared_content_is_checked(png: bytes) -> None:
    with pytest.raises(InputError, match="has 1 cells for 2 columns"):
        Table(("A", "B"), ((1,),), "Scores")
    with pytest.raises(InputError, match="is not a PNG"):
        Picture(b"GIF89a", "c", "alt")
    with pytest.raises(InputError, match="may hold only lower-case"):
        Section("T", "a b", [])
    with pytest.raises(InputError, match="share an anchor"):
        Page("T", "S", (Section("A", "a", []), Section("B", "a", [])))


def test_a_page_names_its_study_its_command_and_the_date() -> None:
    made = Made("<my> study", "voxplain fit '<my> study'", "2026-11-27 05:10 UTC", "0.1.0")
    section = Section("S", "s", [NotRun("Nothing yet.", "voxplain fit <x>"), Code("<b>")])
    page = render(Page("T", "S", (section,), made=made))
    text = " ".join(Reader(page).text)
    for words in (made.study, made.command, made.date, "voxplain 0.1.0", "voxplain fit <x>"):
        assert words in text
    assert "<my>" not in page
    assert made.study not in render(Page("T", "S", (section,)))


def test_words_of_a_test_write_numbers_as_tables_do() -> None:
    said = sentence("p of 1.2e-06 and -3e+05 are not e-3, nor -0.00 in 5% of -1.05")
    assert said == "P of 1.2×10⁻⁶ and −3.0×10⁵ are not e-3, nor 0.00 in 5 % of −1.05."
    rule = Rule("t", "study", "T", "value", "at least", None, "Fails", "Do", "care")
    assert rule_text(Finding(rule, Measurement("t", None, None, ""), None, "not tested")) == "–"


def test_a_picture_in_fewer_colours_looks_the_same(png: bytes) -> None:
    few = fewer_colours(png)
    assert len(few) < len(png)
    before, after = (imread(BytesIO(one), format="png")[..., :3] for one in (png, few))
    assert before.shape == after.shape
    assert np.abs(before - after).mean() < 0.01


def test_the_ground_of_a_picture_in_fewer_colours_stays_white() -> None:
    # Greys that crowd about white would share its place among 256.
    pixels = np.random.default_rng(0).integers(220, 256, (128, 128, 3)).astype(np.uint8)
    pixels[:32] = 255
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    after = np.asarray(Image.open(BytesIO(fewer_colours(buffer.getvalue()))).convert("RGB"))
    assert (after[:32] == 255).all()


def test_figures_are_gathered_for_print_within_alone() -> None:
    rows = [{"region": "A", "mean": 1.0}]
    with for_print() as made:
        screen = region_bars(rows)
    region_bars(rows)
    (one,) = made
    assert one.svg.startswith(b"<?xml")
    assert b">A<" in one.svg
    wide = [int.from_bytes(png[16:20], "big") for png in (screen, one.png)]
    assert wide[1] / wide[0] == pytest.approx(300 / DPI, rel=0.01)
    with for_print() as again:
        region_bars(rows)
    assert again == made


def test_a_picture_without_white_gets_none() -> None:
    values = np.zeros((6, 8, 3), np.uint8)
    values[:, :4], values[:, 4:] = (250, 240, 10), (5, 90, 200)
    buffer = BytesIO()
    Image.fromarray(values).save(buffer, format="PNG")
    after = np.asarray(Image.open(BytesIO(fewer_colours(buffer.getvalue()))).convert("RGB"))
    np.testing.assert_array_equal(after, values)
