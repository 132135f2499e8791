"""What is written on the scan's own grid still adds up, and says so."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nilearn.image import resample_to_img

from voxplain.attribution import METHODS
from voxplain.attribution.methods import make_method

NETWORK = """
from torch import nn

def build():
    return nn.Sequential(
        nn.Conv3d(1, 2, 3, stride=3), nn.ReLU(), nn.AdaptiveAvgPool3d(2), nn.Flatten(),
        nn.Linear(16, 2),
    )
"""
SHARES = {
    "gradient", "guided-backprop", "deconvolution", "smoothgrad", "input-x-gradient", "lrp",
    "integrated-gradients", "region-shapley", "guided-grad-cam", "channel-attention",
    *(f"captum:{name}" for name in (
        "Saliency", "InputXGradient", "IntegratedGradients", "DeepLift", "DeepLiftShap",
        "GradientShap", "GuidedBackprop", "Deconvolution", "GuidedGradCam",
    )),
}  # fmt: skip
PLACES = {
    "grad-cam", "grad-cam++", "hirescam", "layercam", "occlusion", "rise", "region-ablation",
    "meaningful-perturbation", "extremal-perturbation", "pattern", "recommended",
}  # fmt: skip


def test_every_method_says_whether_its_values_are_shares() -> None:
    for name in SHARES:
        method = METHODS[name]
        assert method.info.additive or method.info.complete, name
    told = {name for name in METHODS if not name.startswith("captum:")}
    assert told == {name for name in SHARES if not name.startswith("captum:")} | PLACES
    for name in PLACES:
        info = METHODS[name].info
        assert (info.additive, info.complete) == (False, False), name


def test_smoothgrad_follows_what_it_wraps() -> None:
    assert make_method("smoothgrad").additive
    assert make_method("smoothgrad", {"of": "integrated-gradients"}).additive
    assert not make_method("smoothgrad", {"of": "grad-cam"}).additive
    assert not make_method("smoothgrad", {"squared": True}).additive
    assert make_method("recommended", {"combine": False}).additive


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A thick-sliced, flipped, oblique brain and a small network."""
    import torch

    (tmp_path / "sumsnet.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    torch.manual_seed(1)
    import sumsnet

    torch.save(sumsnet.build().state_dict(), tmp_path / "w1.pt")
    torch.save(sumsnet.build().state_dict(), tmp_path / "w2.pt")
    angle = np.deg2rad(12)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]])
    affine = np.eye(4)
    affine[:3, :3] = np.vstack([turn, [0, 0, 1]]) @ np.diag([-2, 2, 6])
    shape = (92, 112, 30)
    affine[:3, 3] = [0, -18, 9] - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    world = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    inside = np.linalg.norm((world - [0, -18, 9]) / [62, 80, 60], axis=-1) < 1
    values = np.where(inside, 100 + 20 * np.sin(world[..., 0] / 11), 0).astype(np.float32)
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "sub-A_T1w.nii.gz")
    return [
        "explain", "--network", "sumsnet:build", "--image", "sub-A_T1w.nii.gz",
        "--preset", "kan2020", "--target", "1", "--weights", "w1.pt",
    ]  # fmt: skip


def _maps(folder: Path, ending: str) -> tuple[np.ndarray, dict]:
    (path,) = folder.rglob(f"*{ending}_statmap.nii.gz")
    sidecar = Path(str(path).replace(".nii.gz", ".json"))
    return nib.load(path).get_fdata(), json.loads(sidecar.read_text()) if sidecar.exists() else {}


@pytest.mark.parametrize(
    ("method", "label"),
    [("integrated-gradients", "IntegratedGradients"), ("gradient", "Gradient"), ("lrp", "Layer")],
)
def test_the_sum_is_kept_and_noted(run, asked, tmp_path, method, label) -> None:
    sums = {}
    for grid in ("network", "input"):
        few = ["--option", f"{method}:steps=6"] * (method == "integrated-gradients")
        code, _, err = run(*asked, "--method", method, *few, "--grid", grid, "--out", grid)
        assert (code, err) == (0, "")
        values, sidecar = _maps(tmp_path / grid, "")
        sums[grid] = values.sum()
        notes = [note for note in sidecar["Provenance"]["notes"] if "the sum over voxels" in note]
        assert len(notes) == (grid == "input")
    scale = np.abs(_maps(tmp_path / "network", "")[0]).sum()
    if method == "integrated-gradients":
        assert sums["input"] == pytest.approx(sums["network"], abs=1e-5 * scale)
        before, after = (float(word) for word in notes[0].split() if word.lstrip("-")[0].isdigit())
        assert before == pytest.approx(sums["network"], rel=1e-4)
        assert after == pytest.approx(sums["input"], rel=1e-4)
    # What such a map has outside the scan's field of view is lost, and that is said.
    lost = abs(sums["input"] - sums["network"]) > 1e-4 * scale
    assert ("outside the scan's field of view" in notes[0]) == lost


def test_a_map_of_places_keeps_its_values(run, asked, tmp_path) -> None:
    for grid in ("network", "input"):
        code, _, err = run(
            *asked, "--method", "grad-cam", "--layer", "1", "--option", "grad-cam:relu=false",
            "--grid", grid, "--out", grid,
        )  # fmt: skip
        assert (code, err) == (0, "")
    before, after = (_maps(tmp_path / grid, "")[0] for grid in ("network", "input"))
    assert np.abs(after).max() == pytest.approx(np.abs(before).max(), rel=0.2)
    assert "the sum over" not in str(_maps(tmp_path / "input", "")[1])


def test_a_spread_shrinks_with_the_voxels(run, asked, tmp_path) -> None:
    for grid in ("network", "input"):
        code, _, err = run(
            *asked, "--weights", "w2.pt", "--method", "integrated-gradients", "--option",
            "integrated-gradients:steps=6", "--grid", grid, "--out", grid,
        )  # fmt: skip
        assert (code, err) == (0, "")
    before, after = (_maps(tmp_path / grid, "Spread")[0] for grid in ("network", "input"))
    assert after.min() >= 0
    assert after.sum() == pytest.approx(before.sum(), rel=1e-3)


def test_a_spread_lies_where_the_scan_does(run, asked, tmp_path) -> None:
    """It is the network's, carried to the scan's own voxels."""
    for grid in ("network", "input"):
        code, _, err = run(
            *asked, "--weights", "w2.pt", "--method", "gradient", "--grid", grid, "--out", grid
        )
        assert (code, err) == (0, "")
    before, made = (
        nib.load(next((tmp_path / grid / "maps").rglob("*Spread_statmap.nii.gz")))
        for grid in ("network", "input")
    )
    scan = nib.load("sub-A_T1w.nii.gz")
    assert made.shape == scan.shape != before.shape
    np.testing.assert_allclose(made.affine, scan.affine)
    moved = resample_to_img(
        before, scan, interpolation="linear", force_resample=True, copy_header=True
    )
    assert np.corrcoef(moved.get_fdata().ravel(), made.get_fdata().ravel())[0, 1] > 0.9
