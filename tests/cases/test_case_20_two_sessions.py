"""https://github.com/PennLINC/qsiprep/issues/757"""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from voxplain.errors import InputError
from voxplain.nets import SliceNet, serialise
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.scans.run import explain_scans
from voxplain.progress import Silent

SHAPE = (20, 24, 22)


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("voxplain.report.figures.style.DPI", 40)
    torch.manual_seed(0)
    (tmp_path / "w.safetensors").write_bytes(serialise(SliceNet(SHAPE)))

    def call(*names: str, out: str = "out", seed: int = 0) -> list[str]:
        paths = tuple(tmp_path / name for name in names)
        for number, path in enumerate(paths):
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                values = np.random.default_rng([seed, number, len(str(path))]).random(SHAPE)
                nib.save(nib.Nifti1Image(values.astype(np.float32), np.eye(4)), path)
        options = ScanOptions(
            "slicenet", (tmp_path / "w.safetensors",), paths, tmp_path / out,
            methods=("gradient",), target=1,
        )  # fmt: skip
        explain_scans(options, Silent())
        return sorted(p.name for p in (tmp_path / out / "maps").rglob("*_statmap.nii.gz"))

    return call


NAMES = [
    ("sub-1_ses-1_T1w.nii.gz", "sub-1_ses-2_T1w.nii.gz"),
    ("sub-1_run-1_T1w.nii", "sub-1_run-2_T1w.nii", "sub-1_T1w.nii"),
    ("sub-1_acq-a_rec-x_T1w.nii", "sub-1_acq-a_rec-y_T1w.nii"),
    ("sub-1_T1w.nii.gz", "sub-1_space-MNI_desc-preproc_T1w.nii.gz"),
    ("sub-1_space-MNI_desc-brain_T1w.nii.gz", "sub-1_space-MNI_desc-preproc_T1w.nii.gz"),
    ("sub-1/ses-1/anat/sub-1_T1w.nii.gz", "sub-1/ses-2/anat/sub-1_T1w.nii.gz"),
]


@pytest.mark.parametrize("names", NAMES)
def test_scans_of_one_person_get_names_apart(ask, tmp_path: Path, names: tuple[str, ...]) -> None:
    together = ask(*names)
    assert len(together) == len(names)
    assert all(name.count("_desc-") == 1 for name in together)
    for name in names:
        apart = ask(name, out="apart")
    assert apart == together
    told = json.loads((tmp_path / "apart/explain.json").read_text())
    assert sorted(Path(s["maps"]["gradient"]["map"]).name for s in told["scans"]) == together
    assert len(told["runs"]) == len(names)


def test_a_map_of_another_image_is_not_written_over(ask, tmp_path: Path) -> None:
    (name,) = ask("a/sub-1_ses-1_T1w.nii.gz")
    path = tmp_path / "out/maps/sub-1_ses-1" / name
    before = path.read_bytes()
    with pytest.raises(
        InputError, match=r"holds maps of another image as '1_ses-1'.*another --out"
    ):
        ask("b/sub-1_ses-1_T1w.nii.gz", seed=1)
    assert path.read_bytes() == before
    with pytest.raises(InputError, match="would both be written as subject '1_ses-1'"):
        ask("a/sub-1_ses-1_T1w.nii.gz", "b/sub-1_ses-1_T1w.nii.gz")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/sub-1_ses-1_T1w.nii.gz").write_bytes(
        (tmp_path / "a/sub-1_ses-1_T1w.nii.gz").read_bytes()
    )
    assert ask("c/sub-1_ses-1_T1w.nii.gz") == [name]
