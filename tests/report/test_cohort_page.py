"""The cohort's page and its figures."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from voxplain.errors import GridError, InputError
from voxplain.grid import KAN2020_GRID, Grid
from voxplain.report.figures import contact_sheet, covariates, intensities
from voxplain.report.html.render import render
from voxplain.report.pages.cohort import cohort_page

GRID = Grid.covering((-60, -72, -48), (60, 72, 48), (30, 36, 24), flip_x=True)


def scan(mark: tuple[float, float, float] | None = None) -> np.ndarray:
    at = GRID.to_world(np.stack(np.indices(GRID.shape), -1))
    inside = np.linalg.norm(at / [50, 62, 40], axis=-1) < 1
    values = np.where(inside, 100.0, 0)
    if mark is not None:
        values[np.linalg.norm(at - mark, axis=-1) < 12] = 400
    return values.astype(np.float32)


def pixels(png: bytes) -> np.ndarray:
    return imread(io.BytesIO(png))[..., :3]


def test_left_is_left_and_front_is_up() -> None:
    """A bright ball in the left front of an axial cut lies in the upper left of its tile."""
    png = contact_sheet([("01", scan((-25, 30, 0)), False)], GRID, (0, 0, 0))
    image = pixels(png).mean(axis=-1)
    axial = image[len(image) // 10 :, : image.shape[1] * 6 // 13]
    bright = np.argwhere(axial > 0.95)
    rows, columns = axial.shape
    assert np.median(bright[:, 0]) < rows / 2
    assert np.median(bright[:, 1]) < columns / 2


def test_who_stands_out_is_orange() -> None:
    def orange(odd: bool) -> int:
        image = pixels(contact_sheet([("IXI012", scan(), odd)], GRID, (0, 0, 0)))
        name = image[: len(image) // 14]
        return int(((name[..., 0] > 0.7) & (name[..., 2] < 0.3)).sum())

    assert orange(True) > 20
    assert orange(False) == 0


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match="needs at least one scan"):
        contact_sheet([], GRID, (0, 0, 0))
    with pytest.raises(GridError, match="The scan 01 to draw has shape"):
        contact_sheet([("01", scan(), False)], KAN2020_GRID, (0, 0, 0))
    with pytest.raises(InputError, match="no column to draw"):
        covariates({}, ["a"], ["a"])


def summary(**other: Any) -> dict[str, Any]:
    size = {
        "name": "brain_ml",
        "auc": 0.9,
        "by_class": {"female": "1200.0 ± 90.0", "male": "1400.0 ± 95.0"},
        "telling": True,
        "interval": [0.8, 1.0],
        "n": 4,
    }
    return {
        "subjects": 4,
        "scans": 4,
        "classes": {"female": 2, "male": 2},
        "coding": "Labels from column 'sex': F = female, M = male.",
        "recipe": [
            {"step": "intensity", "how": "percentile", "percentile": 95.0, "level": 1000.0},
            {"step": "resample", "how": "trilinear", "grid": GRID.to_dict()},
        ],
        "recipe_sha256": "0123456789abcdef0123",
        "balance": [size],
        "warnings": ["Brain size alone tells the classes apart."],
        "notes": {"01": ("The brain was moved.",)},
        **other,
    }


def test_the_page_tells_all_of_it() -> None:
    pictures = {
        "sheet": contact_sheet([("01", scan(), True)], GRID, (0, 0, 0)),
        "intensities": intensities(np.linspace(0, 9, 10), np.ones((4, 9)), {1: "02"}),
        "covariates": covariates(
            {"age, years": np.array([20, 30, np.nan, 50.0])}, list("aabb"), ("a", "b")
        ),
    }
    odd = [{"participant_id": "sub-02", "mean": 3.0, "outlier": "low mean intensity (3)"}]
    gone = [("05", "<b>x</b>.nii", "truncated")]
    html = render(cohort_page(summary(), pictures, odd, gone))
    assert html.count("<img") == 3
    for words in (
        "Brain size alone tells the classes apart.",
        "low mean intensity (3)",
        "&lt;b&gt;x&lt;/b&gt;.nii",
        "The brain was moved.",
        "percentile 95, level 1000",
        "30×36×24 voxels",
        "0123456789abcdef",
    ):
        assert words in html


def test_a_page_without_troubles_says_so() -> None:
    quiet = summary(warnings=[], notes={}, balance=[{**summary()["balance"][0], "telling": False}])
    html = render(cohort_page(quiet, {}, [], []))
    assert "tells the classes apart beyond doubt" in html
    assert "No scan stands out" in html
    assert "Nobody: every participant has a scan" in html


def test_long_lists_are_cut_and_say_where_the_rest_is() -> None:
    gone = [(f"{i:03d}", "x.nii", "truncated") for i in range(100)]
    html = render(cohort_page(summary(), {}, [], gone))
    assert "60 of 100; all of them in exclusions.tsv." in html
    assert "<td>099</td>" not in html
