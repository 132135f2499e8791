"""``voxplain cohort``: from files as they are kept to a study, and mistakes in one sentence."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from voxplain.cohort.store.reader import open_store

AFFINE = np.array([[-4.0, 0, 0, 90], [0, 4, 0, -126], [0, 0, 4, -72], [0, 0, 0, 1]])
SHAPE = (46, 55, 46)

Run = Callable[..., tuple[int, str, str]]


def brain(path: Path, size: float, seed: int) -> Path:
    """An ellipsoid with texture in ACPC position, as of a skull-stripped scan."""
    at = np.moveaxis(np.indices(SHAPE), 0, -1) @ AFFINE[:3, :3].T + AFFINE[:3, 3] - [0, -18, 9]
    inside = np.linalg.norm(at / (size * np.array([62, 80, 62])), axis=-1) < 1
    texture = np.random.default_rng(seed).integers(50, 150, SHAPE)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image((inside * texture).astype(np.int16), AFFINE), path)
    return path


@pytest.fixture
def hcp(tmp_path: Path) -> Path:
    """Extracted folders of twelve subjects; the men's brains are larger."""
    rows = ["Subject,Gender,Age,Family_ID"]
    for i in range(12):
        who = 100206 + i
        size = 0.96 + 0.08 * (i % 2) + 0.004 * i
        brain(tmp_path / f"hcp/{who}/T1w/T1w_acpc_dc_restore_brain.nii.gz", size, i)
        rows.append(f"{who},{'FM'[i % 2]},26-30,F{i // 2}")
    (tmp_path / "table.csv").write_text("\n".join(rows))
    return tmp_path / "hcp"


def as_packages(hcp: Path, folder: Path) -> Path:
    """The same scans as two packages on their own and one archive with all other packages."""
    folder.mkdir()
    paths = []
    for subject in sorted(hcp.iterdir()):
        paths.append(folder / f"{subject.name}_3T_Structural_preproc.zip")
        with zipfile.ZipFile(paths[-1], "w", zipfile.ZIP_DEFLATED) as package:
            for file in sorted(subject.rglob("*.nii.gz")):
                package.write(file, file.relative_to(hcp))
            package.writestr(f"{subject.name}/T1w/aparc+aseg.nii.gz", b"another file")
    with zipfile.ZipFile(folder / "part1.zip", "w") as outer:
        for path in paths[2:]:
            outer.write(path, f"HCP/{path.name}")
            path.unlink()
    return folder


