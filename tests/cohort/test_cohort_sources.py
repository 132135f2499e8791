"""Cohorts as people keep them: which scans are found, which are left out, and what is said."""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from voxplain.cohort import read_volume
from voxplain.cohort.find.labels import parse_coding
from voxplain.cohort.find.listing import Listing
from voxplain.cohort.find.sources import (
    from_bids,
    from_cat12,
    from_freesurfer,
    from_hcp,
    from_ixi,
    from_oasis,
    from_openbhb,
    from_table,
)
from voxplain.errors import InputError, VoxplainWarning

AFFINE = np.diag([-2.0, 2, 2, 1])


def image(path: Path, value: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = nib.MGHImage if path.suffix == ".mgz" else nib.Nifti1Image
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4) * value
    nib.save(kind(values, AFFINE), path)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace(" ", "\t") if path.suffix == ".tsv" else text, encoding="utf-8")
    return path


def reasons(found: Listing) -> dict[str, str]:
    return {one.subject: one.reason for one in found.exclusions}


class TestTable:
    def test_paths_are_the_tables_own(self, tmp_path: Path) -> None:
        for name in ("a b/ü.nii", "c.nii", "m.nii"):
            image(tmp_path / "data" / name)
        table = tmp_path / "data" / "cohort.csv"
        table.write_text(
            "participant_id,image,mask,sex,site\nsub-02,c.nii,n/a,Male,X\n"
            "01,a b/ü.nii,m.nii,f,Y\n03,gone.nii,,F,Y\n04,c.nii,,,Y\n",
            encoding="utf-8-sig",
        )
        found = from_table(table, "sex")
        assert [scan.subject for scan in found.scans] == ["01", "02"]
        assert found.scans[0].image.path == tmp_path / "data" / "a b/ü.nii"
        assert found.scans[0].mask is not None
        assert found.scans[1].mask is None
        assert found.class_names == ("female", "male")
        assert list(found.participants["participant_id"]) == ["sub-01", "sub-02"]
        assert list(found.participants["label"]) == ["female", "male"]
        assert list(found.participants["site"]) == ["Y", "X"]
        assert found.coding == "Labels from column 'sex': F = female, Male = male, f = female."
        assert reasons(found) == {"03": "there is no such file", "04": "no value in column 'sex'"}

    def test_several_scans_of_a_participant(self, tmp_path: Path) -> None:
        for name in "abcd":
            image(tmp_path / f"{name}.nii")
        rows = "1 ses-1 1 a.nii M\n1 ses-1 2 b.nii M\n1 2 n/a c.nii M\n2 n/a n/a d.nii F\n"
        path = write(tmp_path / "t.tsv", "participant_id session_id run_id image sex\n" + rows)
        found = from_table(path, "sex")
        names = ["1_ses-1_run-1", "1_ses-1_run-2", "1_ses-2", "2"]
        assert [scan.name for scan in found.scans] == names
        assert [scan.image.name[0] for scan in found.scans] == list("abcd")
        assert list(found.participants["session_id"]) == ["ses-1", "ses-1", "ses-2", ""]
        whole = path.read_text()
        write(path, whole.replace("b.nii\tM", "b.nii\tF"))
        with pytest.raises(InputError, match="rows of 1_ses-1 have different labels"):
            from_table(path, "sex")
        write(path, whole.replace("\t2\tb.nii", "\t1\tb.nii"))
        with pytest.raises(InputError, match="1_ses-1_run-1 occurs more than once in the images"):
            from_table(path, "sex")

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ("id image sex\n1 c.nii M\n", "no column 'participant_id'"),
            ("participant_id file sex\n1 c.nii M\n", "no column 'image'"),
            ("participant_id image age\n1 c.nii 3\n", "no column 'sex' for the labels"),
            ("participant_id image sex\n", "has no rows"),
            ("participant_id image sex\n1 c.nii M\nsub-1 c.nii F\n", "1 occurs more than once"),
            ("participant_id image sex\n1 c.nii M\n2 c.nii m\n", "All 2 .* same value 'male'"),
            (
                "participant_id image sex\n1 c.nii 1\n2 c.nii 2\n",
                r"numbers \(1, 2\).*1=NAME,2=NAME",
            ),
            ("participant_id image sex\n1 c.nii n/a\n2 c.nii n/a\n", "both an image and a label"),
            ("participant_id image sex\n1 x.nii M\n2 y.nii F\n", "None of the images"),
            ("participant_id image sex\n/1 c.nii M\n", "label '/1' cannot be used"),
        ],
    )
    def test_one_sentence(self, tmp_path: Path, rows: str, message: str) -> None:
        image(tmp_path / "c.nii")
        with pytest.raises(InputError, match=message) as caught:
            from_table(write(tmp_path / "t.tsv", rows), "sex")
        assert str(caught.value).endswith(".")

    def test_line_breaks_in_a_cell_stay_out_of_what_is_said(self, tmp_path: Path) -> None:
        image(tmp_path / "c.nii")
        rows = 'participant_id,image,sex\n1,c.nii,M\n2,c.nii,F\n3,"a\tb\nc.nii",F\n'
        (tmp_path / "t.csv").write_text(rows)
        (gone,) = from_table(tmp_path / "t.csv", "sex").exclusions
        assert gone.what == f"{tmp_path}/a b c.nii"

    def test_numbers_need_a_coding(self, tmp_path: Path) -> None:
        image(tmp_path / "c.nii")
        text = "participant_id image sex\n1 c.nii 1.0\n2 c.nii 2\n"
        table = write(tmp_path / "t.tsv", text)
        found = from_table(table, "sex", parse_coding("1=man, 2=woman"))
        assert list(found.participants["label"]) == ["man", "woman"]
        with pytest.raises(InputError, match=r"holds 2, which the coding 1 = man does not name"):
            from_table(table, "sex", {"1": "man"})
        with pytest.raises(InputError, match="looks like 1=male,2=female"):
            parse_coding("1=a,1=b")

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("no.tsv", None, "There is no file"),
            ("t.json", b"{}", "not a table by its name"),
            ("t.tsv", b"", "cannot be read as a table"),
            ("t.csv", b"a,b\n1,2,3\n4,5,6,7\n", "Row 2 of .* has 3 cells and the header 2"),
            ("t.tsv", bytes(range(128, 256)), "cannot be read as a table"),
        ],
    )
    def test_no_table(self, tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=message):
            from_table(tmp_path / name, "sex")


