"""``voxplain phantom STUDY --spike``: a known effect in a study's own scans."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from voxplain.cli import app
from voxplain.cohort import (
    load_atlas,
    mni152_brain_mask,
    mni152_template,
    open_store,
    read_volume,
)
from voxplain.cohort.find.brains import find_brains, read_brain
from voxplain.cohort.prepare.alignment import laid_over_mni
from voxplain.grid import Grid
from voxplain.pipeline.truth import OwnTruths, read_truth
from voxplain.volume import resample

Run = Callable[..., tuple[int, str, str]]


pytestmark = pytest.mark.xdist_group("phantom command")


@pytest.fixture(scope="module")
def phantom_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantom") / "own"
    asked = ["phantom", "--out", str(out), "--subjects", "12", "--voxel-size", "8"]
    app(asked, standalone_mode=False)
    return out


@pytest.fixture
def study(phantom_study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(phantom_study, tmp_path / "own"))


@pytest.mark.parametrize("kind", ["intensity", "volume"])
def test_scans_change_where_it_is_said_and_the_study_stays(
    run: Run, study: Path, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "spiked"
    asked = ("phantom", study, "--spike", "Precuneus_L,Precuneus_R", "--dprime", 4, "--kind", kind)
    code, shown, error = run(*asked, "--out", out)
    assert code == 0, error
    own, made = open_store(study / "cohort"), open_store(out / "cohort")
    bare = open_store(out / "phantom/without_effect")
    told = json.loads((out / "summary.json").read_text())["spike"]
    truth, change = (
        read_volume(out / f"phantom/template_desc-effect_{name}.nii.gz").values
        for name in ("mask", "statmap")
    )
    assert made.participants["own_label"].tolist() == own.participants["label"].tolist()
    assert sorted(made.participants["label"].value_counts()) == [6, 6]
    cases = made.labels == 1
    changes = np.stack([made.load(i) - bare.load(i) for i in range(12)])
    assert not changes[~cases].any()
    assert np.allclose(changes[cases].mean(axis=0), change, atol=1e-6)
    inside = np.abs(change)[truth > 0.5].mean()
    far = np.abs(change)[truth < 0.5].mean()
    assert inside > (20 if kind == "intensity" else 4) * far
    amounts = made.participants["effect_amount"] - made.participants["effect_strength"]
    assert amounts.nunique() == 12
    assert told["strength"] == pytest.approx(4 * 0.13)
    assert set(made.participants["effect_strength"]) == {0.0, told["strength"]}
    assert told["voxels"] == int((truth > 0.5).sum()) > 0
    assert "d' 4.00" in shown
    again = pd.read_csv(study / "participants.tsv", sep="\t")
    assert "own_label" not in again


def test_the_effect_follows_the_study_s_own_accuracy(run: Run, study: Path, tmp_path: Path) -> None:
    asked = ("phantom", study, "--spike", "random", "--out", tmp_path / "spiked")
    code, _, error = run(*asked)
    assert code == 2
    assert "run 'voxplain fit' first, or give --dprime" in error
    path = study / "summary.json"
    models = {"tiny": {"accuracy": {"mean": 0.8413447}}, "voxels": {"accuracy": {"mean": 0.99}}}
    fit = {"networks": ["tiny"], "models": models}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fit": fit}))
    code, shown, error = run(*asked)
    assert code == 0, error
    assert "d' 2.00, the best observer is right 84.1 % of the time" in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--spike", "Nowhere_L"), "region of AAL"),
        (("--spike", "ball:1,2"), "ball:x,y,z,radius in mm"),
        (("--spike", "ball:500,0,0,5"), "fills no voxel"),
        (("--spike", "like:nowhere.nii.gz"), "There is no map at nowhere.nii.gz"),
        (("--spike", "random", "--base", "x"), "--base is for phantoms"),
        (("--spike", "random", "--kind", "colour"), "kind must be intensity or volume"),
        ((), "planted with both"),
    ],
)
def test_bad_input_is_one_sentence(
    run: Run, study: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    code, _, error = run("phantom", study, "--dprime", 2, "--out", tmp_path / "x", *options)
    assert code == 2
    assert said in error
    assert error.count("\n") == 1


def test_a_ball_is_as_large_as_the_largest_cluster(run: Run, study: Path, tmp_path: Path) -> None:
    grid = Grid((30, 30, 30), np.diag([3.0, 2.0, 4.0, 1.0]))
    found = np.zeros(grid.shape, np.float32)
    found[3:13, 3:18, 3:13] = -2.5
    found[20:24, 20:24, 20:24] = 9.0
    nib.save(nib.Nifti1Image(found, grid.affine), tmp_path / "map.nii.gz")
    for seed in (0, 1):
        asked = ("--spike", f"like:{tmp_path / 'map.nii.gz'}", "--dprime", 2, "--seed", seed)
        code, _, error = run("phantom", study, *asked, "--out", tmp_path / f"s{seed}")
        assert code == 0, error
    read = [
        json.loads((tmp_path / f"s{seed}/summary.json").read_text())["spike"]["regions"][0]
        for seed in (0, 1)
    ]
    assert read[0] != read[1]
    assert all(float(ball.split(",")[3]) == pytest.approx(20.5, abs=0.1) for ball in read)
    assert 4 / 3 * np.pi * 20.5**3 == pytest.approx(1500 * 24, rel=0.01)
    truth = read_volume(tmp_path / "s0/phantom/template_desc-effect_mask.nii.gz")
    assert (truth.values > 0.5).sum() * truth.grid.voxel_volume == pytest.approx(36000, rel=0.2)
    found[:, :, 1:] = 1
    twice = grid.affine * [2, 2, 2, 1]
    nib.save(nib.Nifti1Image(found, twice), tmp_path / "map.nii.gz")
    code, _, error = run(
        *("phantom", study, "--spike", f"like:{tmp_path / 'map.nii.gz'}", "--dprime", 2),
        *("--out", tmp_path / "x"),
    )
    assert code == 2
    assert "5011.2 mL, for which no ball inside the brain is found" in error


def test_three_truths_of_each_subject_are_kept(run: Run, study: Path) -> None:
    cohort, truth = open_store(study / "cohort"), read_truth(study)
    assert truth is not None
    assert truth.change is not None
    own = OwnTruths(study, cohort, truth)
    known = [one for i in range(12) if (one := own.of(i, cohort.load(i)))]
    assert known[0].change is None
    changes = [one.change for one in known[1::2] if one.change is not None]
    assert len(changes) == 6
    np.testing.assert_allclose(np.mean(changes, axis=0), truth.change, atol=1e-3)
    for one, change in zip(known[1::2], changes, strict=True):
        assert np.abs(change[one.support]).mean() > 10 * np.abs(change[~one.support]).mean()
    assert any((one.support != known[0].support).any() for one in known)


def test_truths_of_a_spike_in(run: Run, study: Path, tmp_path: Path) -> None:
    out = tmp_path / "spiked"
    run("phantom", study, "--spike", "random", "--dprime", 4, "--out", out)
    cohort, truth = open_store(out / "cohort"), read_truth(out)
    assert truth is not None
    bare = open_store(out / "phantom/without_effect")
    own = OwnTruths(out, cohort, truth)
    for i in range(12):
        image = cohort.load(i)
        known = own.of(i, image)
        assert known is not None
        np.testing.assert_array_equal(known.support, truth.support)
        np.testing.assert_array_equal(known.change, image - bare.load(i))
        np.testing.assert_array_equal(known.brain, image != 0)


def test_a_mark_is_looked_for_outside_the_brain(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "s"
    run("phantom", "--scenario", "shortcut", "--out", out, "--subjects", 4, "--voxel-size", 8)
    truth = read_truth(out)
    assert truth is not None
    assert (truth.known.brain == (truth.brain | truth.support)).all()
    assert (truth.known.support & truth.known.brain).any()


@pytest.fixture
def ixi(shared_dir: Path) -> Path:
    folder = shared_dir / "data/ixi30"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


def test_phantoms_of_real_brains(run: Run, ixi: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for who in sorted(ixi.glob("sub-*"))[:3]:
        (few / who.name).symlink_to(who)
    out = tmp_path / "p"
    small = ("--subjects", 6, "--voxel-size", 5)
    code, _, error = run("phantom", "--base", few, "--out", out, *small)
    assert code == 0, error
    cohort = open_store(out / "cohort")
    assert "made of" in json.loads((out / "summary.json").read_text())["phantom"]["recipe"]
    brains = [cohort.load(i) > 0 for i in range(6)]
    mni = mni152_brain_mask(cohort.grid)
    for one in brains:
        assert 2 * (one & mni).sum() / (one.sum() + mni.sum()) > 0.8
    truth = read_truth(out)
    assert truth is not None
    assert truth.change is not None
    own = OwnTruths(out, cohort, truth).of(1, cohort.load(1))
    assert own is not None
    assert own.change is not None
    assert np.abs(own.change)[own.support].mean() > 20 * np.abs(own.change)[~own.support].mean()
    code, _, error = run("phantom", "--base", tmp_path / "none", "--out", tmp_path / "q", *small)
    assert code == 2
    assert "There is no brain at" in error


def test_hippocampi_of_real_brains_lie_where_the_atlas_has_them(ixi: Path) -> None:
    """By the segmentation that was made of each scan, which the alignment has not seen."""
    mni = mni152_template(2)
    atlas = load_atlas("AAL").on(mni.grid).mask(["Hippocampus_L", "Hippocampus_R"])
    for scan, mask in find_brains(ixi)[1:4]:
        brain = read_brain(scan, mask)
        laid = laid_over_mni(brain)
        labels = read_volume(scan.parent / scan.name.replace("preproc_T1w", "dlmuse_dseg"))
        moved = laid.grid.affine @ np.linalg.inv(brain.grid.affine) @ labels.grid.affine
        own = np.isin(labels.values, (47, 48)).astype(np.float32)
        there = resample(own, Grid(labels.grid.shape, moved), mni.grid) > 0.5
        assert 2 * (there & atlas).sum() / (there.sum() + atlas.sum()) > 0.35
        centres = [mni.grid.to_world(np.argwhere(x).mean(axis=0)) for x in (there, atlas)]
        assert np.linalg.norm(centres[0] - centres[1]) < 6


def test_the_study_itself_is_not_written_to(run: Run, study: Path) -> None:
    code, _, error = run("phantom", study, "--spike", "random", "--dprime", 2, "--out", study)
    assert code == 2
    assert "another folder" in error


@pytest.mark.parametrize(
    ("name", "masks"),
    [
        ("interaction", {"effect", "brain"}),
        ("suppressor", {"effect", "brain", "suppressor"}),
        ("shortcut", {"effect", "brain"}),
        ("head-size", set()),
        ("null", set()),
    ],
)
def test_scenarios_by_name(run: Run, tmp_path: Path, name: str, masks: set[str]) -> None:
    out = tmp_path / "s"
    small = ("--subjects", 4, "--voxel-size", 8)
    code, _, error = run("phantom", "--scenario", name, "--dprime", 2, "--out", out, *small)
    assert code == 0, error
    found = {path.name.split("-")[1].split("_")[0] for path in out.glob("phantom/*_mask.nii.gz")}
    assert found == masks
    told = json.loads((out / "summary.json").read_text())["phantom"]
    accuracy = 0.5 if name == "null" else 0.8413447
    assert told["bayes_accuracy"] == pytest.approx(accuracy)


def test_the_preset_has_its_own_difficulty(run: Run, tmp_path: Path) -> None:
    asked = ("phantom", "--scenario", "sex-like", "--subjects", 4, "--voxel-size", 8, "--out")
    code, _, error = run(*asked, tmp_path / "s", "--dprime", 2)
    assert code == 2
    assert "leave dprime out" in error
    code, _, error = run(*asked, tmp_path / "s")
    assert code == 0, error
    told = json.loads((tmp_path / "s/summary.json").read_text())["phantom"]
    assert told["bayes_accuracy"] == pytest.approx(0.831, abs=1e-3)
    truth = read_truth(tmp_path / "s")
    assert truth is not None
    assert truth.change is not None
    assert np.abs(truth.change)[truth.support].mean() > np.abs(truth.change)[truth.brain].mean()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--scenario", "xor"), "scenario"),
        (("--dprime", 2), "--scenario or --spike"),
        (("--scenario", "additive", "--strength", 0.3), "--dprime in place of --strength"),
    ],
)
def test_bad_scenarios_are_one_sentence(
    run: Run, tmp_path: Path, options: tuple[object, ...], said: str
) -> None:
    code, _, error = run("phantom", "--out", tmp_path / "s", "--subjects", 4, *options)
    assert code == 2
    assert said in error
