"""``voxplain phantom STUDY --spike``: a known effect in a study's own scans."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from voxplain.cohort import open_store, read_volume

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def study(run: Run, tmp_path: Path) -> Path:
    out = tmp_path / "own"
    code, _, error = run("phantom", "--out", out, "--subjects", 12, "--voxel-size", 8)
    assert code == 0, error
    return out


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
