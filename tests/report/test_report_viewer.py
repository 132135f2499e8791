"""What the viewer holds, unpacked by other means than the page's script."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from report_scenes import head_on, slab_on

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.report.html.viewer import MEAN, Scenery, ShownMap, packed_maps, viewer_data


def numbers(packed: dict[str, Any], shape: list[int]) -> NDArray[np.float64]:
    raw = zlib.decompress(b64decode(packed["data"]))
    low, high = raw[: len(raw) // 2], raw[len(raw) // 2 :]
    whole = [
        int.from_bytes(bytes(pair), "little", signed=True) for pair in zip(low, high, strict=True)
    ]
    return np.array(whole).reshape(shape, order="F") * packed["step"]


def told(grid: Grid, *maps: ShownMap, **more: Any) -> dict[str, Any]:
    scenery = Scenery(grid, head_on(grid), **more)
    found: dict[str, Any] = json.loads(viewer_data(scenery, maps))
    return found


def test_a_voxel_keeps_its_place_and_value(any_grid: Grid) -> None:
    head = head_on(any_grid)
    values = np.random.default_rng(0).normal(size=any_grid.shape).astype(np.float32) * 1e-4
    data = told(any_grid, ShownMap("Gradient", "case", "mean", values, "logit"))
    back = numbers(data["maps"][0], data["shape"])
    affine = np.array(data["affine"])
    # The page's axes run to the right, the front and above, as far as the scan's own allow.
    assert nib.aff2axcodes(affine) == ("R", "A", "S")
    inside = np.argwhere(head > head.max() / 2)[::97]
    for voxel in inside:
        world = any_grid.to_world(voxel)
        i, j, k = np.rint(np.linalg.solve(affine, [*world, 1])[:3]).astype(int)
        wanted = float(values[tuple(voxel)])
        assert back[i, j, k] == pytest.approx(wanted, abs=float(np.abs(values).max()) / 32767)


def test_p_is_kept_to_three_digits(las_grid: Grid) -> None:
    values = np.ones(las_grid.shape, dtype=np.float32)
    head = np.argwhere(head_on(las_grid) > 20)
    wanted = [0.0002, 0.0123, 0.05, 0.5]
    for voxel, p in zip(head, wanted, strict=False):
        values[tuple(voxel)] = p
    shown = ShownMap("Gradient", "case", "corrected p", values, "", probability=True)
    data = told(las_grid, shown)
    (one,) = data["maps"]
    found = np.sort(10 ** -numbers(one, data["shape"]).ravel())
    assert one["p"]
    assert not one["signed"]
    np.testing.assert_allclose(found[:4], wanted, rtol=1e-3)
    assert found[4:].min() == 1


def test_a_single_scan_is_packed_smaller_and_right_to_three_digits(las_grid: Grid) -> None:
    values = np.random.default_rng(1).normal(size=las_grid.shape).astype(np.float32)
    group = ShownMap("Gradient", "case", "mean", values, "logit")
    single = ShownMap("Gradient", "case", "mean", values, "logit", "sub-01")
    data = told(las_grid, group, single)
    both = [numbers(one, data["shape"]) for one in data["maps"]]
    assert len(data["maps"][1]["data"]) < len(data["maps"][0]["data"])
    assert np.abs(both[0] - both[1]).max() < np.abs(values).max() / 1000
    assert [one["subject"] for one in data["maps"]] == [MEAN, "sub-01"]


def test_regions_truth_and_names_come_along(las_grid: Grid) -> None:
    labels = np.where(slab_on(las_grid, 0, -40, -10) > 0, 2001, 0).astype(np.int32)
    truth = slab_on(las_grid, 2, -10, 10)
    values = slab_on(las_grid, 1, -20, 20)
    data = told(
        las_grid,
        ShownMap("Gradient", "case", "mean", values, "logit"),
        labels=labels,
        regions={2001: "Insula_L", 7: "Absent"},
        atlas="AAL",
        truth=truth,
    )
    assert data["atlas"]["names"] == ["", "Absent", "Insula_L"]
    raw = zlib.decompress(b64decode(data["atlas"]["data"]))
    # Low bytes come first: the second name's number stands where the label is.
    assert raw[: len(raw) // 2].count(2) == int((labels == 2001).sum())
    assert zlib.decompress(b64decode(data["truth"])).count(1) == int((truth > 0.5).sum())


def test_nothing_in_the_data_ends_a_script(las_grid: Grid) -> None:
    evil = "</script><script>alert(1)</script>&"
    values = slab_on(las_grid, 1, -20, 20)
    shown = ShownMap(evil, evil, "mean", values, evil, evil)
    scenery = Scenery(las_grid, head_on(las_grid), regions={1: evil})
    for text in (
        viewer_data(scenery, [shown], {evil: head_on(las_grid)}, {evil: "a.js"}),
        packed_maps([shown], head_on(las_grid), las_grid, evil),
    ):
        assert "<" not in text
        assert "&" not in text
    assert json.loads(viewer_data(scenery, [shown]))["maps"][0]["subject"] == evil


def test_the_viewer_refuses(las_grid: Grid) -> None:
    head = head_on(las_grid)
    with pytest.raises(InputError, match="needs one map or more"):
        viewer_data(Scenery(las_grid, head), [])
    with pytest.raises(GridError, match="The map of Gradient to draw has shape"):
        told(las_grid, ShownMap("Gradient", "case", "mean", head[1:], "logit"))
