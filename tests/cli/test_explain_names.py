"""``voxplain explain --image``: whose a scan is, by names that are none of BIDS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from voxplain.nets import MRINet

Run = Callable[..., tuple[int, str, str]]


def test_each_scan_gets_a_name_of_its_own(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files called brain, told apart by their folders, and the number in a long name."""
    torch.manual_seed(0)
    torch.save(MRINet(shape=(24, 28, 26), channels=(2, 2, 2)).state_dict(), tmp_path / "w.pt")
    (tmp_path / "named_net.py").write_text(
        "from voxplain.nets import MRINet\n"
        "def build(): return MRINet(shape=(24, 28, 26), channels=(2, 2, 2))\n"
    )
    monkeypatch.chdir(tmp_path)
    given: list[object] = []
    for i, name in enumerate(("P 1/brain.nii", "P 2/brain.nii", "t1_IXI481-HH-2175_T1.nii")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        values = np.random.default_rng(i).random((24, 28, 26), dtype=np.float32)
        nib.save(nib.Nifti1Image(values, np.diag([2.0, 2, 2, 1])), path)
        given += ["--image", path]
    code, shown, error = run(
        "explain", "--network", "named_net:build", "--weights", "w.pt", *given,
        "--method", "gradient", "--target", 1, "--out", "o", "--device", "cpu",
    )  # fmt: skip
    assert (code, error) == (0, "")
    assert sorted(path.name for path in (tmp_path / "o/maps").iterdir()) == [
        "sub-IXI481HH2175", "sub-P1", "sub-P2",
    ]  # fmt: skip
    assert "sub-IXI481HH2175" in shown
