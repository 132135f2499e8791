from __future__ import annotations

import json
import re
from base64 import b64decode
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from report_results import demo_result
from report_scenes import head_on, slab_on

from voxplain.errors import GridError, InputError, VoxplainError
from voxplain.grid import Grid
from voxplain.report.figures.charts.bars import region_bars
from voxplain.report.html import viewer as viewer_module
from voxplain.report.html.render import render
from voxplain.report.html.sections import (
    Fact,
    Page,
    Picture,
    Section,
    Table,
    Text,
    Viewer,
)
from voxplain.report.html.viewer import outside_loads, slice_viewer
from voxplain.report.pages import demo as pages

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


def demo_page(summary: dict[str, Any], pictures: dict[str, bytes], viewers: dict[str, str]) -> Page:
    return pages.demo_page(demo_result(summary, Grid((22, 30, 20), np.eye(4))), pictures, viewers)


@pytest.fixture(scope="module")
def png() -> bytes:
    return region_bars([{"region": "A", "mean": 1.0}])


def assert_stands_alone(page: str) -> None:
    assert outside_loads(page) == []
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
    page = render(demo_page(summary, dict.fromkeys(keys, png), {"gradient:case": "<p>viewer</p>"}))
    assert_stands_alone(page)
    reader = Reader(page)
    images = reader.all("img")
    assert len(images) == len(keys)
    for image in images:
        kind, data = str(image["src"]).split(",")
        assert kind == "data:image/png;base64"
        assert b64decode(data) == png
        assert image["alt"]
    (frame,) = reader.all("iframe")
    assert frame["srcdoc"] == "<p>viewer</p>"
    assert frame["sandbox"] == "allow-scripts"
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
        return " ".join(Reader(render(demo_page(summary, {}, {}))).text)

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
    page = render(demo_page(summary, {}, {}))
    reader = Reader(page)
    assert reader.all("img") == []
    assert reader.all("iframe") == []
    assert len(reader.all("section")) == 7
    assert "None" not in " ".join(reader.text)


def test_the_same_page_gives_the_same_file(summary: dict[str, Any]) -> None:
    assert render(demo_page(summary, {}, {})) == render(demo_page(summary, {}, {}))


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


def test_declared_content_is_checked(png: bytes) -> None:
    with pytest.raises(InputError, match="has 1 cells for 2 columns"):
        Table(("A", "B"), ((1,),), "Scores")
    with pytest.raises(InputError, match="is not a PNG"):
        Picture(b"GIF89a", "c", "alt")
    with pytest.raises(InputError, match="may hold only lower-case"):
        Section("T", "a b", [])
    with pytest.raises(InputError, match="share an anchor"):
        Page("T", "S", (Section("A", "a", []), Section("B", "a", [])))
    section = Section("V", "v", [Viewer('<script src="https://x.org/a.js"></script>', "c")])
    with pytest.raises(InputError, match="must stand alone"):
        render(Page("T", "S", (section,)))


@pytest.mark.parametrize(
    "markup",
    [
        '<img src="http://a.org/x.png">',
        "<script src=//a.org/x.js></script>",
        '<link rel="stylesheet" href="https://a.org/x.css">',
        "<style>@import 'x.css';</style>",
        "<style>p{background:url(https://a.org/x.png)}</style>",
        "<p style=\"background:url( '//a.org/x.png')\">",
    ],
)
def test_loads_are_found(markup: str) -> None:
    assert outside_loads(f"<html>{markup}</html>")


def test_what_is_embedded_is_no_load() -> None:
    page = '<img src="data:image/png;base64,AA"><a href="#x">http://a.org</a><script>"//x"</script>'
    assert outside_loads(page) == []


def test_slice_viewer_is_small_and_alone(any_grid: Grid) -> None:
    values = slab_on(any_grid, 0, -40, -10) * 1e-5
    page = slice_viewer(values, head_on(any_grid), any_grid, title="Map of <sub-01>")
    assert outside_loads(page) == []
    assert "http" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "Map of &lt;sub-01&gt;" in page
    assert "percent of 1×10⁻⁵" in page.replace("1.0×", "1×")
    assert len(page) < 1.5e6
    assert page == slice_viewer(values, head_on(any_grid), any_grid, title="Map of <sub-01>")
    assert page.count("data:image/png;base64,") == 3


def test_slice_viewer_opens_at_the_peak(any_grid: Grid) -> None:
    values = np.zeros(any_grid.shape, dtype=np.float32)
    index = tuple(np.rint(any_grid.to_voxel([-25, 20, 10])).astype(int))
    values[index] = -4
    page = slice_viewer(values, head_on(any_grid), any_grid)
    start = re.search(r'"numSlice": \{"X": (\d+), "Y": (\d+), "Z": (\d+)\}', page)
    affine = re.search(r'"affine": (\[\[.*?\]\])', page)
    assert start
    assert affine
    # The viewer reads positions out one voxel further on, which nilearn's affine makes good.
    voxel = np.array([*map(int, start.groups()), 0]) + 1
    world = np.array(json.loads(affine.group(1))) @ voxel
    np.testing.assert_allclose(world[:3], any_grid.to_world(index), atol=1.5)


def test_slice_viewer_refuses(las_grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    head = head_on(las_grid)
    with pytest.raises(InputError, match="threshold must be 0 or more; -1"):
        slice_viewer(head, head, las_grid, threshold=-1)
    with pytest.raises(GridError, match="The map to draw has shape"):
        slice_viewer(head[1:], head, las_grid)
    assert "below 0 % transparent" in slice_viewer(head, head, las_grid, threshold=0)
    bad = '<html><body><script src="https://cdn.org/x.js"></script></body></html>'
    monkeypatch.setattr(viewer_module, "_nilearn_page", lambda *_: bad)
    with pytest.raises(VoxplainError, match="leave the viewer out"):
        slice_viewer(head, head, las_grid)