@pytest.mark.filterwarnings("ignore:.* have no brain mask beside them")
class TestBids:
    @pytest.fixture
    def dataset(self, tmp_path: Path) -> Path:
        write(
            tmp_path / "participants.tsv",
            "participant_id sex age\nsub-01 M 20\nsub-02 F n/a\nsub-03 F 30\nsub-04 M 9\n",
        )
        for name in (
            "sub-01/ses-a/anat/sub-01_ses-a_desc-preproc_T1w.nii.gz",
            "sub-01/ses-a/anat/sub-01_ses-a_desc-brain_mask.nii.gz",
            "sub-01/ses-b/anat/sub-01_ses-b_desc-preproc_T1w.nii.gz",
            "sub-02/ses-b/anat/sub-02_ses-b_run-1_desc-preproc_T1w.nii.gz",
            "sub-02/ses-b/anat/sub-02_ses-b_run-2_desc-preproc_T1w.nii.gz",
            "sub-03/ses-a/anat/sub-03_ses-a_space-MNI152NLin2009cAsym_desc-preproc_T1w.nii.gz",
            "sub-04/ses-a/anat/sub-04_ses-a_T1w.nii.gz",
            "sub-09/ses-a/anat/sub-09_ses-a_desc-preproc_T1w.nii.gz",
        ):
            image(tmp_path / name)
        return tmp_path

    def test_one_scan_each(self, dataset: Path) -> None:
        found = from_bids(dataset, "sex", space="native")
        names = [scan.image.name for scan in found.scans]
        assert names == [
            "sub-01_ses-a_desc-preproc_T1w.nii.gz",
            "sub-02_ses-b_run-1_desc-preproc_T1w.nii.gz",
        ]
        masks = [scan.mask.name if scan.mask else None for scan in found.scans]
        assert masks == ["sub-01_ses-a_desc-brain_mask.nii.gz", None]
        assert sorted((one.subject, one.reason) for one in found.exclusions) == [
            ("01", "another session"),
            ("02", "another run of this participant"),
            ("03", "no image was found"),
            ("04", "no image was found"),
            ("09", "not in the table"),
        ]

    def test_masks_of_some_scans_alone(self, dataset: Path) -> None:
        wanted = r"1 of 2 scans have no brain mask beside them \(02\): whole heads among brains"
        with pytest.warns(VoxplainWarning, match=wanted):
            from_bids(dataset, "sex", space="native")
        start = "sub-02/ses-b/anat/sub-02_ses-b_run-1_desc"
        (dataset / f"{start}-brain_mask.nii.gz").symlink_to("../../.git/annex/objects/x/y/z")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = from_bids(dataset, "sex", space="native")
        assert [scan.mask is not None for scan in found.scans] == [True, True]

    def test_a_session(self, dataset: Path) -> None:
        found = from_bids(dataset, "sex", session="ses-b", space="native")
        assert found.scans[0].image.name == "sub-01_ses-b_desc-preproc_T1w.nii.gz"
        with pytest.raises(InputError, match="of session 'z'; the sessions are a, b"):
            from_bids(dataset, "sex", session="z", space="native")

    def test_all_scans(self, dataset: Path) -> None:
        found = from_bids(dataset, "sex", space="native", all_scans=True)
        names = ["01_ses-a", "01_ses-b", "02_ses-b_run-1", "02_ses-b_run-2"]
        assert [scan.name for scan in found.scans] == names
        table = found.participants
        assert list(table["participant_id"]) == ["sub-01", "sub-01", "sub-02", "sub-02"]
        assert list(table["session_id"]) == ["ses-a", "ses-b", "ses-b", "ses-b"]
        assert list(table["run_id"]) == ["", "", "run-1", "run-2"]
        assert list(table["label"]) == ["male", "male", "female", "female"]
        assert list(table["age"]) == ["20", "20", "n/a", "n/a"]
        assert reasons(found) == {
            "03": "no image was found", "04": "no image was found", "09_ses-a": "not in the table",
        }  # fmt: skip
        one = from_bids(dataset, "sex", session="b", space="native", all_scans=True)
        assert [scan.name for scan in one.scans] == names[1:]

    def test_a_table_of_sessions(self, dataset: Path) -> None:
        table = write(
            dataset / "sessions.tsv",
            "participant_id session_id dx age\nsub-01 ses-a well 20\nsub-01 b ill 22\n"
            "sub-01 c ill 24\nsub-02 n/a well 50\n",
        )
        found = from_bids(dataset, "dx", space="native", participants=table, all_scans=True)
        told = found.participants[["session_id", "label", "age"]].to_numpy().tolist()
        assert told == [
            ["ses-a", "well", "20"], ["ses-b", "ill", "22"],
            ["ses-b", "well", "50"], ["ses-b", "well", "50"],
        ]  # fmt: skip
        assert reasons(found)["01_ses-c"] == "no image was found"
        write(table, table.read_text() + "sub-01\tses-b\till\t9\n")
        with pytest.raises(InputError, match="01_ses-b occurs more than once in the table"):
            from_bids(dataset, "dx", space="native", participants=table, all_scans=True)

    def test_a_table_of_sessions_for_scans_without(self, dataset: Path) -> None:
        rows = "sub-01 1 M\nsub-02 1 F\nsub-02 2 F\nsub-03 1 F\nsub-04 1 F\n"
        table = write(dataset / "sessions.tsv", "participant_id session_id sex\n" + rows)
        with pytest.raises(InputError, match="All 1 participants have the same value 'male'"):
            from_bids(dataset, "sex", space="native", participants=table)
        write(table, "participant_id session_id sex\n" + rows.replace("sub-02 2 F\n", ""))
        found = from_bids(dataset, "sex", space="native", participants=table)
        assert [scan.name for scan in found.scans] == ["01", "02"]

    def test_spaces_are_not_mixed(self, dataset: Path) -> None:
        with pytest.raises(InputError, match=r"MNI152NLin2009cAsym, native\); choose one"):
            from_bids(dataset, "sex")
        with pytest.raises(InputError, match="no scan in space 'MNI', only"):
            from_bids(dataset, "sex", space="MNI")

    def test_a_derivative_takes_the_table_around_it(self, tmp_path: Path) -> None:
        write(tmp_path / "participants.tsv", "participant_id sex\nsub-1 M\nsub-2 F\n")
        for who in ("1", "2"):
            image(tmp_path / f"derivatives/fmriprep/sub-{who}/anat/sub-{who}_T1w.nii")
        found = from_bids(tmp_path / "derivatives/fmriprep", "sex")
        assert len(found) == 2
        (tmp_path / "participants.tsv").unlink()
        with pytest.raises(InputError, match="give the table with --participants"):
            from_bids(tmp_path / "derivatives/fmriprep", "sex")

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="There is no folder"):
            from_bids(tmp_path / "no", "sex")
        with pytest.raises(InputError, match=r"holds no sub-\*"):
            from_bids(tmp_path, "sex")


