from __future__ import annotations

from io import BytesIO

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from report_scenes import head_on, slab_on

from voxplain.errors import GridError, InputError
from voxplain.grid import KAN2020_GRID, Grid
from voxplain.report.figures.brain.cohort import cohort_strip
from voxplain.report.figures.brain.gallery import gallery
from voxplain.report.figures.brain.head import head_mask
from voxplain.report.figures.brain.maps import draw_mosaic, mosaic, overlay
from voxplain.report.figures.brain.paint import Look
from voxplain.report.figures.brain.planes import Scene, choose_cuts, to_ras
from voxplain.report.figures.style import house_style


def pixels(png: bytes) -> np.ndarray:
    with Image.open(BytesIO(png)) as image:
        return np.asarray(image.convert("RGB")).astype(float) / 255


def coloured(rgb: np.ndarray) -> np.ndarray:
    return rgb.max(-1) - rgb.min(-1) > 0.25


def drawn(figure: Figure) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255


def between(figure: Figure, left: str, right: str) -> list[tuple[float, float, float]]:
    """Pixel columns of each pair of marks, and the row at which they stand."""
    marks = {
        word: [t.get_window_extent() for t in figure.axes[0].texts if t.get_text() == word]
        for word in (left, right)
    }
    return [
        ((a.x0 + a.x1) / 2, (b.x0 + b.x1) / 2, (a.y0 + a.y1) / 2)
        for a, b in zip(marks[left], marks[right], strict=True)
    ]


def mosaic_figure(values: np.ndarray, grid: Grid) -> tuple[Figure, np.ndarray]:
    scene = Scene.of(head_on(grid), grid)
    shown = scene.bring(values)
    with house_style():
        figure = draw_mosaic(scene, shown, Look.of(shown, scene.head))
        return figure, drawn(figure)


@pytest.mark.parametrize(
    ("axis", "marks", "n_panels"), [(0, ("L", "R"), 2), (1, ("P", "A"), 1)], ids=["x", "y"]
)
@pytest.mark.parametrize("low", [-46, 18], ids=["low", "high"])
def test_a_blob_lies_by_the_letter_of_its_side(
    any_grid: Grid, axis: int, marks: tuple[str, str], n_panels: int, low: int
) -> None:
    values = slab_on(any_grid, axis, low, low + 28)
    figure, rgb = mosaic_figure(values, any_grid)
    places = between(figure, *marks)
    assert len(places) == n_panels
    for left, right, up in places:
        assert left < right
        top, depth = round(rgb.shape[0] - up), round((right - left) * (0.7 if axis else 0.85))
        panel = coloured(rgb[top : top + depth, round(left) : round(right)])
        assert panel.sum() > 30
        share = np.nonzero(panel)[1].mean() / panel.shape[1]
        assert (share < 0.48) if low < 0 else (share > 0.52)


def test_the_top_of_the_head_is_at_the_top(any_grid: Grid) -> None:
    values = slab_on(any_grid, 2, 15, 40)
    figure, rgb = mosaic_figure(values, any_grid)
    ((left, right, up),) = between(figure, "P", "A")
    top = round(rgb.shape[0] - up)
    width = round(right - left)
    rows = np.nonzero(coloured(rgb[top : top + width, round(left) : round(right)]))[0]
    assert rows.size > 30
    head = np.nonzero((rgb[top : top + width, round(left) : round(right)].min(-1) < 0.9).any(1))[0]
    assert rows.mean() < head.mean()


def test_turning_keeps_every_value_at_its_place(any_grid: Grid) -> None:
    values = np.random.default_rng(1).random(any_grid.shape).astype(np.float32)
    turned, grid = to_ras(values, any_grid)
    assert grid.orientation == "RAS"
    for index in [(0, 0, 0), (3, 5, 7), tuple(n - 1 for n in any_grid.shape)]:
        there = np.rint(grid.to_voxel(any_grid.to_world(index))).astype(int)
        assert turned[tuple(there)] == values[index]


def test_positions_are_those_of_the_slice(las_grid: Grid, oblique_grid: Grid) -> None:
    scene = Scene.of(head_on(las_grid), las_grid)
    index = 4
    x = scene.grid.to_world([index, 0, 0])[0]
    assert scene.position("sagittal", index) == f"x = {round(x)}".replace("-", "−")
    assert not scene.oblique
    tilted = Scene.of(head_on(oblique_grid), oblique_grid)
    assert tilted.oblique
    assert "≈" in tilted.position("axial", 3)