def test_packages_and_folders_make_one_and_the_same_cohort(
    run: Run, hcp: Path, tmp_path: Path
) -> None:
    packages = as_packages(hcp, tmp_path / "zips")
    before = {path: path.read_bytes() for path in packages.iterdir()}
    table = ("--participants", tmp_path / "table.csv")
    code, shown, error = run("cohort", "hcp", hcp, "--out", tmp_path / "a", *table, "--workers", 1)
    assert (code, error) == (0, "")
    assert "12 participants: 6 female, 6 male." in shown
    assert "Labels from column 'Gender': F = female, M = male." in shown
    code, _, error = run("cohort", "hcp", packages, "--out", tmp_path / "b", *table, "--workers", 2)
    assert (code, error) == (0, "")
    for name in ("a", "b"):
        store = json.loads((tmp_path / name / "cohort/store.json").read_text())
        # Each says from which files it was read.
        folder = {"a": "hcp", "b": "zips"}[name]
        assert all(f"/{folder}/" in one.pop("image") for one in store["origins"])
        assert all(bool(one.pop("members")) == (name == "b") for one in store["origins"])
        (tmp_path / f"{name}.json").write_text(json.dumps(store))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    for name in ("cohort/images.npy", "participants.tsv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert {path: path.read_bytes() for path in packages.iterdir()} == before
    cohort = open_store(tmp_path / "a/cohort")
    assert list(cohort.participants["family"]) == [f"F{i // 2}" for i in range(12)]


def test_head_size_is_measured_and_matched_away(run: Run, hcp: Path, tmp_path: Path) -> None:
    table = ("--participants", tmp_path / "table.csv", "--workers", 1)
    _, shown, _ = run("cohort", "hcp", hcp, "--out", tmp_path / "a", *table)
    assert re.search(r"brain_ml\s+│\s+1\.000", shown)
    assert "Brain size alone tells the classes apart with an AUC of 1.00" in shown
    result = json.loads((tmp_path / "a/cohort.json").read_text())
    table_of_a = (tmp_path / "a/participants.tsv").read_text().splitlines()
    first = float(table_of_a[1].split("\t")[-1])
    expected = 4 / 3 * np.pi * 0.96**3 * 62 * 80 * 62 / 1000
    assert first == pytest.approx(expected, rel=0.01)
    assert result["balance"][0]["name"] == "brain_ml"
    code, _, error = run("cohort", "hcp", hcp, "--out", tmp_path / "b", *table, "--match", "size")
    assert code == 2
    assert "No two brains of different classes are within 25 mL" in error


def test_kept_and_checked(run: Run, hcp: Path, tmp_path: Path) -> None:
    command = ("hcp", hcp, "--out", tmp_path / "a", "--participants", tmp_path / "table.csv")
    run("cohort", *command, "--workers", 1)
    code, shown, _ = run("cohort", *command, "--workers", 1)
    assert code == 0
    assert "12 scans are kept, they were done before." in shown
    code, shown, _ = run("cohort", "check", tmp_path / "a")
    assert code == 0
    assert "12 volumes of 58×70×58 voxels" in shown
    images = tmp_path / "a/cohort/images.npy"
    content = bytearray(images.read_bytes())
    content[-1] ^= 1
    images.write_bytes(content)
    code, _, error = run("cohort", "check", tmp_path / "a")
    assert code == 2
    assert "the volumes of 100217 have changed" in error
    code, _, error = run("cohort", *command, "--intensity", "zscore")
    assert code == 2
    assert "made by another recipe" in error


def test_one_bad_scan_does_not_stop_the_others(run: Run, hcp: Path, tmp_path: Path) -> None:
    path = next(hcp.glob("100208/T1w/*.nii.gz"))
    path.write_bytes(path.read_bytes()[:-50])
    shutil.rmtree(hcp / "100210")
    table = ("--participants", tmp_path / "table.csv", "--workers", 1)
    code, shown, _ = run("cohort", "hcp", hcp, "--out", tmp_path / "a", *table)
    assert code == 0
    assert "10 participants" in shown
    lines = (tmp_path / "a/exclusions.tsv").read_text().splitlines()
    assert lines[0] == "participant_id\tfound\treason"
    assert lines[1] == "sub-100210\tthe table\tno image was found"
    assert lines[2].startswith(f"sub-100208\t{path}\t{path} is truncated")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("table", "no.tsv"), "There is no file no.tsv"),
        (("bids", "no"), "There is no folder no"),
        (("table", "t.tsv", "--preset", "kan"), "Unknown preset 'kan'"),
        (("table", "t.tsv", "--intensity", "z"), "Unknown intensity scaling 'z'"),
        (("table", "t.tsv", "--align", "no"), "Unknown alignment 'no'"),
        (("table", "t.tsv", "--match", "age"), "--match takes only size; 'age' was given"),
        (("table", "t.tsv", "--coding", "1"), "A coding looks like"),
        (("table", "t.tsv", "--workers", "-1"), "At least one worker is needed"),
        (("table", "t.tsv", "--label", "x"), "no column 'x' for the labels"),
        (("check", "nowhere"), "There is no cohort in nowhere"),
    ],
)
def test_mistakes_are_one_sentence(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    brain(tmp_path / "a.nii", 1, 0)
    Path("t.tsv").write_text("participant_id\timage\tlabel\n1\ta.nii\tx\n2\ta.nii\ty\n")
    out = () if arguments[0] == "check" else ("--out", "study")
    code, _, error = run("cohort", *arguments, *out)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert not Path("study/cohort/store.json").exists()
