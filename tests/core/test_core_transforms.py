"""Affine transforms of ITK and FSL: each against the programs' own definition, point by point."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.images.transforms import read_transform

SOURCE = Grid(
    (9, 10, 11), np.array([[2.0, 0.1, 0, -8], [0, 3, 0.2, 5], [0, -0.1, 4, 1], [0, 0, 0, 1]])
)
TARGET = Grid((7, 8, 9), np.diag([-3.0, 2.5, 2, 1]))
POINTS = np.array([[0.0, 0, 0], [11, -7, 23], [-4, 9, 2.5]])


def _euler() -> SimpleITK.Transform:
    transform = SimpleITK.Euler3DTransform()
    transform.SetFixedParameters([10, 20, -30, 0])
    transform.SetParameters([0.3, -0.2, 0.5, 4, -5, 6])
    return transform


def _affine() -> SimpleITK.Transform:
    transform = SimpleITK.AffineTransform(3)
    transform.SetFixedParameters([5, -6, 7])
    transform.SetParameters([1.1, 0.1, -0.05, 0.02, 0.95, 0.1, -0.1, 0.03, 1.05, 3, -2, 7])
    return transform


@pytest.mark.parametrize("ending", [".tfm", ".txt", ".mat"])
@pytest.mark.parametrize(
    "transform", [_euler(), _affine(), SimpleITK.TranslationTransform(3, (4.0, -2.0, 1.0))]
)
def test_transforms_of_itk(tmp_path: Path, transform: SimpleITK.Transform, ending: str) -> None:
    path = tmp_path / f"moved{ending}"
    SimpleITK.WriteTransform(transform, str(path))
    found = read_transform(path, SOURCE, TARGET)
    flip = np.array([-1.0, -1.0, 1.0])
    for point in POINTS:
        wanted = flip * np.array(transform.TransformPoint((flip * point).tolist()))
        assert (found @ [*point, 1])[:3] == pytest.approx(wanted, abs=1e-9)


def _fsl(grid: Grid, world: np.ndarray) -> np.ndarray:
    """Where flirt sees a point: millimetres along the voxels, from the left side."""
    voxel = np.linalg.solve(grid.affine, [*world, 1])[:3]
    if np.linalg.det(grid.affine[:3, :3]) > 0:
        voxel[0] = grid.shape[0] - 1 - voxel[0]
    return voxel * grid.voxel_size


@pytest.mark.parametrize(("source", "target"), [(SOURCE, TARGET), (TARGET, SOURCE)])
def test_a_matrix_of_flirt(tmp_path: Path, source: Grid, target: Grid) -> None:
    matrix = np.array([[0.9, 0.1, 0, 3], [-0.1, 1.1, 0.05, -2], [0, 0.1, 1, 4], [0, 0, 0, 1]])
    path = tmp_path / "moved.mat"
    path.write_text("\n".join("  ".join(f"{x:.10f}" for x in row) for row in matrix) + "\n")
    found = read_transform(path, source, target)
    for point in POINTS:
        there = (found @ [*point, 1])[:3]
        moved = (matrix @ [*_fsl(source, there), 1])[:3]
        assert moved == pytest.approx(_fsl(target, point), abs=1e-6)


def test_what_is_no_affine_transform(tmp_path: Path) -> None:
    def refused(name: str, content: bytes | str, message: str) -> None:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(InputError, match=message):
            read_transform(path, SOURCE, TARGET)

    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_transform(tmp_path / "nowhere.mat", SOURCE, TARGET)
    refused("a.mat", b"\x00\x01nonsense", "is no affine transform of ITK, ANTs or FSL")
    refused("b.mat", "0 0 0 0 " * 4, "cannot be inverted")
    refused("c.mat", "1 2 3", "is no affine transform")
    refused("d.mat", "nan 0 0 0 " * 4, "is no affine transform")
    head = "#Insight Transform File V1.0\n"
    one = "Transform: {}\nParameters: {}\nFixedParameters: 0 0 0\n"
    refused("e.txt", head + one.format("BSplineTransform_double_3_3", "1 2"), "BSplineTransform")
    refused("f.txt", head + one.format("AffineTransform_double_2_2", "1 0 0 1 0 0"), "_2_2")
    refused("g.txt", head + one.format("Euler3DTransform_double_3_3", "a b c"), "are not numbers")
    refused("h.txt", head + 2 * one.format("x", "1"), "holds 2 transforms of ITK")
