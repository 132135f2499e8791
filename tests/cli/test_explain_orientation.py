"""``voxplain explain --orientation``: a scan that contradicts itself is explained when chosen."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

NETWORK = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv3d(1, 2, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten())
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    (tmp_path / "placenet.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import placenet

    torch.save(placenet.build().state_dict(), tmp_path / "w.pt")
    return [
        "explain", "--network", "placenet:build", "--weights", "w.pt", "--image", "sub-A_T1w.nii",
        "--method", "gradient", "--target", "1", "--out", "out",
    ]  # fmt: skip


def save(folder: Path, qform: np.ndarray) -> np.ndarray:
    sform = np.diag([2.0, 2, 2, 1])
    image = nib.Nifti1Image(np.random.default_rng(0).random((8, 9, 10), dtype=np.float32), sform)
    image.set_sform(sform, 1)
    image.set_qform(qform, 1)
    nib.save(image, folder / "sub-A_T1w.nii")
    return sform


def test_left_and_right_are_chosen(run, asked, tmp_path) -> None:
    qform = np.diag([-2.0, 2, 2, 1])
    sform = save(tmp_path, qform)
    code, _, err = run(*asked)
    assert code == 2
    assert "contradicts itself on left and right: its axes run RAS by its sform and LAS by" in err
    code, _, err = run(*asked, "--orientation", "upright")
    assert code == 2
    assert "Unknown orientation 'upright'; there are: qform, sform" in err
    for name, affine in (("sform", sform), ("qform", qform)):
        code, _, err = run(*asked, "--orientation", name)
        assert (code, err) == (0, "")
        (path,) = (tmp_path / "out/maps").rglob("*_statmap.nii.gz")
        np.testing.assert_allclose(nib.load(path).affine, affine, atol=1e-5)
        assert json.loads((tmp_path / "out/explain.json").read_text())["orientation"] == name


def test_a_disagreement_is_told_once(run, asked, tmp_path) -> None:
    qform = np.diag([2.0, 2, 2, 1])
    qform[1, 3] = 12
    save(tmp_path, qform)
    code, out, err = run(*asked)
    assert (code, err) == (0, "")
    assert out.count("its sform and qform differ by up to 12.0 mm and 0.0 degrees") == 1
    (scan,) = json.loads((tmp_path / "out/explain.json").read_text())["scans"]
    assert "The sform was used" in str(scan["notes"])
