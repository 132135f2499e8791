"""``voxplain explain STUDY --atlas``: tables of regions beside the mean maps."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from test_fit_command import QUICK, TINY, make_study

from voxplain.cohort.store.reader import open_store

NET = ("--network", TINY, "--device", "cpu", "--method", "gradient", "--target", "1")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(Path(__file__).parent)
    return make_study(tmp_path / "study")


def halves(study: Path, shift: float = 0.0) -> str:
    """An atlas of two halves of the cohort's whole box, with its list of names."""
    grid = open_store(study / "cohort").grid
    labels = np.ones(grid.shape, dtype=np.int16)
    labels[grid.shape[0] // 2 :] = 2
    affine = grid.affine.copy()
    affine[0, 3] += shift
    nib.save(nib.Nifti1Image(labels, affine), study.parent / "halves.nii.gz")
    (study.parent / "names.tsv").write_text("index\tname\n1\tFirst\n2\tSecond\n")
    return f"{study.parent / 'halves.nii.gz'},{study.parent / 'names.tsv'}"


@pytest.mark.filterwarnings("ignore")
def test_tables_of_all_scans_and_of_each_class(run, study: Path) -> None:
    atlas = halves(study)
    code, _, error = run("explain", study, *NET, "--atlas", "Brodman")
    assert code == 2
    assert "Unknown atlas 'Brodman'" in error
    run("fit", study, "--network", TINY, *QUICK, "--no-baselines")
    code, shown, error = run("explain", study, *NET, "--atlas", atlas, "--latex")
    assert (code, error) == (0, "")
    (path,) = (study / "group").glob("*_atlas-Halves_regions.tsv")
    assert str(path) in shown
    table = pd.read_csv(path, sep="\t")
    cohort = open_store(study / "cohort")
    assert table["class"].unique().tolist() == ["all", *sorted(cohort.class_names)]
    (mean,) = (study / "group").glob("*stat-mean_statmap.nii.gz")
    values = nib.load(mean).get_fdata()
    brain = np.mean([cohort[i].values != 0 for i in range(len(cohort))], axis=0) >= 0.5
    first = np.zeros(cohort.grid.shape, dtype=bool)
    first[: cohort.grid.shape[0] // 2] = True
    row = table.query("`class` == 'all' and region == 'First'").iloc[0]
    assert row["mean"] == pytest.approx(values[first & brain].mean(), rel=1e-4)
    assert row["voxels"] == (first & brain).sum()
    told = json.loads((study / "explain.json").read_text())["group"]["gradient"][0]["regions"]
    assert told[0]["atlas"] == "halves"
    assert set(told[0]["best"]["all"]) == {"First", "Second"}
    assert path.with_suffix(".tex").read_text().startswith("\\begin{tabular}")


@pytest.mark.filterwarnings("ignore")
def test_an_atlas_of_another_space_is_refused_before_a_map_is_written(run, study: Path) -> None:
    run("fit", study, "--network", TINY, *QUICK, "--no-baselines")
    code, _, error = run("explain", study, *NET, "--atlas", halves(study, 900.0))
    assert code == 2
    assert "No voxel of the brain lies in a region of halves" in error
    assert not (study / "maps").exists()
    assert not (study / "group").exists()