def test_freesurfer(tmp_path: Path) -> None:
    image(tmp_path / "s/one/mri/brain.mgz")
    image(tmp_path / "s/sub-two/mri/orig_nu.mgz")
    image(tmp_path / "s/sub-two/mri/mask.mgz")
    image(tmp_path / "s/three/mri/orig.mgz")
    image(tmp_path / "s/fsaverage/mri/brain.mgz")
    table = write(tmp_path / "t.tsv", "participant_id sex\none M\ntwo F\nthree F\n")
    found = from_freesurfer(tmp_path / "s", table, "sex")
    assert [(s.subject, s.image.name, s.mask and s.mask.name) for s in found.scans] == [
        ("one", "brain.mgz", None),
        ("two", "orig_nu.mgz", "mask.mgz"),
    ]
    assert reasons(found) == {"three": "no brain.mgz yet, nor a mask.mgz"}
    with pytest.raises(InputError, match=r"holds no <subject>/mri/brain\.mgz"):
        from_freesurfer(tmp_path / "s/one", table, "sex")


class TestHcp:
    """Named, nested and laid out as the two releases are."""

    TABLE = "Subject,Gender,Age\n100206,M,26-30\n100307,F,26-30\n100408,M,31-35\n100610,F,36+\n"

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "hcp/disk 2").mkdir(parents=True)
        write(tmp_path / "table.csv", self.TABLE)

        def package(subject: str, content: Callable[[], bytes]) -> bytes:
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w") as archive:
                archive.writestr(f"{subject}/T1w/T1w_acpc_dc_restore.nii.gz", b"with skull")
                archive.writestr(f"{subject}/T1w/T1w_acpc_dc_restore_brain.nii.gz", content())
            return packed.getvalue()

        def scan() -> bytes:
            return image(tmp_path / "scan.nii.gz").read_bytes()

        hcp = tmp_path / "hcp"
        (hcp / "100206_3T_Structural_preproc.zip").write_bytes(package("100206", scan))
        with zipfile.ZipFile(hcp / "disk 2/batch.zip", "w") as outer:
            outer.writestr("x/100307_StructuralRecommended.zip", package("100307", scan))
        image(hcp / "100408/T1w/T1w_acpc_dc_restore_brain.nii.gz")
        (hcp / "100610_3T_Structural_preproc.zip").write_bytes(b"<html>please log in</html>")
        return hcp

    def test_packages_nested_packages_and_folders(self, folder: Path) -> None:
        found = from_hcp(folder, folder.parent / "table.csv")
        assert [(scan.subject, len(scan.image.members)) for scan in found.scans] == [
            ("100206", 1),
            ("100307", 2),
            ("100408", 0),
        ]
        assert list(found.participants["label"]) == ["male", "female", "male"]
        assert list(found.participants["Age"]) == ["26-30", "26-30", "31-35"]
        assert list(reasons(found)) == ["100610"]
        assert "not a whole zip archive" in reasons(found)["100610"]

    def test_one_bad_package_does_not_lose_its_neighbours(self, folder: Path) -> None:
        with zipfile.ZipFile(folder / "disk 2/all.zip", "w") as outer:
            outer.writestr("100206_bad.zip", b"PK a stub")
            outer.write(folder / "100206_3T_Structural_preproc.zip", "100408_good.zip")
        (folder / "100206_3T_Structural_preproc.zip").unlink()
        found = from_hcp(folder, folder.parent / "table.csv")
        assert [scan.subject for scan in found.scans] == ["100206", "100307", "100408"]
        assert "not a whole zip archive" in reasons(found)["100206"]

    def test_families(self, folder: Path) -> None:
        restricted = write(folder.parent / "r.csv", "Subject,Family_ID\n100307,F1\n100206,F2\n")
        found = from_hcp(folder, folder.parent / "table.csv", restricted=restricted)
        assert list(found.participants["family"]) == ["F2", "F1", "n/a"]
        with pytest.raises(InputError, match="no column 'Family_ID'"):
            from_hcp(folder, folder.parent / "table.csv", restricted=folder.parent / "table.csv")

    def test_copies_count_once(self, folder: Path) -> None:
        image(folder / "again/100206/T1w/T1w_acpc_dc_restore_brain.nii.gz")
        found = from_hcp(folder, folder.parent / "table.csv")
        assert [scan.subject for scan in found.scans] == ["100206", "100307", "100408"]
        assert "another copy of" in reasons(found)["100206"]

    def test_nothing_there(self, folder: Path) -> None:
        with pytest.raises(InputError, match=r"holds no MNINonLinear.*not a whole zip"):
            from_hcp(folder, folder.parent / "table.csv", image="mni")
        with pytest.raises(InputError, match="must be acpc or mni"):
            from_hcp(folder, folder.parent / "table.csv", image="t2")


