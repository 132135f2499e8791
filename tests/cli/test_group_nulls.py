"""``voxplain group --null``: networks that learnt nothing, made from the study itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from test_fit_command import QUICK, TINY, make_study

from voxplain.cohort.store.reader import open_store
from voxplain.errors import InputError
from voxplain.fit import Outcome
from voxplain.group.blocks import read_blocks
from voxplain.group.design import make_design
from voxplain.group.permutation import Residuals
from voxplain.maps import AttributionMap
from voxplain.pipeline.fit.permuted import permuted_labels

Run = Callable[..., tuple[int, str, str]]
COUNT = 3
TEST = ("--model", "class", "--permutations", 49, "--atlas", "none", "--statistic")


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three networks that learnt nothing, so that tests are quick."""
    for place in ("options", "null.networks"):
        monkeypatch.setattr(f"voxplain.pipeline.group.{place}.FEWEST_NULL_STUDIES", COUNT)


@pytest.fixture
def study(run: Run, tmp_path: Path) -> Path:
    folder = make_study(tmp_path / "study", family_id=[f"f{i // 2}" for i in range(24)])
    code, _, error = run(
        "fit", folder, "--network", TINY, *QUICK, "--no-baselines", "--group", "none"
    )
    assert code == 0, error
    code, _, error = run(
        "explain", folder, "--network", TINY, "--method", "gradient", "--target", "case"
    )
    assert code == 0, error
    return folder


def _files(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in sorted(folder.rglob("*")) if p.is_file()}


def _largest(study: Path, null: Path) -> float:
    """The largest t of a null network's maps, between the true classes."""
    cohort = open_store(study / "cohort")
    brain = np.mean([one.values != 0 for one in cohort], axis=0) >= 0.5
    maps = [
        AttributionMap.load(next((null / f"maps/sub-{who}").glob("*_statmap.nii.gz")))
        for who in cohort.subjects
    ]
    assert {one.target for one in maps} == {"case"}
    values = np.stack([one.values[brain] for one in maps])
    design = make_design(cohort.participants, "class", class_names=cohort.class_names)
    return float(np.abs(Residuals.of(values, design).t).max())


def test_networks_on_permuted_labels(run: Run, study: Path) -> None:
    code, _, error = run("group", study, *TEST, "voxel", "--null", "labels")
    assert code == 2
    assert f"has 0 networks {TINY} that were trained on permuted labels" in error
    assert "--permuted-labels 3'" in error
    code, shown, error = run("fit", study, "--permuted-labels", 2)
    assert (code, error) == (0, "")
    assert "2 permutations of label (12 families of 2 scans change places whole" in shown
    assert "about " in shown
    assert f"{TINY} on 2 permutations of the labels: held-out accuracy" in shown
    real = _files(study / "model")
    first = (study / "null/labels-01").rglob("weights.safetensors")
    before = {path: path.read_bytes() for path in first}
    assert len(before) == 3
    # A call for more goes on from there; the study's own networks are not touched.
    code, _, _ = run("fit", study, "--permuted-labels", COUNT)
    assert code == 0
    assert {path: path.read_bytes() for path in before} == before
    assert _files(study / "model") == real
    cohort = open_store(study / "cohort")
    for number in range(1, COUNT + 1):
        place = study / f"null/labels-{number:02d}"
        (record,) = place.rglob("fold-01/training.json")
        told = json.loads(record.read_text())
        assert told["request"]["seed"] == json.loads(
            next((study / "model").rglob("fold-01/training.json")).read_text()
        )["request"]["seed"]  # fmt: skip
        assert told["request"]["truth"] != [
            int(cohort.labels[cohort.subjects.index(who)]) for who in told["request"]["scans"]
        ]
    code, shown, error = run("group", study, *TEST, "voxel", "--null", "labels")
    assert (code, error) == (0, "")
    assert "3 networks that learnt nothing, 24 scans each: 72 maps of Gradient are to be" in shown
    assert (
        "Asked: Do maps differ more than those of networks that were trained on permuted" in shown
    )
    (start,) = json.loads((study / "group.json").read_text())["tests"]
    p = nib.load(study / f"{start}_stat-pVoxel_statmap.nii.gz").get_fdata()
    t = nib.load(study / f"{start}_stat-t_statmap.nii.gz").get_fdata()
    largest = [_largest(study, study / f"null/labels-{i:02d}") for i in range(1, COUNT + 1)]
    wanted = (1 + (np.array(largest)[:, None] >= np.abs(t[t != 0])).sum(axis=0)) / (COUNT + 1)
    np.testing.assert_allclose(p[t != 0], wanted, atol=1e-6)
    # What was explained is not explained again, not for another statistic either.
    kept = _files(study / "null")
    code, shown, _ = run("group", study, *TEST, "tfce", "--statistic", "mass", "--null", "labels")
    assert code == 0
    assert "are to be" not in shown
    changed = {name for name, when in _files(study / "null").items() if kept.get(name) != when}
    assert {Path(name).name for name in changed} <= {"dataset_description.json", ".bidsignore"}


