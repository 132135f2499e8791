"""The study folder: whole files or none, and nothing made twice."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from voxplain.errors import StudyError
from voxplain.grid import Grid
from voxplain.images.writing import nifti_bytes
from voxplain.maps import AttributionMap, GroupMap
from voxplain.provenance import Provenance
from voxplain.study import Study, StudyReader

REQUEST = {"method": "grad-cam", "options": {"relu": True}, "seed": 0, "shape": (1, 2)}


def make_map(grid: Grid, value: float = 1.0) -> AttributionMap:
    values = np.random.default_rng(0).normal(size=grid.shape).astype(np.float32) * value
    provenance = Provenance(
        "grad-cam", {"relu": True}, "logit of class 1", "features.relu3", "MRINet", "ab" * 32,
        "float32", "cpu", 0, grid.to_dict(), {"voxplain": "0"}, ("a note",),
    )  # fmt: skip
    return AttributionMap(values, grid, "0001", "grad-cam", "case", "logit", "+", provenance)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path / "out", "a test", "0.1")


def test_map_on_disk_is_the_map(study: Study, awkward_grid: Grid) -> None:
    made = make_map(awkward_grid)
    path = study.write_map(made, "Grad-CAM", REQUEST, 1.5)
    assert str(path.relative_to(study.folder)) == (
        "maps/sub-0001/sub-0001_desc-GradCAMCase_statmap.nii.gz"
    )
    image = nib.load(path)
    np.testing.assert_array_equal(np.asarray(image.dataobj), made.values)
    np.testing.assert_allclose(image.affine, awkward_grid.affine, atol=1e-5)
    assert image.get_data_dtype() == np.float32
    sidecar = json.loads(Path(str(path).replace(".nii.gz", ".json")).read_text())
    assert sidecar["Provenance"]["layer"] == "features.relu3"
    assert sidecar["Units"] == "logit"


def test_a_map_is_found_again_only_for_the_same_request(study: Study, awkward_grid: Grid) -> None:
    made = make_map(awkward_grid)
    path = study.write_map(made, "Grad-CAM", REQUEST, 1.5)
    found, seconds, place = study.find_map("0001", "grad-cam", REQUEST)
    np.testing.assert_array_equal(found.values, made.values)
    assert found.grid.same_as(made.grid)
    assert found.provenance == made.provenance
    assert (seconds, place) == (1.5, path)
    assert study.find_map("0001", "grad-cam", REQUEST | {"seed": 1}) is None
    assert study.find_map("0002", "grad-cam", REQUEST) is None
    path.write_bytes(path.read_bytes()[:100])
    assert study.find_map("0001", "grad-cam", REQUEST) is None


def test_a_spread_lies_beside_its_map(study: Study, awkward_grid: Grid) -> None:
    made = make_map(awkward_grid)
    both = replace(made, spread=np.abs(made.values) / 3)
    path = study.write_map(both, "Grad-CAM", REQUEST, 1.5)
    beside = path.with_name("sub-0001_desc-GradCAMCaseSpread_statmap.nii.gz")
    np.testing.assert_array_equal(np.asarray(nib.load(beside).dataobj), both.spread)
    found, *_ = study.find_map("0001", "grad-cam", REQUEST)
    np.testing.assert_array_equal(found.spread, both.spread)
    np.testing.assert_array_equal(found.values, made.values)
    beside.unlink()
    assert study.find_map("0001", "grad-cam", REQUEST) is None


def test_labels_that_differ_by_signs_are_different_files(study: Study, awkward_grid: Grid) -> None:
    plain = study.write_map(make_map(awkward_grid), "Grad-CAM", REQUEST, 1.5)
    other = make_map(awkward_grid, 2.0)
    record = replace(other.provenance, method="grad-cam++")
    other = replace(other, method="grad-cam++", provenance=record)
    plus = study.write_map(other, "Grad-CAM++", REQUEST, 1.5)
    assert plus.name == "sub-0001_desc-GradCAMPlusPlusCase_statmap.nii.gz"
    assert plain.exists()
    found, *_ = study.find_map("0001", "grad-cam++", REQUEST)
    np.testing.assert_array_equal(found.values, make_map(awkward_grid, 2.0).values)


def test_same_values_same_bytes(awkward_grid: Grid) -> None:
    values = make_map(awkward_grid).values
    assert nifti_bytes(values, awkward_grid) == nifti_bytes(values.copy(), awkward_grid)


def test_masks_and_group_maps(study: Study, awkward_grid: Grid) -> None:
    mask = make_map(awkward_grid).values > 0
    image = nib.load(study.write_volume("truth_mask", mask, awkward_grid))
    assert image.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(image.dataobj), mask)
    group = GroupMap(mask.astype(np.float32), awkward_grid, "gradient", "case", "mean", 7)
    assert study.write_group_map(group, "Gradient").name == (
        "desc-GradientCase_stat-mean_statmap.nii.gz"
    )


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("precious")
    with pytest.raises(StudyError, match="holds files that voxplain did not write"):
        Study(tmp_path, "a test", "0.1")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.docx"]
    (tmp_path / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "fMRIPrep"}]}')
    with pytest.raises(StudyError, match="holds files that voxplain did not write"):
        Study(tmp_path, "a test", "0.1")
    with pytest.raises(StudyError, match="is a file; give a folder"):
        Study(tmp_path / "thesis.docx", "a test", "0.1")


def test_our_own_folder_is_opened_again(study: Study) -> None:
    study.write_text("keep.txt", "kept")
    Study(study.folder, "a test", "0.2")
    assert (study.folder / "keep.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("number", "message"),
    [
        *((errno.ENOSPC, "the disk is full"), (errno.EACCES, "may not write")),
        *((errno.EROFS, "read-on"), (errno.EDQUOT, "your quota is used up")),
        *((errno.EIO, "the disk does not answer"), (errno.ESTALE, "file system has lost it")),
    ],
)
def test_a_failed_write_keeps_what_was_there(
    study: Study, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    study.write_text("figures.txt", "old")

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StudyError, match=message):
        study.write_text("figures.txt", "new")
    monkeypatch.undo()
    assert (study.folder / "figures.txt").read_text() == "old"
    assert not list(study.folder.rglob("*.partial"))


def test_half_files_go_whose_writers_are_gone(study: Study) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = re.sub("[^A-Za-z0-9-]", "-", socket.gethostname())
    (study.folder / "maps/sub-01").mkdir(parents=True)
    names = {
        f"maps/sub-01/.{here}.{gone.pid}.ab12.partial": False,
        f".{here}.{os.getpid()}.ab12.partial": True,
        ".elsewhere-7.12.ab12.partial": True,
        "maps/.elsewhere-8.12.ab12.partial": False,
        ".of-an-earlier-version.partial": True,
    }
    for name in names:
        study.write_text(name, "half")
    os.utime(study.folder / "maps/.elsewhere-8.12.ab12.partial", (0, 0))
    study.sweep()
    assert {name: (study.folder / name).exists() for name in names} == names


def test_an_interrupt_leaves_no_half_file(
    study: Study, monkeypatch: pytest.MonkeyPatch, awkward_grids: dict[str, Grid]
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        study.write_map(make_map(awkward_grids["RAS"]), "Grad-CAM", REQUEST, 1.0)
    assert not [p for p in study.folder.rglob("*") if "sub-" in p.name and p.is_file()]


def test_json_holds_plain_values_and_finds_its_request(study: Study) -> None:
    content = {
        "request": REQUEST,
        "nan": np.nan,
        "n": np.int64(3),
        "a": np.arange(2),
        "p": Path("x"),
    }
    study.write_json("a.json", content)
    found = study.find_json("a.json", REQUEST)
    assert found == {
        "request": REQUEST | {"shape": [1, 2]},
        "nan": None,
        "n": 3,
        "a": [0, 1],
        "p": "x",
    }
    assert study.find_json("a.json", {"method": "other"}) is None
    assert study.find_json("missing.json", REQUEST) is None
    study.write_text("broken.json", "{")
    assert study.find_json("broken.json", REQUEST) is None


def test_a_folder_is_kept_for_one_request(study: Study) -> None:
    study.claim("demo.json", REQUEST)
    study.claim("demo.json", REQUEST)
    with pytest.raises(StudyError, match=r"made with other options \(see its demo.json\)"):
        study.claim("demo.json", REQUEST | {"seed": 1})
    assert study.find_json("demo.json", REQUEST) is not None


def labelled(grid: Grid, subject: str = "0001", target: str = "case", value: float = 1.0):
    return replace(make_map(grid, value), subject=subject, target=target)


def test_nothing_is_written_over_what_is_only_spelled_alike(
    study: Study, awkward_grids: dict[str, Grid]
) -> None:
    grid = awkward_grids["RAS"]
    asked = [
        (subject, target, network)
        for subject in ("a_b", "ab", "a-b")
        for target in ("case", "Case", "c ase", "c.ase")
        for network in ("one", "two")
    ]
    paths = {}
    for n, (subject, target, network) in enumerate(asked):
        made = labelled(grid, subject, target, n + 1.0)
        request = REQUEST | {"network": network}
        paths[subject, target, network] = study.write_map(made, "Grad-CAM", request, 1.0, network)
    assert len(set(paths.values())) == len(asked)
    for n, (subject, target, network) in enumerate(asked):
        request = REQUEST | {"network": network}
        made = labelled(grid, subject, target, n + 1.0)
        place = study.map_place(made, "Grad-CAM", network)
        assert f"{study.folder / place}_statmap.nii.gz" == str(paths[subject, target, network])
        values = np.asarray(nib.load(paths[subject, target, network]).dataobj)
        np.testing.assert_array_equal(values, made.values)
        assert study.find_map(subject, "grad-cam", request, network) is not None
    assert study.find_map("a.b", "grad-cam", REQUEST | {"network": "one"}, "one") is None
    first = paths["a_b", "case", "one"].relative_to(study.folder)
    assert str(first) == "maps/sub-ab/sub-ab_desc-GradCAMCase_statmap.nii.gz"


def test_group_maps_of_other_networks_and_rules_lie_side_by_side(
    study: Study, awkward_grids: dict[str, Grid]
) -> None:
    grid = awkward_grids["RAS"]
    values = make_map(grid).values
    names = []
    for network in ("mrinet", "sfcn"):
        for rule in ("predicted", "own", "case"):
            for target in ("case", "Case"):
                group = GroupMap(values, grid, "gradient", target, "mean", 7)
                path = study.write_group_map(group, "Gradient", network, rule)
                assert study.write_group_map(group, "Gradient", network, rule) == path
                names.append(path.name)
    assert len(set(names)) == 12
    assert names[0] == "desc-GradientCase_stat-mean_statmap.nii.gz"
    assert names[2] == "model-Mrinet_target-Own_desc-GradientCase_stat-mean_statmap.nii.gz"


def test_what_was_made_otherwise_is_named(study: Study, awkward_grid: Grid) -> None:
    made = make_map(awkward_grid)
    noise = [[[1.0, -3.0], [200.0, 5.0]]]
    first = REQUEST | {"logits_on_noise": noise, "weights_sha256": "a"}
    assert study.made_otherwise(made, "Grad-CAM", first) == []
    study.write_map(made, "Grad-CAM", first, 1.0)
    rounded = first | {"logits_on_noise": [[[1.00001, -3.00001], [200.001, 5.0]]]}
    assert study.made_otherwise(made, "Grad-CAM", rounded) == []
    assert study.find_map("0001", "grad-cam", rounded) is not None
    other = first | {"logits_on_noise": [[[1.1, -3.0], [200.0, 5.0]]]}
    assert study.made_otherwise(made, "Grad-CAM", other) == ["network's code"]
    assert study.find_map("0001", "grad-cam", other) is None
    other |= {"weights_sha256": "b", "seed": 1}
    assert study.made_otherwise(made, "Grad-CAM", other) == ["seed", "weights"]


def test_a_reader_finds_what_is_there_and_changes_nothing(tmp_path: Path) -> None:
    reader = StudyReader(tmp_path / "none")
    assert reader.read_bytes("a.bin") is None
    assert reader.read_text("a.tsv") is None
    assert reader.find_file("a.bin") is None
    assert not (tmp_path / "none").exists()
    study = Study(tmp_path / "study", "a study", "1")
    study.write_bytes("model/a.bin", b"\x00\x01")
    study.write_text("model/a.tsv", "β\n")
    reader = StudyReader(tmp_path / "study")
    assert reader.read_bytes("model/a.bin") == b"\x00\x01"
    assert reader.read_text("model/a.tsv") == "β\n"
    assert reader.find_file("model/a.bin") == tmp_path / "study/model/a.bin"
    assert reader.find_file("model") is None
    study.remove("model/a.bin")
    study.remove("model/a.bin")
    assert reader.find_file("model/a.bin") is None


def test_what_is_too_large_for_memory_lies_on_disk_without_a_name(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(study.folder.iterdir())
    made = study.scratch((3, 5))
    np.testing.assert_array_equal(made, np.zeros((3, 5), np.float32))
    made[1] = np.arange(5)
    np.testing.assert_array_equal(made[:, 4], [0, 4, 0])
    assert sorted(study.folder.iterdir()) == before

    def full(handle: int, start: int, count: int) -> None:
        assert count == 60
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StudyError, match=r"intermediate results cannot be written: the disk is"):
        study.scratch((3, 5))