def test_cat12(tmp_path: Path) -> None:
    for name in ("mwp1sub-01_ses-1_T1w", "mwp1sub-01_ses-2_T1w", "mwp1oldName", "mwp2oldName"):
        image(tmp_path / f"cat/mri/{name}.nii")
    report = "<catv><subjectmeasures><vol_TIV>1503.25</vol_TIV></subjectmeasures></catv>"
    write(tmp_path / "cat/report/cat_sub-01_ses-1_T1w.xml", report)
    table = write(tmp_path / "t.tsv", "participant_id sex\nsub-01 M\noldName F\n")
    found = from_cat12(tmp_path / "cat", table, "sex")
    assert [(s.subject, s.image.name) for s in found.scans] == [
        ("01", "mwp1sub-01_ses-1_T1w.nii"),
        ("oldName", "mwp1oldName.nii"),
    ]
    assert list(found.participants["tiv_ml"]) == ["1503.25", "n/a"]
    assert reasons(found) == {"01": "another session"}
    with pytest.raises(InputError, match=r"holds no mwp1\*\.nii"):
        from_cat12(tmp_path / "cat/report", table, "sex")


class TestIxi:
    TABLE = (
        'IXI_ID,"SEX_ID (1=m, 2=f)",HEIGHT,AGE\n2,2,164,35.8\n12.0,1,175,38.8\n12.0,1,175,38.8\n'
        "13,1,0,46.7\n14,0,170,30\n15,1,1,1\n15,2,1,1\n"
    )

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for name in ("002-Guys-0828", "012-HH-1211", "013-HH-1212", "014-IOP-1", "015-IOP-2"):
            image(tmp_path / f"ixi/IXI{name}-T1.nii.gz")
        image(tmp_path / "ixi/IXI002-Guys-0828-T2.nii.gz")
        write(tmp_path / "IXI.csv", self.TABLE)
        return tmp_path / "ixi"

    def test_labels_sites_and_repeated_rows(self, folder: Path) -> None:
        found = from_ixi(folder, folder.parent / "IXI.csv")
        assert [scan.subject for scan in found.scans] == ["IXI002", "IXI012", "IXI013"]
        assert list(found.participants["label"]) == ["female", "male", "male"]
        assert list(found.participants["site"]) == ["Guys", "HH", "HH"]
        assert list(found.participants["HEIGHT"]) == ["164", "175", "n/a"]
        assert found.coding == "Labels from column 'SEX_ID': 1 = male, 2 = female."
        assert reasons(found) == {
            "IXI014": "no value in column 'SEX_ID'",
            "IXI015": "rows of the table contradict each other",
        }

    def test_masks(self, folder: Path) -> None:
        for name in ("002-Guys-0828", "012-HH-1211"):
            image(folder.parent / f"masks/IXI{name}-T1_mask.nii.gz")
        found = from_ixi(folder, folder.parent / "IXI.csv", folder.parent / "masks")
        masks = [scan.mask and scan.mask.name for scan in found.scans]
        assert masks == ["IXI002-Guys-0828-T1_mask.nii.gz", "IXI012-HH-1211-T1_mask.nii.gz"]
        assert reasons(found)["IXI013"] == "no mask was found"

    def test_a_spreadsheet(self, folder: Path) -> None:
        import pandas as pd

        sheet = folder.parent / "IXI.xlsx"
        pd.read_csv(folder.parent / "IXI.csv").to_excel(sheet, index=False)
        assert len(from_ixi(folder, sheet)) == 3

    def test_another_table(self, folder: Path) -> None:
        table = write(folder.parent / "t.csv", "IXI_ID,sex\n2,F\n")
        with pytest.raises(InputError, match=r"no column 'SEX_ID \(1=m, 2=f\)'"):
            from_ixi(folder, table)


