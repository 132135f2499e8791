"""The segmentation that lies beside a scan."""

from __future__ import annotations

import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from voxplain.cohort.atlases import own_atlas, segmentation_of
from voxplain.errors import InputError
from voxplain.images.files import ImageFile

AFFINE = np.diag([2.0, 2, 2, 1])
IXI = Path(__file__).parents[3] / "shared/data/ixi30"


def write(path: Path, labels: list[int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((4, 5, 6), dtype=np.int32)
    for place, label in enumerate(labels):
        values[place] = label
    kind = nib.MGHImage if path.suffix == ".mgz" else nib.Nifti1Image
    nib.save(kind(values, AFFINE), path)
    return path


def test_a_freesurfer_folder_has_its_names(tmp_path):
    scan = tmp_path / "bert/mri/brain.mgz"
    write(scan.with_name("aparc+aseg.mgz"), [17, 53, 1022, 9999])
    atlas = own_atlas(scan)
    assert dict(atlas.names) == {
        17: "Left-Hippocampus", 53: "Right-Hippocampus", 1022: "ctx-lh-postcentral",
        9999: "label 9999",
    }  # fmt: skip
    assert atlas.name == "own"


def test_bids_takes_the_names_of_a_folder_above_and_no_other_space(tmp_path):
    folder = tmp_path / "sub-01/ses-2/anat"
    scan = folder / "sub-01_ses-2_desc-preproc_T1w.nii.gz"
    write(folder / "sub-01_ses-2_dseg.nii.gz", [1, 2])
    write(folder / "sub-01_ses-2_space-MNI152_desc-dlmuse_dseg.nii.gz", [1, 2])
    write(folder / "sub-02_ses-2_desc-dlmuse_dseg.nii.gz", [1, 2])
    with pytest.raises(InputError, match="lies no segmentation of its own"):
        segmentation_of(scan)
    write(folder / "sub-01_ses-2_desc-other_dseg.nii.gz", [1, 2])
    own = write(folder / "sub-01_ses-2_desc-dlmuse_dseg.nii.gz", [47, 48])
    assert segmentation_of(scan) == ImageFile(own)
    (tmp_path / "dseg.tsv").write_text("index\tname\n47\tWrong\n48\tWrong too\n")
    (tmp_path / "desc-dlmuse_dseg.tsv").write_text("index\tname\n47\tHip_R\n48\tHip_L\n")
    (tmp_path / "desc-other_dseg.tsv").write_text("index\tname\n47\tOther\n48\tOthers\n")
    assert dict(own_atlas(scan).names) == {47: "Hip_R", 48: "Hip_L"}


def test_an_archive_of_the_connectome_project_holds_its_own(tmp_path):
    path = write(tmp_path / "aparc+aseg.nii.gz", [17, 1022])
    archive = tmp_path / "100307_3T_Structural_preproc.zip"
    with zipfile.ZipFile(archive, "w") as held:
        held.write(path, "100307/T1w/aparc+aseg.nii.gz")
    scan = ImageFile(archive, ("100307/T1w/T1w_acpc_dc_restore_brain.nii.gz",))
    assert set(own_atlas(scan).names.values()) == {"Left-Hippocampus", "ctx-lh-postcentral"}
    elsewhere = ImageFile(archive, ("100307/MNINonLinear/T1w_restore_brain.nii.gz",))
    with pytest.raises(InputError, match=r"restore_brain.nii.gz lies no segmentation of its own"):
        own_atlas(elsewhere)


def test_a_segmentation_without_names_is_refused(tmp_path):
    scan = tmp_path / "sub-01_T1w.nii.gz"
    write(tmp_path / "sub-01_desc-dlmuse_dseg.nii.gz", [47, 48])
    with pytest.raises(InputError, match="needs a list of names of its regions"):
        own_atlas(scan)


@pytest.mark.skipif(not IXI.exists(), reason="the IXI brains are not here")
@pytest.mark.filterwarnings("ignore:.*has no name for 3 labels")
def test_a_real_brain_has_its_145_regions_on_their_sides():
    atlas = own_atlas(IXI / "sub-IXI211/anat/sub-IXI211_desc-preproc_T1w.nii.gz")
    assert len(atlas.names) == 145
    centre = {
        side: atlas.grid.to_world(np.argwhere(atlas.mask([f"Hippocampus_{side}"]))).mean(axis=0)
        for side in "LR"
    }
    assert centre["L"][0] < centre["R"][0] - 30


def test_names_beside_an_image_of_freesurfer_come_before_freesurfer_s(tmp_path):
    scan = tmp_path / "sub-01_T1w.nii.gz"
    write(tmp_path / "sub-01_desc-aparcaseg_dseg.nii.gz", [17, 53])
    assert own_atlas(scan).names[17] == "Left-Hippocampus"
    (tmp_path / "desc-aparcaseg_dseg.tsv").write_text("index\tname\n17\tHip_L\n53\tHip_R\n")
    assert dict(own_atlas(scan).names) == {17: "Hip_L", 53: "Hip_R"}
