"""The page of maps that were held against a truth."""

from __future__ import annotations

import struct

import pytest

from voxplain.report.html.render import render
from voxplain.report.pages.explain import explain_page
from voxplain.report.words.judgement import JUDGED_COLUMNS, judged_rows
from voxplain.results.judgement import Found, JudgedMap, Judgement, Judgements, Measured
from voxplain.results.summary import judged_maps_json

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + struct.pack(">II", 100, 80)


def found(ap: float, placed: bool = True, interval: bool = False) -> Found:
    told = Measured(ap, ap - 0.1, ap + 0.05) if interval else Measured(ap)
    place = Measured(0.5) if placed else None
    rest = [Measured(0.5)] * 4
    return Found(told, Measured(10 * ap), *rest, place, place, place, place, place)


def judgement(ap: float, ceiling: float | None, placed: bool = True) -> Judgement:
    return Judgement(
        found(ap, interval=True),
        0.011,
        0.027,
        12.0,
        None if ceiling is None else found(ceiling),
        {name: found(value, placed) for name, value in (("edges", 0.031), ("t-map-all", 0.777))},
        24,
        3,
        1000,
    )


@pytest.fixture
def judged() -> list[JudgedMap]:
    both = Judgements(judgement(0.612, 0.943), judgement(0.456, None, placed=False))
    alone = Judgements(judgement(0.123, 0.944), None)
    return [
        JudgedMap("Gradient", "case", "group/a.nii.gz", 24, both),
        JudgedMap("Grad-CAM", "case", "group/b.nii.gz", 24, alone),
    ]


def test_rows_set_maps_beside_what_they_are_held_against(judged: list[JudgedMap]) -> None:
    rows = judged_rows(judged)
    assert [len(row) for row in rows] == [len(JUDGED_COLUMNS)] * 3
    label, ap, ends, *rest = rows[0]
    assert (label, ap) == ("Gradient, case, mean", 0.612)
    assert ends == pytest.approx((0.512, 0.662))
    assert rest == [0.011, 0.027, 0.943, 0.031, None, 0.777]
    assert rows[1][0] == "Gradient, case, single"
    assert rows[1][5] is None
    assert rows[2][:2] == ("Grad-CAM, case, mean", 0.123)


def test_the_page_shows_every_measure_and_what_is_missing(judged: list[JudgedMap]) -> None:
    page = render(explain_page("mrinet", judged, {one.map: PNG for one in judged}))
    for text in ("0.612", "0.512", "0.943", "t-map, all scans", "Gradient 8 mm", "AUROC"):
        assert text in page
    assert page.count("24 participants, 3 networks") == 3
    assert page.count("peak within 8 mm") == 3
    assert page.count("data:image/png;base64") == 2


def test_the_summary_holds_it_all(judged: list[JudgedMap]) -> None:
    told = judged_maps_json("mrinet", judged)
    assert told["network"] == "mrinet"
    one = told["maps"][0]["judgements"]
    assert one["group"]["found"]["average_precision"] == {
        "value": 0.612,
        "low": pytest.approx(0.512),
        "high": pytest.approx(0.662),
    }
    assert one["subjects"]["ceiling"] is None
    assert told["maps"][1]["judgements"]["subjects"] is None