def test_cuts_go_through_truth_and_peak(las_grid: Grid) -> None:
    truth = np.zeros(las_grid.shape)
    values = np.zeros(las_grid.shape, dtype=np.float32)
    for world in ([-30, 0, -20], [30, 0, -20]):
        truth[tuple(np.rint(las_grid.to_voxel(world)).astype(int))] = 1
    peak = np.rint(las_grid.to_voxel([0, 40, 20])).astype(int)
    values[tuple(peak)] = -3
    scene = Scene.of(head_on(las_grid), las_grid, truth)
    shown = np.abs(scene.bring(values))
    for plane, wanted in (("axial", (-20, 20)), ("coronal", (0, 40))):
        axis = {"coronal": 1, "axial": 2}[plane]
        cuts = choose_cuts(scene, shown, plane, 5)
        assert cuts == sorted(set(cuts))
        assert len(cuts) == 5
        middles = [
            scene.grid.to_world([c if a == axis else 0 for a in range(3)])[axis] for c in cuts
        ]
        for place in wanted:
            assert min(abs(m - place) for m in middles) <= scene.grid.voxel_size[axis] / 2 + 1e-6
    assert scene.truth is not None
    sagittal = choose_cuts(scene, shown, "sagittal", 3)
    assert any(scene.truth[index].any() for index in sagittal)


def test_colours_tell_the_sign_and_fade_to_nothing() -> None:
    look = Look(2.0, signed=True)
    grey = np.full(3, 0.5, dtype=np.float32)
    rgb = look.over(grey, np.array([-2, 0, 2], dtype=np.float32))
    assert rgb[0, 2] > rgb[0, 0] + 0.3
    assert rgb[2, 0] > rgb[2, 2] + 0.3
    np.testing.assert_allclose(rgb[1], 0.5)
    positive = Look(2.0, signed=False).over(grey, np.array([-2, 0, 2], dtype=np.float32))
    np.testing.assert_allclose(positive[:2], 0.5)
    assert np.ptp(positive[2]) > 0.3


def test_scale_ends_at_the_stated_percentile(las_grid: Grid) -> None:
    scene = Scene.of(head_on(las_grid), las_grid)
    values = np.random.default_rng(2).normal(size=scene.grid.shape).astype(np.float32)
    look = Look.of(values, scene.head)
    assert look.signed
    assert look.top == pytest.approx(np.percentile(np.abs(values)[scene.head], 99.5))
    assert not Look.of(np.abs(values), scene.head).signed
    assert Look.of(np.abs(values), scene.head, symmetric=True).signed
    assert Look.of(np.zeros_like(values), scene.head).top == 1.0


def test_share_beyond_the_head(las_grid: Grid) -> None:
    head = head_on(las_grid)
    scene = Scene.of(head, las_grid)
    assert scene.outside((head > 20).astype(np.float32)) < 0.02
    assert scene.outside((head < 2).astype(np.float32)) > 0.98
    assert scene.outside(np.zeros(las_grid.shape)) == 0


@pytest.mark.parametrize("kind", ["mosaic", "overlay", "gallery", "cohort"])
def test_figures_are_whole_pictures(las_grid: Grid, kind: str) -> None:
    head, blob = head_on(las_grid), slab_on(las_grid, 0, -40, -10)
    truth = blob * slab_on(las_grid, 1, -20, 20)
    before = dict(mpl.rcParams)
    make = {
        "mosaic": lambda: mosaic(
            blob - 0.5, head, las_grid, truth=truth, title="Title", unit="logit", fwhm=8
        ),
        "overlay": lambda: overlay(blob, head, las_grid, title="Title", unit="logit"),
        "gallery": lambda: gallery(
            [("One\nmethod", blob), ("Two", -blob)], head, las_grid, truth=truth, title="Both"
        ),
        "cohort": lambda: cohort_strip([("sub-1", head - blob, head)], las_grid, truth=truth),
    }[kind]
    png = make()
    rgb = pixels(png)
    assert png == make()
    assert dict(mpl.rcParams) == before
    assert 1000 <= rgb.shape[1] <= 1800
    assert 250 <= rgb.shape[0] <= 1400
    np.testing.assert_array_equal(rgb[:3], 1)
    assert 0.01 < coloured(rgb).mean() < 0.6
    assert (rgb.min(-1) > 0.98).mean() > 0.2


