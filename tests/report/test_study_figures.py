"""Figures of the study's report: what is drawn where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from report_scenes import head_on, slab_on

from voxplain.cohort import fsaverage
from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.report.figures.brain import glass, surface
from voxplain.report.figures.charts import intervals, ranks, removal
from voxplain.results.regions import RegionValue
from voxplain.results.study import RemovalCurve

ROWS = [
    RegionValue("Insula_L", 0.4, 0.9, 3.0, 1, 0.3, 0.5),
    RegionValue("Insula_R", -0.2, -0.7, 2.0, 2, -0.35, -0.05),
    RegionValue("Cuneus_L", 0.1, 0.3, 1.0, 3),
]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Figure]:
    """Draw with a module, and return the figure."""

    def draw(module: Any, name: str, *arguments: Any, **options: Any) -> Figure:
        made: list[Figure] = []
        monkeypatch.setattr(module, "png_bytes", lambda figure: made.append(figure) or b"")
        getattr(module, name)(*arguments, **options)
        made[0].canvas.draw()
        return made[0]

    return draw


def test_regions_have_their_interval_beside_them(drawn: Callable[..., Figure]) -> None:
    axes = drawn(intervals, "region_intervals", ROWS, "Gradient", "logit").axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.4, -0.2, 0.1]
    spans = [line.get_xdata() for line in axes.lines if len(set(line.get_xdata())) == 2]
    np.testing.assert_allclose(sorted(map(tuple, spans)), [(-0.35, -0.05), (0.3, 0.5)])
    assert [one.get_text() for one in axes.get_yticklabels()][:2] == ["Insula L", "Insula R"]
    top, bottom = (axes.transData.transform((0, place))[1] for place in (0, 1))
    assert top > bottom
    ranked = [replace(ROWS[0], ranks=(1, 4)), replace(ROWS[1], ranks=(2, 9)), ROWS[2]]
    bars, ranks_of = drawn(intervals, "region_intervals", ranked).axes
    assert [bar.get_width() for bar in bars.patches] == [0.4, -0.2, 0.1]
    lines = [tuple(map(tuple, line.get_xydata())) for line in ranks_of.lines]
    assert lines == [((1, 0), (4, 0)), ((1, 0),), ((2, 1), (9, 1)), ((2, 1),)]
    assert bars.get_ylim() == ranks_of.get_ylim()
    with pytest.raises(InputError, match="needs one or more"):
        intervals.region_intervals([])


def test_a_rank_correlation_stands_on_both_sides_of_the_diagonal(
    drawn: Callable[..., Figure],
) -> None:
    values = {(0, 1): 0.61, (2, 0): -0.04}
    axes = drawn(ranks, "rank_matrix", ["A", "B", "C"], values).axes[0]
    texts = {one.get_position(): one.get_text() for one in axes.texts}
    assert texts[1, 0] == texts[0, 1] == "0.61"
    assert texts[2, 0] == texts[0, 2] == "−0.04"
    assert texts[1, 2] == "–"
    assert texts[1, 1] == ""
    with pytest.raises(InputError, match="two methods or more"):
        ranks.rank_matrix(["A"], {})


def test_curves_of_removal_stand_beside_those_of_random_maps(
    drawn: Callable[..., Figure],
) -> None:
    shares = (0.02, 0.1)
    rows = [
        RemovalCurve("Gradient", "deletion", shares, (1.0, 4.0), (0.1, 0.2), (0.3, 0.5)),
        RemovalCurve("Gradient", "insertion", shares, (2.0, 3.0), (0.0, 0.0), (0.1, 0.1)),
        RemovalCurve("Pattern", "deletion", shares, (-1.0, 0.5), (0.1, 0.2), (0.3, 0.5)),
    ]
    axes = drawn(removal, "removal_curves", rows).axes
    assert [one.get_title(loc="left") for one in axes] == ["Gradient", "", "Pattern", ""]
    for one, row in zip((axes[0], axes[1], axes[2]), rows, strict=True):
        lines = {line.get_label(): line for line in one.lines}
        own, random = lines["the method's maps"], lines["random maps, median"]
        np.testing.assert_allclose(own.get_xydata(), np.c_[[2, 10], row.own])
        np.testing.assert_allclose(random.get_xydata(), np.c_[[2, 10], row.random])
        corners = one.collections[0].get_paths()[0].vertices
        assert corners[:, 1].max() == max(row.random_95)
    assert not axes[3].get_visible()
    assert axes[0].get_ylim() == axes[2].get_ylim()
    assert "lost by deletion" in axes[2].get_ylabel()
    assert "gained by insertion" in axes[1].get_ylabel()
    with pytest.raises(InputError, match="one curve or more"):
        removal.removal_curves([])


def test_glass_brains_share_a_scale_and_leave_out_what_is_no_brain(
    drawn: Callable[..., Figure], las_grid: Grid
) -> None:
    inside = head_on(las_grid) > 20
    strong = slab_on(las_grid, 0, -40, -10) * 2
    rows = [("strong", strong), ("weak", -strong / 4), ("outside", np.where(inside, 0, 9))]
    figure = drawn(glass, "glass_brains", rows[:2], inside, las_grid, unit="logit")
    limits = {image.get_clim() for axes in figure.axes for image in axes.images}
    assert limits == {(-2.0, 2.0)}
    words = [text.get_text() for text in figure.texts]
    assert {"strong", "weak"} <= set(words)
    assert any("below 0.5 nothing is shown" in text for text in words)
    with pytest.raises(InputError, match="one map or more"):
        glass.glass_brains([], inside, las_grid)


def test_each_hemisphere_is_seen_from_the_side_that_is_written_above_it(
    drawn: Callable[..., Figure],
) -> None:
    cortex = fsaverage()
    front = cortex.pial[:, 1] > 50
    values = np.where(front, 2.0, 0.0)
    figure = drawn(surface, "surfaces", values, cortex, "Gradient, case", "logit")
    panels = figure.axes[:-1]
    titles = [axes.get_title() for axes in panels[:4]]
    assert titles == ["left, lateral", "left, medial", "right, medial", "right, lateral"]
    for number, axes in enumerate(panels):
        picture = axes.images[0].get_array().astype(int)
        head = picture[..., 3] > 0
        red = head & (picture[..., 0] - picture[..., 2] > 60)
        assert 0.01 < red.sum() / head.sum() < 0.4, (number, red.sum() / head.sum())
        # The frontal pole is on the left of the left hemisphere's outside, and of the right
        # one's inside.
        towards_left = number % 4 in (0, 2)
        assert (np.argwhere(red)[:, 1].mean() < np.argwhere(head)[:, 1].mean()) == towards_left
    # Folded, what lies above the lateral sulcus is above the temporal lobe.
    upper = drawn(surface, "surfaces", (cortex.pial[:, 2] > 40) * 2.0, cortex).axes[0]
    picture = upper.images[0].get_array().astype(int)
    red = picture[..., 0] - picture[..., 2] > 60
    assert np.argwhere(red)[:, 0].mean() < picture.shape[0] * 0.4
    with pytest.raises(InputError, match="20484 vertices needs as many values"):
        surface.surfaces(values[1:], cortex)
