"""https://github.com/pipefunc/pipefunc/issues/964"""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.scans.run import explain_scans
from voxplain.progress import Silent

NETWORK = """
import torch
from torch import nn
import torch.nn.functional as F

class Edited(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4)
        self.head = nn.Linear(4, 2)
    def forward(self, x):
        x = self.norm(self.conv(x))
        return self.head({forward}.mean((2, 3, 4))) + 50.0
"""


@pytest.mark.parametrize("other", ["F.gelu(x)", "torch.tanh(x)", "F.leaky_relu(x, 0.05)", "x"])
def test_the_same_weights_in_edited_code_give_new_maps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    values = np.random.default_rng(8).normal(size=(8, 9, 7)).astype(np.float32)
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "sub-8_T1w.nii.gz")

    def made(forward: str, out: str) -> tuple[np.ndarray, int]:
        (tmp_path / "edited_net.py").write_text(NETWORK.format(forward=forward))
        sys.modules.pop("edited_net", None)
        sys.dont_write_bytecode = True
        import edited_net

        torch.manual_seed(0)
        torch.save(edited_net.Edited().state_dict(), tmp_path / "w.pt")
        scan = tmp_path / "sub-8_T1w.nii.gz"
        options = ScanOptions(
            "edited_net:Edited", (tmp_path / "w.pt",), (scan,), tmp_path / out,
            methods=("gradient",), target=1,
        )  # fmt: skip
        explain_scans(options, Silent())
        path = tmp_path / out / "maps/sub-8/sub-8_desc-GradientClass1_statmap.nii.gz"
        return nib.load(path).get_fdata(), path.stat().st_mtime_ns

    first, written = made("F.relu(x)", "kept")
    again, unchanged = made("F.relu(x)", "kept")
    assert written == unchanged
    edited, _ = made(other, "kept")
    fresh, _ = made(other, "fresh")
    assert np.array_equal(first, again)
    assert np.array_equal(edited, fresh)
    assert not np.allclose(edited, first, rtol=1e-3)
