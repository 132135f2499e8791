"""Volumes and maps in and out of files and nibabel, drawn, masked, and shown in one line."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from voxplain.atlas import Atlas
from voxplain.errors import GridError, InputError, StudyError
from voxplain.files.atomic import replacing
from voxplain.grid import Grid
from voxplain.maps import AttributionMap, GroupMap
from voxplain.provenance import Provenance
from voxplain.study import Study
from voxplain.volume import Cohort, Volume

VALUES = np.random.default_rng(3).normal(size=(7, 8, 9)).astype(np.float32)


def a_map(grid: Grid, **changed: object) -> AttributionMap:
    provenance = Provenance(
        method="grad-cam", options={"relu": True}, target="logit of class 1 (case)",
        layer="features.4", network="Tiny", weights_sha256="ab" * 32, precision="float32",
        device="cpu", seed=0, grid=grid.to_dict(), versions={"voxplain": "0"}, notes=("one",),
    )  # fmt: skip
    made = AttributionMap(VALUES, grid, "01", "grad-cam", "case", "activation", "up", provenance)
    return replace(made, **changed)  # type: ignore[arg-type]


def a_group(grid: Grid) -> GroupMap:
    return GroupMap(VALUES, grid, "grad-cam", "case", "mean", 12, "activation")


def test_a_path_and_its_image_give_one_volume(
    awkward_grid: Grid, write_nifti: Callable[..., Path]
) -> None:
    path = write_nifti(VALUES, awkward_grid, "sub-07_T1w.nii.gz")
    for given in (path, str(path), nib.load(path)):
        volume = Volume.from_nifti(given)
        np.testing.assert_array_equal(volume.values, VALUES)
        assert volume.grid.same_as(awkward_grid)
        assert volume.subject == "07"
    assert Volume.from_nifti(path, subject="sub-x1").subject == "x1"


def test_an_image_in_memory_is_checked_as_a_file_is(awkward_grid: Grid) -> None:
    image = nib.Nifti1Image(VALUES, awkward_grid.affine)
    assert Volume.from_nifti(image).subject == ""
    holed = VALUES.copy()
    holed[1, 2, 3] = np.nan
    refused = {
        "has 1 voxels that are NaN": nib.Nifti1Image(holed, np.eye(4)),
        "nibabel image is an empty image: every voxel is 2": nib.Nifti1Image(
            np.full((3, 3, 3), 2, np.float32), np.eye(4)
        ),
        "has no affine": nib.Nifti1Image(VALUES, None),
        "Analyze 7.5": nib.AnalyzeImage(VALUES, np.eye(4)),
        "not real intensities": nib.Nifti1Image(VALUES.astype(np.complex64), np.eye(4)),
    }
    for words, given in refused.items():
        with pytest.raises(InputError, match=words):
            Volume.from_nifti(given)
    for given in (5, None, VALUES):
        with pytest.raises(InputError, match=r"must be a path, such as 'T1w\.nii\.gz', or"):
            Volume.from_nifti(given)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="label 3 must consist of letters"):
        Volume.from_nifti(image, subject=3)  # type: ignore[arg-type]


def test_an_affine_that_was_changed_in_memory_counts_and_the_image_stays() -> None:
    image = nib.Nifti1Image(VALUES, np.diag([2.0, 2, 2, 1]))
    image.affine[0, 3] = 11.0
    before = image.header.get_best_affine().copy()
    assert Volume.from_nifti(image).grid.affine[0, 3] == 11.0
    np.testing.assert_array_equal(image.header.get_best_affine(), before)


def test_a_volume_becomes_an_image_and_comes_back(awkward_grid: Grid) -> None:
    image = Volume(VALUES, awkward_grid, "01").to_nifti()
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), VALUES)
    np.testing.assert_allclose(image.affine, awkward_grid.affine, atol=1e-6)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert {int(image.header[code]) for code in ("sform_code", "qform_code")} == {1}
    assert Volume.from_nifti(image).grid.same_as(awkward_grid)


def test_a_map_is_saved_whole_and_loaded_again(awkward_grid: Grid, tmp_path: Path) -> None:
    found = a_map(awkward_grid, spread=np.abs(VALUES), additive=True, complete=True)
    path = tmp_path / "new" / "map.nii.gz"
    found.save(path)
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "map.json", "map.nii.gz", "map_spread.nii.gz",
    ]  # fmt: skip
    again = AttributionMap.load(str(path))
    np.testing.assert_array_equal(again.values, VALUES)
    np.testing.assert_array_equal(again.spread, np.abs(VALUES))
    np.testing.assert_array_equal(again.grid.affine, awkward_grid.affine)
    for name in (
        "subject",
        "method",
        "target",
        "unit",
        "sign",
        "provenance",
        "additive",
        "complete",
    ):
        assert getattr(again, name) == getattr(found, name)
    np.testing.assert_array_equal(found.to_nifti().get_fdata(dtype=np.float32), VALUES)


def test_the_sidecar_says_what_a_studys_says(awkward_grid: Grid, tmp_path: Path) -> None:
    study = Study(tmp_path / "study", "a test", "0")
    found, group = a_map(awkward_grid), a_group(awkward_grid)
    for alone, of_study in (
        (found, study.write_map(found, "grad-cam", {"seed": 0}, 0.5)),
        (group, study.write_group_map(group, "grad-cam")),
    ):
        alone.save(tmp_path / "alone.nii.gz")
        mine = json.loads((tmp_path / "alone.json").read_text())
        held = json.loads(Path(str(of_study).removesuffix(".nii.gz") + ".json").read_text())
        assert mine == {key: held[key] for key in mine}
        assert {"Description", "Units", "Method", "Target"} <= set(mine)
        assert (tmp_path / "alone.nii.gz").read_bytes() == of_study.read_bytes()


def test_what_cannot_be_saved_or_loaded_is_a_sentence(awkward_grid: Grid, tmp_path: Path) -> None:
    found = a_map(awkward_grid)
    for path in ("map.nii", "map", ".nii.gz"):
        with pytest.raises(InputError, match=r"must end with \.nii\.gz"):
            found.save(tmp_path / path)
    with pytest.raises(InputError, match=r"written to a path.*int was given"):
        found.save(3)  # type: ignore[arg-type]
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="a part of the path is a file"):
        found.save(tmp_path / "file" / "map.nii.gz")
    with pytest.raises(InputError, match="There is no file"):
        AttributionMap.load(tmp_path / "none.nii.gz")
    nib.save(Volume(VALUES, awkward_grid).to_nifti(), tmp_path / "bare.nii.gz")
    with pytest.raises(InputError, match=r"no sidecar bare\.json"):
        AttributionMap.load(tmp_path / "bare.nii.gz")
    found.save(tmp_path / "moved.nii.gz")
    shifted = Volume(VALUES, awkward_grid.moved((5, 0, 0))).to_nifti()
    nib.save(shifted, tmp_path / "moved.nii.gz")
    with pytest.raises(GridError, match="and its sidecar do not share a grid"):
        AttributionMap.load(tmp_path / "moved.nii.gz")


def test_each_shows_itself_in_one_short_line(awkward_grid: Grid) -> None:
    table = pd.DataFrame({"participant_id": ["sub-01"], "label": ["case"]})
    cohort = Cohort(table, ("control", "case"), awkward_grid, lambda i: VALUES)
    found, volume = a_map(awkward_grid), Volume(VALUES, awkward_grid, "01")
    shown = {
        volume: ("Volume(7×8×9 voxels of ", "subject '01'"),
        found: ("AttributionMap(grad-cam for case", "subject '01'", "activation", "7×8×9"),
        a_group(awkward_grid): ("GroupMap(mean of grad-cam for case", "n = 12", "activation"),
        awkward_grid: ("Grid(7×8×9 voxels of ", awkward_grid.orientation),
        cohort: ("Cohort(1 scans", "control, case", "7×8×9"),
    }
    for one, words in shown.items():
        text = repr(one)
        assert len(text) < 200
        assert "\n" not in text
        assert all(word in text for word in words)
    text = repr(found.provenance)
    assert text == (
        "Provenance(grad-cam of logit of class 1 (case), Tiny abababab, layer 'features.4', seed 0)"
    )
    assert repr(Volume(VALUES, awkward_grid)) == f"Volume({awkward_grid})"
    assert repr(replace(found, spread=VALUES)).endswith(", with spread)")


def test_a_wrong_type_is_a_sentence(awkward_grid: Grid) -> None:
    labels = np.ones((7, 8, 9), int)
    with pytest.raises(GridError, match=r"An atlas's grid must be a voxplain Grid.*ndarray"):
        Atlas(labels, awkward_grid.affine, {1: "a"}, "own")  # type: ignore[arg-type]
    with pytest.raises(GridError, match=r"A map's grid must be a voxplain Grid.*NoneType"):
        replace(a_group(awkward_grid), grid=None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"must be a pandas DataFrame.*str.*open_store"):
        Cohort("study/cohort", ("a",), awkward_grid, lambda i: VALUES)  # type: ignore[arg-type]
    atlas = Atlas(labels, awkward_grid, {1: "a"}, "own")
    assert repr(atlas) == f"Atlas(own, 1 regions, MNI152; {awkward_grid})"


def test_a_mask_leaves_zeros_outside_and_says_so(awkward_grid: Grid) -> None:
    brain = np.zeros((7, 8, 9), bool)
    brain[2:5, 3:6, 1:4] = True
    found = a_map(awkward_grid, spread=np.abs(VALUES)).masked(brain)
    for made, whole in ((found.values, VALUES), (found.spread, np.abs(VALUES))):
        np.testing.assert_array_equal(made[brain], whole[brain])
        assert not made[~brain].any()
    assert found.provenance.notes == ("one", "values outside a mask were set to 0")
    group = a_group(awkward_grid).masked(brain.tolist())
    np.testing.assert_array_equal(group.values, found.values)
    for wrong in (brain.astype(int), brain[:2], np.zeros_like(brain), "brain.nii.gz"):
        with pytest.raises(InputError, match=r"must be a boolean array of shape \(7, 8, 9\)"):
            found.masked(wrong)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_map_is_drawn_over_the_scan(
    awkward_grids: dict[str, Grid], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib.pyplot as plt
    from nilearn import plotting

    seen: list[tuple[nib.Nifti1Image, dict[str, object]]] = []
    drawn = plotting.plot_stat_map

    def watched(image: nib.Nifti1Image, **options: object) -> object:
        seen.append((image, options))
        return drawn(image, **options)

    monkeypatch.setattr(plotting, "plot_stat_map", watched)
    grid = awkward_grids["RAS"]
    scan = Volume(np.abs(VALUES), awkward_grids["anisotropic"])
    display = a_map(grid).plot(scan, display_mode="z", cut_coords=[0.0])
    display.close()
    image, options = seen[-1]
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), VALUES)
    np.testing.assert_array_equal(options["bg_img"].get_fdata(dtype=np.float32), scan.values)
    assert options["title"] == "grad-cam for case, 01 (activation)"
    sizes = np.sort(np.abs(VALUES).ravel())
    assert sizes[int(0.79 * sizes.size)] < options["threshold"] < sizes[int(0.81 * sizes.size)]
    a_group(grid).plot(output_file=tmp_path / "map.png", threshold=0.5)
    assert (tmp_path / "map.png").stat().st_size > 1000
    assert seen[-1][1]["bg_img"] is None
    assert seen[-1][1]["threshold"] == 0.5
    with pytest.warns(UserWarning, match="Given img is empty"):
        replace(a_map(grid), values=np.zeros_like(VALUES)).plot(scan).close()
    with pytest.raises(InputError, match="Each volume must be a voxplain Volume"):
        a_map(grid).plot(VALUES)  # type: ignore[arg-type]
    plt.close("all")


@pytest.mark.parametrize("links", [True, False])
def test_who_comes_first_writes_a_file_that_is_written_once(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", unknown)
    path = tmp_path / "plan.json"
    with replacing(path, once=True) as late:
        late.write(b"late")
        with replacing(path, once=True) as early:
            early.write(b"early")
    assert path.read_bytes() == b"early"
    assert [one.name for one in tmp_path.iterdir()] == ["plan.json"]
    with replacing(path) as file:
        file.write(b"anew")
    assert path.read_bytes() == b"anew"


def test_what_is_private_is_never_readable_to_others(tmp_path: Path) -> None:
    study = Study(tmp_path / "study", "test", "0")
    modes = []
    with replacing(tmp_path / "key", private=True) as file:
        file.write(b"secret")
        modes += [one.stat().st_mode & 0o077 for one in tmp_path.glob(".*.partial")]
    modes.append((tmp_path / "key").stat().st_mode & 0o077)
    modes.append(study.write_private("key.tsv", "secret").stat().st_mode & 0o077)
    assert modes == [0, 0, 0]
    assert study.write_text("open.tsv", "known").stat().st_mode & 0o044 == 0o044