def test_oasis_as_nilearn_fetches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nilearn.datasets
    import pandas as pd
    from sklearn.utils import Bunch

    def fetch(n_subjects: int | None, data_dir: Path, verbose: int) -> Bunch:
        if data_dir.name == "offline":
            raise OSError("Could not reach www.nitrc.org")
        who = ["OAS1_0001_MR1", "OAS1_0002_MR1"]
        paths = [image(tmp_path / f"mwrc1{name}_bet.nii.gz") for name in who]
        table = pd.DataFrame({"id": who, "mf": ["F", "M"], "age": [74, 55], "cdr": [0.0, None]})
        if data_dir.name == "damaged":
            table = table.drop(columns="id")
        return Bunch(gray_matter_maps=[str(path) for path in paths], ext_vars=table)

    monkeypatch.setattr(nilearn.datasets, "fetch_oasis_vbm", fetch)
    found = from_oasis(tmp_path)
    assert [scan.subject for scan in found.scans] == ["OAS10001MR1", "OAS10002MR1"]
    assert list(found.participants["label"]) == ["female", "male"]
    with pytest.raises(InputError, match=r"cannot be fetched \(Could not reach.*check the network"):
        from_oasis(tmp_path / "offline")
    with pytest.raises(InputError, match="does not name a participant for each map"):
        from_oasis(tmp_path / "damaged")