def test_untrained_networks(run: Run, study: Path) -> None:
    command = ("group", study, *TEST, "voxel", "--null", "untrained", "--null-networks", COUNT)
    code, shown, error = run(*command)
    assert (code, error) == (0, "")
    assert "72 maps of Gradient are to be made" in shown
    assert "Asked: Do maps differ more than those of untrained networks" in shown
    assert "3 studies whose networks learnt nothing" in shown
    largest = [_largest(study, study / f"null/untrained-{i:02d}") for i in range(1, COUNT + 1)]
    assert len(set(largest)) == COUNT
    assert not [*(study / "null").rglob("weights.safetensors")]
    # A run that was cut short goes on: a map that is missing is made again, the same.
    (lost,) = (study / "null/untrained-02/maps/sub-03").glob("*_statmap.nii.gz")
    before = AttributionMap.load(lost).values
    lost.unlink()
    for path in (study / "group").glob("*_test.json"):
        path.unlink()
    code, shown, _ = run(*command)
    assert code == 0
    np.testing.assert_allclose(AttributionMap.load(lost).values, before, rtol=1e-5, atol=1e-8)


def test_what_cannot_be_permuted(run: Run, tmp_path: Path) -> None:
    folder = make_study(tmp_path / "study")
    code, _, error = run("fit", folder, "--permuted-labels", 19)
    assert code == 2
    assert "has no trained network; run 'voxplain fit" in error
    code, _, error = run("fit", folder, "--permuted-labels", 19, "--epochs", 3, "--cv", 4)
    assert "from the fit that is there; leave --epochs, --cv out." in error
    code, _, error = run("fit", tmp_path / "nowhere", "--permuted-labels", 19)
    assert "has no trained network" in error
    assert not (tmp_path / "nowhere").exists()
    code, _, error = run("fit", folder, "--permuted-labels", 0)
    assert "--permuted-labels must be 1 or more; 0 was given." in error
    code, _, error = run("fit", folder, "--blocks", "site")
    assert "--blocks goes with --permuted-labels" in error
    assert not (folder / "null").exists()


def test_labels_of_families_stay_together() -> None:
    labels = np.repeat([0, 1, 0, 1, 1, 0, 0, 1], [2, 2, 3, 3, 2, 2, 1, 1])
    family = np.repeat(np.arange(8), [2, 2, 3, 3, 2, 2, 1, 1])
    order = np.random.default_rng(0).permutation(len(labels))
    labels, family = labels[order], family[order]
    table = pd.DataFrame({"participant_id": range(16), "family_id": [f"f{f}" for f in family]})
    outcome = Outcome("label", labels, ("a", "b"))
    drawn = permuted_labels(outcome, read_blocks(table)[0], 9, seed=0)
    assert len({values.tobytes() for values in drawn} | {labels.tobytes()}) == 10
    sizes = np.bincount(family)
    for values in drawn:
        for number in range(8):
            assert len(set(values[family == number])) == 1
        for size in (1, 2, 3):
            own = np.isin(family, np.flatnonzero(sizes == size))
            assert values[own].sum() == labels[own].sum()
    again = permuted_labels(outcome, read_blocks(table)[0], 4, seed=0)
    assert all((a == b).all() for a, b in zip(again, drawn, strict=False))
    # 6 ways of the four pairs, 2 of the triples, 2 of the singles.
    with pytest.raises(InputError, match="permit 23 other ways to deal out label, and 24 are"):
        permuted_labels(outcome, read_blocks(table)[0], 24, seed=0)
