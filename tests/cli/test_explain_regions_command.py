"""Labels of a scan that is moved to the centre go along with it, or that is said."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion

NETWORK = """
from torch import nn

def build():
    return nn.Sequential(
        nn.Conv3d(1, 2, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool3d(4), nn.Flatten(),
        nn.Linear(128, 2),
    )
"""
SHAPE = (64, 76, 62)
SHIFT = np.array([38.0, -24, 31])


def turn(degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def affine_of(directions, size=2.6) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(directions) * size
    centre = np.array([0, -18, 9]) + SHIFT
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    return affine


AFFINES = {
    "straight": affine_of(np.eye(3)),
    "flipped": affine_of(np.diag([-1.0, 1, -1])),
    "oblique": affine_of(turn(14)),
}


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    (tmp_path / "regionsnet.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    torch.manual_seed(3)
    import regionsnet

    torch.save(regionsnet.build().state_dict(), tmp_path / "w.pt")
    return [
        "explain", "--network", "regionsnet:build", "--weights", "w.pt", "--preset", "mni-2mm",
        "--method", "region-ablation", "--target", "1", "--option",
        "region-ablation:reference=zero", "--option", "region-ablation:regions=labels.nii",
    ]  # fmt: skip


def write(folder: Path, affine: np.ndarray, name: str = "sub-A_T1w.nii") -> np.ndarray:
    """Write a brain far from MNI152 and its halves as labels 3 and 8; return the labels."""
    world = np.moveaxis(np.indices(SHAPE), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    place = world - SHIFT - [0, -18, 9]
    brain = np.linalg.norm(place / [60, 74, 56], axis=-1) < 1
    values = np.where(brain, 100 + place[..., 1] / 3 + 15 * (place[..., 0] > 0), 0)
    labels = np.where(brain, np.where(place[..., 0] > 0, 3, 8), 0)
    nib.save(nib.Nifti1Image(values.astype(np.float32), affine), folder / name)
    nib.save(nib.Nifti1Image(labels.astype(np.int16), affine), folder / "labels.nii")
    return labels


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES.keys())
def test_labels_move_with_their_scan(run, asked, tmp_path, affine) -> None:
    labels = write(tmp_path, affine)
    code, out, err = run(*asked, "--image", "sub-A_T1w.nii", "--align", "centre", "--out", "out")
    assert (code, err) == (0, "")
    assert out.count("The labels of labels.nii were moved with the scan, by (-3") == 1
    (path,) = (tmp_path / "out/maps").rglob("*_statmap.nii.gz")
    values = nib.load(path).get_fdata()
    effects = []
    for label in (3, 8):
        deep = binary_erosion(labels == label, iterations=4)
        assert np.ptp(values[deep]) < 1e-5 * np.abs(values[deep]).max()
        effects.append(values[deep].mean())
    assert abs(effects[0] - effects[1]) > 1e-3 * abs(effects[0])
    outside = binary_erosion(labels == 0, iterations=4, border_value=1)
    assert not values[outside].any()


def test_labels_in_the_space_of_the_template_stay(run, asked, tmp_path) -> None:
    write(tmp_path, AFFINES["straight"])
    image = nib.load(tmp_path / "labels.nii")
    there = image.affine.copy()
    there[:3, 3] -= SHIFT
    labels = nib.Nifti1Image(np.asarray(image.dataobj).copy()[1:], there @ _next_voxel())
    nib.save(labels, tmp_path / "labels.nii")
    code, out, err = run(*asked, "--image", "sub-A_T1w.nii", "--align", "centre", "--out", "out")
    assert (code, err) == (0, "")
    assert "The labels" not in out
    assert "of the labels" not in out


def _next_voxel() -> np.ndarray:
    step = np.eye(4)
    step[0, 3] = 1
    return step


def test_labels_of_one_scan_do_not_fit_two(run, asked, tmp_path) -> None:
    write(tmp_path, AFFINES["oblique"], "sub-B_T1w.nii")
    write(tmp_path, AFFINES["straight"])
    code, _, err = run(
        *asked, "--image", "sub-A_T1w.nii", "--image", "sub-B_T1w.nii", "--align", "centre",
        "--out", "out",
    )  # fmt: skip
    assert code == 2
    assert "lie where a scan lay before --align centre moved it" in err
    assert "run the scans apart, each with its labels." in err


def test_labels_beside_the_brain_are_noticed(run, asked, tmp_path) -> None:
    write(tmp_path, AFFINES["straight"])
    image = nib.load(tmp_path / "labels.nii")
    away = image.affine.copy()
    away[:3, 3] -= 3 * SHIFT
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj).copy(), away), tmp_path / "labels.nii")
    code, out, err = run(*asked, "--image", "sub-A_T1w.nii", "--align", "centre", "--out", "out")
    assert (code, err) == (0, "")
    assert "% of the labels of labels.nii lie in the brain as the network sees it" in out


def test_a_label_image_that_was_not_fetched(run, asked, tmp_path) -> None:
    write(tmp_path, AFFINES["straight"])
    (tmp_path / "labels.nii").unlink()
    (tmp_path / "labels.nii").symlink_to(".git/annex/objects/a/b/KEY.nii/KEY.nii")
    code, _, err = run(*asked, "--image", "sub-A_T1w.nii", "--align", "centre", "--out", "out")
    assert code == 2
    assert "was not fetched; run datalad get or git annex get on it." in err