def test_openbhb(tmp_path: Path) -> None:
    shape = (1, 1, 121, 145, 121)
    write(
        tmp_path / "participants.tsv", "participant_id sex age site\n1 male 20 3\n2 female 30 4\n"
    )
    for who in "12":
        path = tmp_path / f"val/sub-{who}_preproc-cat12vbm_desc-gm_T1w.npy"
        path.parent.mkdir(exist_ok=True)
        values = np.zeros(shape, dtype=np.float64)
        values[0, 0, 60, 84, 48] = int(who)
        np.save(path, values)
    found = from_openbhb(tmp_path, kind="cat12vbm")
    volume = read_volume(found.scans[1].image, found.scans[1].subject)
    assert volume.grid.shape == shape[2:]
    assert volume.values[60, 84, 48] == 2
    # The origin of MNI152 on CAT12's grid.
    np.testing.assert_allclose(volume.grid.to_world((60, 84, 48)), (0, 0, 0), atol=1e-9)
    with pytest.raises(InputError, match=r"holds no sub-\*_preproc-quasiraw_T1w\.npy"):
        from_openbhb(tmp_path)
    with pytest.raises(InputError, match="must be quasiraw or cat12vbm"):
        from_openbhb(tmp_path, kind="raw")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((3, 4, 5)), r"has shape \(3, 4, 5\); a \.npy file has no affine"),
        (np.zeros((2, 121, 145, 121), np.uint8), "has no affine"),
        (np.zeros((121, 145, 121), complex), "holds complex128 values"),
        (np.array([{}], dtype=object), "not a whole .npy array"),
        (b"\x93NUMPY\x01\x00v\x00{", "not a whole .npy array"),
        (b"", "is an empty file"),
    ],
)
def test_other_arrays_are_refused(
    tmp_path: Path, content: np.ndarray | bytes, message: str
) -> None:
    path = tmp_path / "sub-1_preproc-quasiraw_T1w.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(InputError, match=message):
        read_volume(path)


@pytest.mark.parametrize("shut", ["", "sub-01"])
def test_folders_that_may_not_be_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shut: str
) -> None:
    """As a user without rights; root may read everything, so what the system says is stood in."""
    write(tmp_path / "participants.tsv", "participant_id sex\nsub-01 M\nsub-02 F\n")
    for who in ("01", "02"):
        image(tmp_path / f"sub-{who}/anat/sub-{who}_T1w.nii")
    allowed = os.access
    monkeypatch.setattr(
        "os.access", lambda path, mode: Path(path) != tmp_path / shut and allowed(path, mode)
    )
    for read in (
        lambda: from_bids(tmp_path, "sex"),
        lambda: from_freesurfer(tmp_path, tmp_path / "participants.tsv", "sex"),
        lambda: from_cat12(tmp_path, tmp_path / "participants.tsv", "sex"),
        lambda: from_hcp(tmp_path, tmp_path / "participants.tsv"),
        lambda: from_ixi(tmp_path, tmp_path / "participants.tsv"),
        lambda: from_openbhb(tmp_path),
    ):
        with pytest.raises(InputError, match=f"{tmp_path / shut} may not be read by this user"):
            read()
