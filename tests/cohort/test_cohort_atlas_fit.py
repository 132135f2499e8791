from __future__ import annotations

import numpy as np
import pytest

from voxplain.atlas import Atlas
from voxplain.cohort import atlas_fit, load_atlas, mni152_template
from voxplain.cohort.atlases import side_of
from voxplain.errors import GridError, InputError
from voxplain.grid import Grid

GRID = Grid.covering((-60, -70, -50), (60, 70, 60), (40, 46, 36), flip_x=True)


def ball(grid, centre, radius):
    world = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))
    return np.linalg.norm((world - centre) / radius, axis=-1) < 1


def shell_atlas(shift=(0, 0, 0), names=None):
    """A cortex of two halves, on a grid of 2 mm that lies askew to the brain's."""
    grid = Grid.covering((-59, -71, -51), (61, 69, 59), (60, 70, 55))
    outer, inner = ball(grid, (0, 0, 0), (45, 55, 40)), ball(grid, (0, -8, 4), (28, 35, 25))
    x = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 0]
    labels = np.where(outer & ~inner, np.where(x < 0, 1, 2), 0)
    return Atlas(labels, grid.moved(shift), names or {1: "Cortex_L", 2: "Cortex_R"}, "shell")


def brain(grid=GRID):
    outer, inner = ball(grid, (0, 0, 0), (45, 55, 40)), ball(grid, (0, -8, 4), (28, 35, 25))
    return (600.0 * outer + 400.0 * inner).astype(np.float32)


@pytest.mark.parametrize("shift", [(0, 0, 0), (0, 8, 0), (-5, 3, 9), (12, -12, 0)])
def test_a_planted_shift_is_found(shift):
    found = atlas_fit(shell_atlas(shift), brain(), GRID)
    np.testing.assert_allclose(found.shift, -np.array(shift), atol=1)
    assert found.distance == pytest.approx(np.linalg.norm(found.shift))
    far = any("fits the tissue best" in text for text in found.complaints())
    assert far == (np.linalg.norm(shift) > 5)


def test_shares_are_those_counted_by_hand():
    atlas, tissue = shell_atlas((0, 6, 0)), brain()
    found = atlas_fit(atlas, tissue, GRID)
    mask = tissue > 0
    voxels = np.argwhere(mask)
    world = GRID.to_world(voxels)
    place = np.rint(atlas.grid.to_voxel(world)).astype(int)
    held = np.array(
        [
            bool((p >= 0).all() and (p < atlas.grid.shape).all() and atlas.labels[tuple(p)])
            for p in place
        ]
    )
    assert found.covered == pytest.approx(held.mean(), abs=0.01)
    assert found.covered_left == pytest.approx(held[world[:, 0] < 0].mean(), abs=0.01)
    assert found.covered_right == pytest.approx(held[world[:, 0] > 0].mean(), abs=0.01)
    volume = (atlas.labels > 0).sum() * atlas.grid.voxel_volume
    assert found.inside == pytest.approx(held.sum() * GRID.voxel_volume / volume, abs=0.02)
    assert found.explained < found.explained_shifted <= 1


def test_names_on_the_wrong_side_are_seen():
    names = {1: "right cortex", 2: "left cortex"}
    swapped = atlas_fit(shell_atlas(names=names), brain(), GRID)
    assert swapped.swapped is True
    assert "regions that it names as left lie on the right" in swapped.complaints()
    assert atlas_fit(shell_atlas(), brain(), GRID).swapped is False
    unnamed = {1: "Lateral", 2: "Rolandic"}
    assert atlas_fit(shell_atlas(names=unnamed), brain(), GRID).swapped is None


def test_an_atlas_of_one_half_is_said():
    whole = shell_atlas()
    half = Atlas(np.where(whole.labels == 1, 1, 0), whole.grid, {1: "Cortex"}, "half")
    told = " ".join(atlas_fit(half, brain(), GRID).complaints())
    assert "of the left half of the brain and 0 % of the right" in told


def test_aal_lies_some_millimetres_off_the_template_and_hcpex_does_not():
    template = mni152_template(3)
    aal = atlas_fit(load_atlas("AAL"), template.values, template.grid)
    np.testing.assert_allclose(aal.shift, (-1, -2.5, -3), atol=1.2)
    assert 0.6 < aal.covered < 0.85
    assert aal.swapped is False
    assert not aal.complaints()
    hcpex = atlas_fit(load_atlas("HCPEx"), template.values, template.grid)
    assert hcpex.distance < 2


def test_bad_input_is_refused():
    with pytest.raises(GridError, match="The tissue has shape"):
        atlas_fit(shell_atlas(), np.ones((2, 2, 2)), GRID)
    with pytest.raises(InputError, match="there is none, or no region"):
        atlas_fit(shell_atlas(), np.zeros(GRID.shape), GRID)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("Hippocampus_L", "left"),
        ("ctx-rh-precuneus", "right"),
        ("Right Thalamus", "right"),
        ("7Networks_LH_Vis_1", "left"),
        ("Lateral ventricle", ""),
        ("Left-right callosum", ""),
        ("Rectus", ""),
    ],
)
def test_sides_are_read_from_names(name, side):
    assert side_of(name) == side