def test_truth_is_outlined_only_where_given(las_grid: Grid) -> None:
    head, blob = head_on(las_grid), slab_on(las_grid, 0, -40, -10)
    truth = blob * slab_on(las_grid, 1, -20, 20)

    def green(png: bytes) -> int:
        rgb = pixels(png)
        return int(((rgb[..., 1] > 0.7) & (rgb[..., 0] < 0.35) & (rgb[..., 2] < 0.7)).sum())

    assert green(mosaic(blob, head, las_grid)) == 0
    assert green(mosaic(blob, head, las_grid, truth=truth)) > 500


def test_rows_of_one_scale_show_which_is_larger(las_grid: Grid) -> None:
    head, blob = head_on(las_grid), slab_on(las_grid, 0, -40, -10)
    rows = [("one", blob), ("half", 0.5 * blob)]

    def halves(png: bytes) -> tuple[int, int]:
        shown = coloured(pixels(png)[:, :1150])
        middle = len(shown) // 2
        return int(shown[:middle].sum()), int(shown[middle:].sum())

    one, half = halves(gallery(rows, head, las_grid))
    assert one == pytest.approx(half, rel=0.1), "each row has a scale of its own"
    assert gallery(rows, head, las_grid, top=1.0) != gallery(rows, head, las_grid)
    faint = [("one", blob), ("faint", 0.1 * blob)]
    one, half = halves(gallery(faint, head, las_grid, top=1.0))
    assert half < 0.2 * one, "what is a tenth of the scale is nearly transparent"


@pytest.mark.parametrize("shape", [(7, 8, 9), (2, 3, 2)])
def test_tiny_and_flat_volumes_are_drawn(shape: tuple[int, int, int]) -> None:
    grid = Grid(shape, np.diag([3.0, 1.0, 2.0, 1.0]))
    values = np.linspace(-1, 1, np.prod(shape)).reshape(shape)
    assert pixels(mosaic(values, np.zeros(shape), grid)).min() < 0.9
    assert pixels(overlay(0 * values, np.ones(shape), grid)).min() < 0.9


def test_papers_grid_is_cropped_and_in_proportion() -> None:
    head = head_on(KAN2020_GRID)
    scene = Scene.of(head, KAN2020_GRID)
    width, height = scene.size("axial")
    assert 120 < width < 132
    assert 150 < height < 163
    assert scene.cut(scene.grey, "axial", 20).shape == (round(height), round(width))


def test_bad_input_is_told_in_a_sentence(las_grid: Grid) -> None:
    head = head_on(las_grid)
    with pytest.raises(GridError, match=r"The map to draw has shape \(2, 2, 2\)"):
        mosaic(np.zeros((2, 2, 2)), head, las_grid)
    with pytest.raises(GridError, match="The background to draw has shape"):
        overlay(head, head[1:], las_grid)
    with pytest.raises(InputError, match="not finite"):
        mosaic(np.where(head > 50, np.nan, 0), head, las_grid)
    with pytest.raises(InputError, match="The truth to outline has no voxel"):
        mosaic(head, head, las_grid, truth=0 * head)
    with pytest.raises(InputError, match="at least one map"):
        gallery([], head, las_grid)
    with pytest.raises(InputError, match="at least one subject"):
        cohort_strip([], las_grid)


def test_a_peak_in_the_air_draws_no_cut_to_it(las_grid: Grid) -> None:
    head = head_on(las_grid)
    scene = Scene.of(head, las_grid)
    values = np.where(head > 20, 0.1, 0).astype(np.float32)
    values[0, 0, 0] = 50
    for plane in ("axial", "coronal", "sagittal"):
        axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
        others = tuple(a for a in range(3) if a != axis)
        seen = scene.head.any(axis=others)
        assert all(seen[index] for index in choose_cuts(scene, scene.bring(values), plane, 6))


def test_the_skull_of_a_head_cut_at_the_neck_is_part_of_it() -> None:
    grid = Grid((30, 34, 24), np.diag([6.0, 6.0, 6.0, 1.0]))
    x, y, z = np.meshgrid(*map(np.arange, grid.shape), indexing="ij")
    radius = np.sqrt(
        ((x - 14.5) / 13) ** 2 + ((y - 16.5) / 15) ** 2 + (np.maximum(z - 8, 0) / 14) ** 2
    )
    scan = np.where(radius < 1, 100.0, 0.0)
    scan[(radius > 0.6) & (radius < 0.8)] = 1
    scan[:2, :, 9:11] = scan[2:5, 16:18, 9:11] = 0
    head = head_mask(scan.astype(np.float32))
    inside = (radius < 0.95) & ((z < 9) | (z > 10))
    assert head[inside].all()
    assert not head[radius > 1.3].any()
