"""Charts and figures of brains with parts left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from report_results import agreement_result, typed_row
from report_scenes import head_on, slab_on
from test_study_figures import ROWS, drawn  # noqa: F401 - a fixture

from voxplain.attribution import METHODS
from voxplain.grid import Grid
from voxplain.report.figures.brain import cohort, quality
from voxplain.report.figures.brain.head import head_mask
from voxplain.report.figures.brain.maps import mosaic
from voxplain.report.figures.brain.planes import Scene, choose_cuts
from voxplain.report.figures.charts import fit, intervals, matrix, power, scores

Draw = Callable[..., Figure]


def texts(figure: Figure) -> list[str]:
    return [one.get_text() for axes in figure.axes for one in axes.texts]


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc) for axes in figure.axes for loc in ("left", "center")]


def test_the_area_and_its_interval_stand_where_they_are_given(drawn: Draw) -> None:  # noqa: F811
    told = ([0.2, 0.9, 0.6], [0, 1, 1], ("a", "b"))
    alone = drawn(scores, "predictions", *told)
    area = drawn(scores, "predictions", *told, roc_auc=0.912)
    whole = drawn(scores, "predictions", *told, roc_auc=0.912, roc_auc_ci=(0.8, 1.0))
    said = [[one for one in texts(figure) if "area" in one] for figure in (alone, area, whole)]
    assert said == [[], ["area 0.912"], ["area 0.912\n95 % interval\n0.800 to 1.000"]]


def test_chance_and_the_best_possible_that_meet_share_their_words(
    drawn: Draw,  # noqa: F811
) -> None:
    row = typed_row({"label": "a", "group": "network", "value": 0.5, "ci": [0.4, 0.6]})
    apart = texts(drawn(fit, "model_scores", [row], "accuracy", 0.5, 0.9))
    assert {"chance 0.50", "best possible 0.90"} <= {*apart}
    met = texts(drawn(fit, "model_scores", [row], "accuracy", 0.5, 0.5))
    assert "chance and best possible 0.50" in met


def test_a_pair_that_was_not_measured_has_a_dash(
    drawn: Draw,  # noqa: F811
    agreement_of: dict[str, Any],
) -> None:
    agreement_of["pairs"][0]["spearman"] = float("nan")
    before = texts(drawn(matrix, "agreement_matrix", agreement_result(agreement_of)))
    assert before.count("–") == 1
    del agreement_of["pairs"][2]
    assert texts(drawn(matrix, "agreement_matrix", agreement_result(agreement_of))).count("–") == 3


def test_power_without_maps_and_intervals_is_drawn(drawn: Draw) -> None:  # noqa: F811
    points = [
        {"scans": n, "accuracy": 0.5 + n / 400, "low": low, "high": 0.9, "maps": {}}
        for n, low in ((50, None), (100, 0.6))
    ]
    left, middle, _ = drawn(power, "power_curves", points, {}, {}).axes
    spans = [
        one for one in left.lines if len(set(one.get_xdata())) == 1 and len(one.get_xdata()) == 2
    ]
    assert [tuple(one.get_ydata()) for one in spans] == [(0.6, 0.9)]
    assert middle.lines[:] == []
    assert left.figure.legends == []


def test_the_key_of_power_lies_in_the_figure_below_the_axes(drawn: Draw) -> None:  # noqa: F811
    names = ("recommended", "gradient", "smoothgrad", "pattern", "grad-cam", "guided-backprop")
    found = {"average_precision": 0.5, "stable": 0.4, "chance_95": 0.1, "t_map": 0.9}
    points = [
        {"scans": n, "accuracy": 0.8, "low": 0.7, "high": 0.9, "maps": dict.fromkeys(names, found)}
        for n in (50, 100)
    ]
    labels = {name: METHODS[name].info.label for name in names}
    figure = drawn(power, "power_curves", points, labels, dict.fromkeys(names, 100))
    figure.draw_without_rendering()
    (key,) = figure.legends
    box = key.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
    assert 0 <= box.y0 < box.y1 <= min(one.get_tightbbox().y0 for one in figure.axes)
    assert len(key.get_texts()) == 8


def test_a_chart_of_regions_needs_no_title(drawn: Draw) -> None:  # noqa: F811
    bare, named = (drawn(intervals, "region_intervals", ROWS, *title) for title in ((), ("Told",)))
    assert "Told" not in titles(bare)
    assert "Told" in titles(named)


def test_a_class_without_a_number_has_no_median(drawn: Draw) -> None:  # noqa: F811
    columns = {"age": np.array([20.0, 30, np.nan, np.nan])}
    axes = drawn(quality, "covariates", columns, ["a", "a", "b", "b"], ("a", "b")).axes[0]
    medians = [tuple(one.get_xdata()) for one in axes.lines if one.get_linestyle() == "-"]
    assert medians == [(25.0, 25.0)]


def test_a_strip_of_scans_without_a_truth_has_no_key(
    drawn: Draw,  # noqa: F811
    las_grid: Grid,
) -> None:
    head = head_on(las_grid)
    truth = slab_on(las_grid, 0, -40, -10)
    pairs = [("sub-1", head - truth, head)]
    bare = drawn(cohort, "cohort_strip", pairs, las_grid)
    with_key = drawn(cohort, "cohort_strip", pairs, las_grid, truth=truth)
    assert len(with_key.findobj()) > len(bare.findobj())


def test_where_nothing_stands_out_everything_is_head() -> None:
    assert head_mask(np.full((4, 5, 6), 7, np.float32)).all()


def test_cuts_of_an_empty_map_go_through_the_truth(las_grid: Grid) -> None:
    truth = np.zeros(las_grid.shape)
    truth[tuple(np.rint(las_grid.to_voxel([-30, 0, -20])).astype(int))] = 1
    scene = Scene.of(head_on(las_grid), las_grid, truth)
    empty = scene.bring(np.zeros(las_grid.shape))
    cuts = choose_cuts(scene, empty, "axial", 3)
    assert scene.truth is not None
    assert int(scene.truth.sum(axis=(0, 1)).argmax()) in cuts


def test_a_truth_in_a_slice_of_one_voxel_is_drawn_without_its_outline() -> None:
    grid = Grid((1, 8, 9), np.eye(4))
    values = np.linspace(-1, 1, 72).reshape(grid.shape)
    background = np.ones(grid.shape)
    png = mosaic(values, background, grid, truth=values > 0.9)
    assert png.startswith(b"\x89PNG")
