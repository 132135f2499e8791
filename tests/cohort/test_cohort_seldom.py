"""Scans, tables and atlases as they seldom are: each is read, or refused in one sentence."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from voxplain.atlas import Atlas
from voxplain.cohort import bases, build, read_atlas, read_volume, workers
from voxplain.cohort.atlases.fit import AtlasFit, _between, _swapped
from voxplain.cohort.atlases.own import segmentation_of
from voxplain.cohort.check.balance import matched_by_size
from voxplain.cohort.find import listing as listings
from voxplain.cohort.find import tables
from voxplain.cohort.find.brains import find_brains, read_brain
from voxplain.cohort.find.listing import Listing, Scan
from voxplain.cohort.find.sources.choice import one_each
from voxplain.cohort.find.sources.hcp import _add
from voxplain.cohort.find.sources.openbhb import from_openbhb
from voxplain.cohort.prepare import preprocess, skullstrip
from voxplain.cohort.prepare.intensity import _template_landmarks, _to_landmarks
from voxplain.cohort.prepare.recipe import Recipe
from voxplain.cohort.read.probabilities import most_probable, read_probabilities
from voxplain.cohort.read.region_names import read_region_names
from voxplain.cohort.store.journal import Row
from voxplain.cohort.store.reader import open_store
from voxplain.cohort.store.writer import StoreWriter, write_row, write_store
from voxplain.errors import InputError, StudyError, VoxplainWarning
from voxplain.files.pointers import require_content
from voxplain.grid import Grid
from voxplain.images.archives import open_archive
from voxplain.images.files import ImageFile
from voxplain.images.names import subject_labels
from voxplain.progress import Silent
from voxplain.volume import Cohort, Volume

GRID = Grid((8, 9, 7), np.diag([2.0, 2, 2, 1]))
Write = Callable[..., Path]


def cohort(count: int = 4) -> Cohort:
    table = pd.DataFrame({"participant_id": [f"{i}" for i in range(count)], "label": "a"})
    return Cohort(table, ("a",), GRID, lambda i: np.full(GRID.shape, i, np.float32))


# Atlases


def test_an_atlas_says_what_does_not_fit() -> None:
    fit = AtlasFit((0, 0, 0), 0.5, 0.5, 0.25, 0.25, 0.25, 0.4, None)
    assert fit.complaints() == [
        "its regions cover 25 % of the brain alone",
        "60 % of its regions lie outside the brain",
    ]
    assert replace(fit, covered=0.9, inside=0.9).complaints() == []


def test_sides_are_told_by_the_regions_that_are_there() -> None:
    labels = np.zeros(GRID.shape, np.int32)
    labels[:2], labels[6:] = 1, 2
    # The middle of the grid is at x = 0.
    grid = Grid(GRID.shape, GRID.affine + np.array([[0, 0, 0, -7.0]] + [[0] * 4] * 3))
    names = {1: "Cuneus left", 2: "Cuneus right", 3: "Insula left"}
    assert _swapped(Atlas(labels, grid, names, "test")) is False
    assert _swapped(Atlas(labels, grid, {1: names[2], 2: names[1], 3: names[3]}, "test")) is True
    assert _swapped(Atlas(labels, grid, {1: "a", 2: "b", 3: names[3]}, "test")) is None


def test_a_score_without_a_peak_is_taken_where_it_is() -> None:
    scores = np.zeros((3, 3, 3))
    scores[:, 1, 1] = (1, 2, 1.5)
    found = _between(scores, np.array([1, 1, 1]))
    # The vertex of the parabola through 1, 2 and 1.5.
    assert found == pytest.approx([1 / 6, 0, 0])
    assert not _between(np.ones((3, 3, 3)), np.array([1, 1, 1])).any()


def test_names_of_an_atlas_are_a_file(write_nifti: Write) -> None:
    image = write_nifti(np.ones(GRID.shape, np.int16), GRID, "a.nii")
    with pytest.raises(InputError, match=r"read from a file; dict was given"):
        read_atlas(image, {1: "a"})  # type: ignore[arg-type]


def test_a_segmentation_of_dlmuse_lies_beside_its_scan(write_nifti: Write) -> None:
    scan = write_nifti(np.ones(GRID.shape), GRID, "sub-1_T1w.nii.gz")
    with pytest.raises(InputError, match=r"lies no segmentation of its own"):
        segmentation_of(scan)
    made = write_nifti(np.ones(GRID.shape), GRID, "sub-1_T1w_DLMUSE.nii.gz")
    write_nifti(np.ones(GRID.shape), GRID, "sub-2_T1w_DLMUSE.nii.gz")
    assert segmentation_of(scan).path == made


def test_probabilities_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.nii is zero everywhere"):
        most_probable(np.zeros((2, 2, 2, 3)), (2, 2, 2, 3), None, "a.nii")
    damaged = tmp_path / "damaged.nii.gz"
    values = np.random.default_rng(0).random((6, 6, 6, 3)).astype(np.float32)
    nib.save(nib.Nifti1Image(values, np.eye(4)), damaged)
    damaged.write_bytes(damaged.read_bytes()[:900])
    with pytest.raises(InputError, match=r"cannot be read as an image; it is damaged"):
        read_probabilities(damaged, None)


@pytest.mark.parametrize("inside", ['<label index="0"> </label>', ""])
def test_regions_of_an_xml_file_need_names(tmp_path: Path, inside: str) -> None:
    path = tmp_path / "atlas.xml"
    path.write_text(f"<atlas><data>{inside}</data></atlas>")
    with pytest.raises(InputError, match=r"holds no <label index=...>, or one without a name"):
        read_region_names(path)


# Brains


def test_brains_are_found_by_their_names(write_nifti: Write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no T1w scan; give a folder with files"):
        find_brains(tmp_path)
    with pytest.raises(InputError, match=r"There is no brain at .*nowhere"):
        find_brains(tmp_path / "nowhere")
    values = np.zeros(GRID.shape)
    values[3:5, 4:6, 2:4] = 7
    scan = write_nifti(values, GRID, "sub-1_T1w.nii.gz")
    assert find_brains(scan) == [(scan, None)]
    brain = read_brain(scan, None)
    assert (brain.values > 0).sum() == 8
    place = np.argwhere(brain.values > 0)[0]
    assert brain.grid.to_world(place) == pytest.approx(GRID.to_world([3, 4, 2]))
    empty = write_nifti(np.where(np.indices(GRID.shape)[0] < 2, -1, 0), GRID, "sub-2_T1w.nii.gz")
    with pytest.raises(InputError, match=r"has no voxel above 0 inside the brain"):
        read_brain(empty, None)


def test_brains_that_are_heads_or_lie_elsewhere(
    write_nifti: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = Grid((20, 20, 20), np.diag([10.0, 10, 10, 1]))
    scan = write_nifti(np.ones(grid.shape) + np.indices(grid.shape)[0], grid, "sub-1_T1w.nii.gz")
    with pytest.raises(InputError, match=r"fills 8000 mL, like a whole head; lay a brain mask"):
        bases.brains_of(scan, Silent())
    small = np.zeros(grid.shape)
    small[:5, :5, :5] = 1
    lost = write_nifti(small, grid, "sub-2_T1w.nii.gz")
    monkeypatch.setattr(bases, "laid_over_mni", lambda brain: brain)
    with pytest.raises(InputError, match=r"does not fit the MNI152 template; check its orient"):
        bases.brains_of(lost, Silent())


class Network:
    """In place of deepbet."""

    def __init__(self, mask: np.ndarray) -> None:
        self.mask = mask

    def run(self, image: Any) -> tuple[None, Any, None]:
        return None, nib.Nifti1Image(self.mask.astype(np.uint8), image.affine), None


@pytest.mark.parametrize("mask", [np.zeros(GRID.shape), np.ones((3, 3, 3))])
def test_a_scan_in_which_no_brain_is_found(
    monkeypatch: pytest.MonkeyPatch, mask: np.ndarray
) -> None:
    monkeypatch.setattr(skullstrip, "_network", lambda: Network(mask))
    with pytest.raises(InputError, match=r"No brain was found in the scan; give a mask"):
        skullstrip.find_brain(Volume(np.ones(GRID.shape), GRID))


def ellipsoid() -> Volume:
    grid = Grid.covering((-90, -126, -72), (90, 90, 108), (9, 9, 9))
    at = grid.to_world(np.stack(np.indices(grid.shape), axis=-1)) - [0, -18, 9]
    inside = np.linalg.norm(at / [62, 75, 60], axis=-1) < 1
    return Volume(np.where(inside, 100 + at[..., 2], 0), grid, "1")


COARSE = Recipe("coarse", Grid.covering((-90, -126, -72), (90, 90, 108), (15, 18, 15)))


def test_a_recipe_may_strip_the_skull_and_even_out_the_field(
    write_nifti: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = ellipsoid()
    brain = head.values > 120
    seen: list[float] = []

    def flat(values: np.ndarray, grid: Grid, above: np.ndarray) -> np.ndarray:
        seen.append(float(above.sum()))
        return np.where(above, 50.0, 0.0).astype(np.float32)

    monkeypatch.setattr(workers, "find_brain", lambda volume: brain)
    monkeypatch.setattr(preprocess, "without_bias_field", flat)
    scan = Scan("1", ImageFile(write_nifti(head.values, head.grid, "sub-1_T1w.nii.gz")))
    recipe = replace(COARSE, skull_strip=True, bias_field=True, intensity="none")
    images = tmp_path / "images.npy"
    np.lib.format.open_memmap(images, "w+", np.float32, (1, *recipe.grid.shape))
    task = workers._Task(0, "stamp", scan, recipe, (0.0, -18.0, 9.0), images)
    row = workers._prepare(task)
    assert row.failure == ""
    assert seen == [brain.sum()]
    assert row.brain_ml == pytest.approx(brain.sum() * 20 * 24 * 20 / 1000, rel=1e-3)
    assert np.load(images).max() == pytest.approx(50, rel=0.2)


def test_a_brain_of_a_few_voxels_is_looked_for_in_each() -> None:
    above = np.zeros((120, 120, 120), bool)
    above[61, 61, 61] = True
    grid = Grid(above.shape, np.eye(4))
    assert preprocess._share_inside(above, grid, grid) == 1
    assert preprocess._share_inside(above, grid, Grid((20, 20, 20), np.eye(4))) == 0


def test_grey_levels_that_are_all_the_same_become_the_first_landmark() -> None:
    found = _to_landmarks(np.full(20, 7, np.float32))
    assert found == pytest.approx(_template_landmarks()[0])


# Sources


def test_matching_by_size_takes_two_classes_and_one_scan_each() -> None:
    with pytest.raises(InputError, match=r"needs two classes; there are 3"):
        matched_by_size(["a", "b", "c"], [1.0, 2, 3], ("a", "b", "c"))
    twice = pd.DataFrame({"participant_id": ["1", "1"], "label": ["a", "b"]})
    with pytest.raises(InputError, match=r"takes one scan of each participant, and some have"):
        build._require_one_scan_each(Listing(twice, (), ("a", "b"), ""))


def test_a_folder_that_is_shut_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shut(*_: object) -> Any:
        raise PermissionError

    monkeypatch.setattr(os, "scandir", shut)
    with pytest.raises(InputError, match=r"may not be read by this user; change the permissions"):
        listings.require_folder(tmp_path, "scans")


def test_a_column_that_differs_by_case_or_blanks_will_do() -> None:
    table = pd.DataFrame({"participant_id": ["1"], " Sex": ["f"]})
    assert listings._column(table, "sex") == " Sex"
    with pytest.raises(InputError, match=r"has no column 'group' for the labels; it has: part"):
        listings._column(table, "group")


def test_one_run_of_a_participant_is_used() -> None:
    scans = [Scan("1", ImageFile(Path(f"{run}.nii")), run=run) for run in ("run-1", "run-2")]
    used, gone = one_each(scans, (), None, False)
    assert [one.run for one in used] == ["run-1"]
    assert [one.reason for one in gone] == ["another run of this participant"]
    assert len(one_each(scans, (), None, True)[0]) == 2


def test_what_names_no_subject_is_left_out(tmp_path: Path) -> None:
    scans: dict[str, Scan] = {}
    gone: list[Any] = []
    _add(scans, gone, ImageFile(Path("12/T1w.nii.gz")), "12/T1w.nii.gz")
    _add(scans, gone, ImageFile(Path("100307/T1w.nii.gz")), "HCP/100307/T1w/T1w.nii.gz")
    assert [*scans] == ["100307"]
    assert [one.reason for one in gone] == ["no folder of six digits names the subject"]
    for name in ("sub-1", "sub-2", "sub-a.b"):
        np.save(tmp_path / f"{name}_preproc-quasiraw_T1w.npy", np.zeros((1, 182, 218, 182)[:2]))
    (tmp_path / "participants.tsv").write_text("participant_id\tsex\n1\tM\n2\tF\na.b\tF\n")
    assert [one.subject for one in from_openbhb(tmp_path).scans] == ["1", "2"]


def test_tables_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stats = tmp_path / "aseg.tsv"
    stats.write_text("Measure:volume\tLeft-Hippocampus\n1\t4000\n")
    assert tables.participant_key(stats) == "Measure:volume"
    other = tmp_path / "other.tsv"
    other.write_text("Who\tage\n1\t40\n")
    assert tables.participant_key(other) == "participant_id"
    assert tables.participant_key(tmp_path / "none.tsv") == "participant_id"
    assert tables.participant_key(tmp_path / "sheet.xlsx") == "participant_id"

    def shut(path: Path) -> str:
        raise PermissionError

    monkeypatch.setattr(tables, "_text", shut)
    with pytest.raises(InputError, match=r"other\.tsv may not be read by this user"):
        tables.read_table(other)

    def lacking(path: Path) -> Any:
        raise ImportError("No module", name="openpyxl")

    monkeypatch.setattr(tables, "_sheet", lacking)
    (tmp_path / "sheet.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"needs one more package \(openpyxl\); install it with"):
        tables.read_table(tmp_path / "sheet.xlsx")


def test_folders_and_shut_files_are_no_archives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.zip").mkdir()
    with (
        pytest.raises(InputError, match=r"a\.zip is a folder, not a zip archive"),
        open_archive(tmp_path / "a.zip"),
    ):
        pass

    def shut(*_: object, **__: object) -> Any:
        raise PermissionError

    (tmp_path / "b.zip").write_bytes(b"PK")
    monkeypatch.setattr("voxplain.images.archives.require_content", lambda path: None)
    monkeypatch.setattr(Path, "open", shut)
    with (
        pytest.raises(InputError, match=r"b\.zip may not be read by this user"),
        open_archive(tmp_path / "b.zip"),
    ):
        pass


def test_images_that_are_none() -> None:
    flat = nib.MGHImage(np.ones((3, 4, 5), np.float32), np.eye(4))
    flat._affine = np.diag([1.0, 1, 0, 1])
    with pytest.raises(InputError, match=r"has an affine that is singular or not finite"):
        read_volume(flat)
    ecat = nib.minc1.Minc1Image(np.ones((3, 4, 5), np.float32), np.eye(4))
    with pytest.raises(InputError, match=r"does not hold a voxel volume; give a NIfTI or \.mgz"):
        read_volume(ecat)


def test_a_header_whose_direction_is_none_is_passed_over() -> None:
    values = np.arange(504.0).reshape(GRID.shape)
    broken = nib.Nifti1Image(values, GRID.affine)
    broken.header["qform_code"] = 1
    for name in "bcd":
        broken.header[f"quatern_{name}"] = 5
    with pytest.warns(VoxplainWarning, match=r"has a qform that cannot be used; its sform was"):
        found = read_volume(broken)
    np.testing.assert_allclose(found.grid.affine, GRID.affine)


def test_one_file_given_twice_has_one_name() -> None:
    once, again = subject_labels(["/a/b/scan.nii", "/a/b/scan.nii"])
    assert once == again
    assert len({*subject_labels(["/a/b/scan.nii", "/a/c/scan.nii"])}) == 2


def test_names_too_long_for_a_file_lead_nowhere(tmp_path: Path) -> None:
    require_content(tmp_path / ("a" * 5000))
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match=r"is a link to loop, and nothing is there"):
        require_content(tmp_path / "loop")


# The store


def full(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = r"cannot be written: the disk is full"
    path = tmp_path / "images.npy"
    np.lib.format.open_memmap(path, "w+", np.float32, (2, *GRID.shape))
    writer = StoreWriter(tmp_path / "store", COARSE, ["a"])
    row = Row(0, "stamp")
    with monkeypatch.context() as patched:
        patched.setattr(np.lib.format, "open_memmap", full)
        with pytest.raises(StudyError, match=told):
            write_store(tmp_path / "other", cohort(), "test")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StudyError, match=told):
            StoreWriter(tmp_path / "third", COARSE, ["a"])
        with pytest.raises(StudyError, match=told):
            write_row(path, 1, np.ones(GRID.shape, np.float32))
        with pytest.raises(StudyError, match=told):
            writer.done(row)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", full)
        with pytest.raises(StudyError, match=told):
            writer.begin()
    write_row(path, 1, np.full(GRID.shape, 3, np.float32))
    assert [float(one.mean()) for one in np.load(path)] == [0, 3]


def test_a_store_whose_table_lost_a_row_is_refused(tmp_path: Path) -> None:
    write_store(tmp_path, cohort(), "test")
    table = tmp_path / "participants.tsv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(StudyError, match=r"its table has 3 rows, its array 4 volumes and its rec"):
        open_store(tmp_path)


def test_a_scan_is_known_by_size_and_time_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "1.nii").write_bytes(b"12345")
    os.utime(tmp_path / "1.nii", ns=(7, 42_000))
    image, gone = ImageFile(tmp_path / "1.nii"), ImageFile(tmp_path / "gone.nii")
    assert workers._stamp(Scan("1", image)) == "5@42000 -"
    assert workers._stamp(Scan("1", gone, image)) == "- 5@42000"
