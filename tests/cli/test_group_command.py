"""``voxplain group``: from the maps of a study to p, tables and a record."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from voxplain import __version__
from voxplain.cohort.store.writer import write_store
from voxplain.grid import Grid
from voxplain.maps import AttributionMap
from voxplain.provenance import Provenance
from voxplain.study import Study
from voxplain.volume import Cohort

Run = Callable[..., tuple[int, str, str]]
# Oblique axes, in the middle of the brain.
AFFINE = np.array([[-6.0, 0, 0, 30], [0, 6, 1, -40], [0, -1, 6, -20], [0, 0, 0, 1]])
GRID = Grid((11, 12, 10), AFFINE)
NAMES = ("control", "case")
LABELS = np.arange(24) % 2
EFFECT = (slice(4, 7), slice(5, 8), slice(4, 7))
START = "group/desc-GradientCase_model-ClassPlusAge_contrast-CaseMinusControl"
QUICK = ("--permutations", 99, "--model", "class + age")


def _maps(seed: int = 0, effect: float = 2.5) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(24, *GRID.shape)).astype(np.float32)
    values[LABELS == 1, *EFFECT] += effect
    return values


def _brain() -> np.ndarray:
    brain = np.zeros(GRID.shape, dtype=bool)
    brain[1:-1, 1:-1, 1:-1] = True
    return brain


def _write(study: Study, values: np.ndarray, rows: Sequence[int], **traits: str) -> None:
    told = {"method": "gradient", "target": "case", "unit": "logit", "network": "tiny", **traits}
    network = told.pop("network")
    for row in rows:
        provenance = Provenance(
            told["method"], {}, "case", None, "N", "0", "float32", "cpu", 0, {}, {}
        )
        one = AttributionMap(
            values[row], GRID, f"{row:02d}", sign="positive: for", provenance=provenance, **told
        )
        study.write_map(
            one, told["method"].capitalize(), {"row": row, "sum": f"{values.sum()}"}, 0.1, network
        )


def _study(folder: Path, values: np.ndarray | None = None, **columns: list[object]) -> Study:
    rng = np.random.default_rng(9)
    images = (rng.uniform(1, 2, (24, *GRID.shape)) * _brain()).astype(np.float32)
    table = pd.DataFrame(
        {
            "participant_id": [f"sub-{i:02d}" for i in range(24)],
            "label": [NAMES[label] for label in LABELS],
            "age": rng.normal(50, 8, 24).round(1),
            **columns,
        }
    )
    study = Study(folder, "voxplain study", __version__)
    write_store(folder / "cohort", Cohort(table, NAMES, GRID, lambda i: images[i]), "test")
    _write(study, _maps() if values is None else values, range(24))
    return study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return _study(tmp_path / "study")


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_from_maps_to_tables(run: Run, study: Study) -> None:
    folder = study.folder
    code, shown, error = run("group", folder, *QUICK)
    assert (code, error) == (0, "")
    assert "Gradient for case, case - control: 24 scans, 720 voxels, 21 degrees" in shown
    assert "Blocks: all scans change places." in shown
    values, table = _maps(), pd.read_csv(folder / "cohort/participants.tsv", sep="\t")
    x = np.column_stack([np.ones(24), LABELS, table["age"]])
    t = nib.load(folder / f"{START}_stat-t_statmap.nii.gz")
    np.testing.assert_allclose(t.affine, AFFINE)
    inverse = np.linalg.inv(x.T @ x)
    for voxel in ((5, 6, 5), (2, 3, 4)):
        y = values[:, *voxel].astype(float)
        b = inverse @ x.T @ y
        rss = ((y - x @ b) ** 2).sum() / 21
        assert t.get_fdata()[voxel] == pytest.approx(b[1] / np.sqrt(rss * inverse[1, 1]), rel=1e-4)
    assert t.get_fdata()[0, 0, 0] == 0
    p = nib.load(folder / f"{START}_stat-pVoxel_statmap.nii.gz").get_fdata()
    assert p[0, 0, 0] == 1
    assert np.median(p[EFFECT]) == pytest.approx(0.01)
    outside = _brain()
    outside[EFFECT] = False
    assert np.median(p[outside]) > 0.5
    sidecar = json.loads((folder / f"{START}_stat-pTfce_statmap.json").read_text())
    assert sidecar["Statistic"].startswith("family-wise p by the largest Tfce")
    assert (sidecar["Model"], sidecar["NumberOfSubjects"]) == ("class + age", 24)
    clusters = pd.read_csv(folder / f"{START}_clusters.tsv", sep="\t")
    first = clusters.iloc[0]
    assert first["direction"] == "case - control > 0"
    assert 15 <= first["voxels"] <= 30
    assert first["volume_ml"] == pytest.approx(first["voxels"] * GRID.voxel_volume / 1000, rel=1e-4)
    peak = np.rint(GRID.to_voxel(np.array([first["x"], first["y"], first["z"]]))).astype(int)
    assert t.get_fdata()[tuple(peak)] == pytest.approx(first["peak_t"], rel=1e-4)
    assert first["peak_t"] == pytest.approx(t.get_fdata().max(), rel=1e-4)
    assert first[["p_voxel", "p_mass", "p_tfce"]].tolist() == [0.01, 0.01, 0.01]
    assert 0 < first["true_voxels"] <= first["voxels"]
    regions = pd.read_csv(folder / f"{START}_regions.tsv", sep="\t")
    assert regions["p_voxel"].is_monotonic_increasing
    assert regions["voxels"].sum() == 720
    assert {"outside regions", first["region"]} <= set(regions["region"])
    told = json.loads((folder / "group.json").read_text())["tests"][START]
    assert told["columns"] == ["mean", "class: case", "age"]
    assert (folder / f"{START}_design.png").read_bytes().startswith(b"\x89PNG")
    assert all((folder / name).is_file() for name in told["files"])


def test_a_rerun_keeps_what_is_there(run: Run, study: Study) -> None:
    run("group", study.folder, *QUICK, "--fast")
    before = _files(study.folder / "group")
    code, shown, _ = run("group", study.folder, *QUICK, "--fast")
    assert code == 0
    assert "Gradient: this test is there already, of the same maps" in shown
    assert _files(study.folder / "group") == before
    # Another model stands beside it; other maps make it anew.
    code, _, error = run("group", study.folder, "--permutations", 99, "--atlas", "none")
    assert (code, error) == (0, "")
    tests = json.loads((study.folder / "group.json").read_text())["tests"]
    assert len(tests) == 2
    _write(study, _maps(1), range(24))
    _, shown, _ = run("group", study.folder, *QUICK, "--fast")
    assert "already" not in shown
    (study.folder / f"{START}_stat-t_statmap.nii.gz").unlink()
    _, shown, _ = run("group", study.folder, *QUICK, "--fast")
    assert "already" not in shown


def test_columns_of_the_fit_and_blocks_of_families(run: Run, tmp_path: Path) -> None:
    families = [f"f{i // 3}" for i in range(24)]
    study = _study(tmp_path / "study", family_id=families)
    rows = "\n".join(f"sub-{i:02d}\t1\t{1 + i // 6 % 2}" for i in range(24))
    study.write_text("model/folds.tsv", f"scan\trepeat\tfold\n{rows}\n")
    lines = [
        f"sub-{i:02d}\t1\t1\t{NAMES[LABELS[i]]}\t{NAMES[i % 3 % 2]}\t{0.1 * i}\t{0.3 * (i % 5)}"
        for i in range(24)
    ]
    head = "scan\trepeat\tfold\ttruth\tpredicted\tlogit_control\tlogit_case"
    study.write_text("model/tiny/predictions.tsv", "\n".join([head, *lines]) + "\n")
    code, shown, error = run(
        "group", study.folder, "--model", "logit + correct + fold", "--permutations", 49,
        "--statistic", "size", "--atlas", "none", "--fwhm", 8,
    )  # fmt: skip
    assert (code, error) == (0, "")
    assert "Blocks: 8 families of 3 scans change places whole with others of equal shape" in shown
    (told,) = json.loads((study.folder / "group.json").read_text())["tests"].values()
    assert told["columns"] == ["mean", "logit", "correct: yes", "fold: 2"]
    assert told["effect"] == "logit"
    assert list(told["found"]) == ["size"]


def test_maps_of_networks_that_learnt_nothing(run: Run, tmp_path: Path) -> None:
    study = _study(tmp_path / "study")
    others = [_study(tmp_path / f"null{i}", _maps(100 + i, 0.0)).folder for i in range(19)]
    each = [word for other in others for word in ("--null-study", other)]
    code, shown, error = run("group", study.folder, *QUICK, "--null", "labels", *each)
    assert (code, error) == (0, "")
    assert "19 studies whose networks learnt nothing" in shown
    assert "voxel: smallest corrected p 0.05;" in shown
    p = nib.load(study.folder / f"{START}_null-labels_stat-pVoxel_statmap.nii.gz").get_fdata()
    t = nib.load(study.folder / f"{START}_null-labels_stat-t_statmap.nii.gz").get_fdata()
    brain, labels = _brain(), LABELS == 1
    age = pd.read_csv(study.folder / "cohort/participants.tsv", sep="\t")["age"].to_numpy()
    x = np.column_stack([np.ones(24), age])
    largest = []
    for i in range(19):
        y = _maps(100 + i, 0.0)[:, brain].astype(float)
        left = np.column_stack([labels, y])
        left = left - x @ np.linalg.lstsq(x, left, rcond=None)[0]
        r = stats.pearsonr(left[:, :1], left[:, 1:], axis=0).statistic
        largest.append(np.abs(r * np.sqrt(21 / (1 - r**2))).max())
    wanted = (1 + (np.array(largest)[:, None] >= np.abs(t[brain])).sum(axis=0)) / 20
    np.testing.assert_allclose(p[brain], wanted, atol=1e-6)
    code, _, error = run("group", study.folder, "--null", "labels", *each[:6])
    assert code == 2
    assert "3 of them allow no p below 0.25; give --null-study 19 times or more" in error
    each[1] = tmp_path / "nowhere"
    code, _, error = run("group", study.folder, *QUICK, "--null", "untrained", *each)
    assert "nowhere is no study" in error
    assert not (tmp_path / "nowhere").exists()
    code, _, error = run("group", study.folder, "--null", "untrained")
    assert "has no tiny for every fold of its cohort; run 'voxplain fit'" in error
    code, _, error = run("group", study.folder, *each)
    assert "--null-study goes with --null labels or --null untrained" in error


def test_scans_of_one_class_alone(run: Run, tmp_path: Path) -> None:
    study = Study(_study(tmp_path / "study").folder, "voxplain study", __version__)
    for path in study.folder.glob("maps/sub-*[02468]/*"):
        path.unlink()
    code, _, error = run("group", study.folder, "--model", "1")
    assert "none of these each scan has one" in error
    code, shown, error = run(
        "group", study.folder, "--model", "1", "--only", "class=case", "--permutations", 99
    )
    assert (code, error) == (0, "")
    assert "Gradient for case, mean: 12 scans" in shown
    start = study.folder / "group/desc-GradientCase_model-1_contrast-Mean_only-ClassEqualCase"
    t = nib.load(f"{start}_stat-t_statmap.nii.gz").get_fdata()[_brain()]
    wanted = stats.ttest_1samp(_maps()[LABELS == 1][:, _brain()].astype(float), 0).statistic
    np.testing.assert_allclose(t, wanted, rtol=1e-4, atol=1e-4)
    written = (study.folder / "group.json").stat().st_mtime_ns
    run("group", study.folder, "--only", "class=case", "--permutations", 99)
    assert [*study.folder.glob("group/*_model-*_test.json")] == [Path(f"{start}_test.json")]
    assert (study.folder / "group.json").stat().st_mtime_ns >= written
    code, _, error = run("group", study.folder, "--only", "class=other")
    assert "No scan has class 'other'; there are: case, control." in error
    code, _, error = run("group", study.folder, "--only", "case")
    assert "--only takes column=value" in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "grad-cam"), "has no maps of grad-cam; it has: gradient"),
        (("--network", "other"), "has no maps of other of its scans"),
        (("--target", "control"), "24 of 24 scans, such as '00', '01', '02' and 21 more, have no"),
        (("--model", "class + height"), "Unknown column 'height'"),
        (("--model", "class + label"), "cannot be told from that of the other columns"),
        (("--blocks", "family"), "Unknown column for blocks 'family'"),
        (("--statistic", "peak"), "Unknown statistic 'peak'"),
        (("--atlas", "Brodmann"), "Unknown atlas 'Brodmann'"),
        (("--null", "nothing"), "Unknown null 'nothing'"),
        (
            ("--null", "untrained", "--null-networks", 9),
            "9 untrained networks allow no p below 0.1",
        ),
        (("--conjunction",), "--conjunction needs maps of two methods or more; there are those of"),
        (("--fold-means",), "--fold-means needs the fold of each scan"),
        (("--transform", "a.mat"), "All maps of gradient lie on the study's grid"),
        (("--fwhm", -1), "--fwhm is a width in mm"),
        (("--permutations", 5), "5 permutations cannot give a p of .05"),
        (("--model", "1", "--contrast", "class"), "'class' is no term of the model"),
    ],
)
def test_what_cannot_be_tested(
    run: Run, study: Study, options: tuple[object, ...], message: str
) -> None:
    before = _files(study.folder)
    code, _, error = run("group", study.folder, *options)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert _files(study.folder) == before


def test_maps_that_do_not_fit_together(run: Run, tmp_path: Path) -> None:
    study = _study(tmp_path / "one")
    _write(study, _maps(), range(0, 24, 2), target="control")
    code, _, _ = run("group", study.folder, *QUICK)
    assert code == 0
    _write(study, _maps(), range(1, 24, 2), target="control")
    code, _, error = run("group", study.folder)
    assert "for case, control, and for several of these each scan has one" in error
    code, _, _ = run("group", study.folder, *QUICK, "--target", "control")
    assert code == 0
    _write(study, _maps(), [3], network="second", method="grad-cam")
    code, _, error = run("group", study.folder)
    assert "maps of several networks (second, tiny)" in error
    units = _study(tmp_path / "two")
    _write(units, _maps(), [5], unit="years")
    code, _, error = run("group", units.folder)
    assert "several units, 'logit' and 'years' (05)" in error
    absolute = _study(tmp_path / "three", np.abs(_maps()))
    before = _files(absolute.folder)
    code, _, error = run("group", absolute.folder, "--model", "1")
    assert code == 2
    assert "all of one sign" in error
    assert _files(absolute.folder) == before
    code, _, error = run("group", tmp_path / "nowhere")
    assert code == 2
    assert "does not exist" in error


def _second_axis(places: pd.DataFrame) -> np.ndarray:
    """How far a place lies beyond the first six voxels of the second axis."""
    return GRID.to_voxel(places.to_numpy())[:, 1] - 5.5


def test_regions_of_several_atlases(run: Run, study: Study) -> None:
    folder = study.folder
    labels = np.ones(GRID.shape, dtype=np.int16)
    labels[:, 6:] = 2
    nib.save(nib.Nifti1Image(labels, AFFINE), folder / "halves.nii.gz")
    (folder / "halves.tsv").write_text("index\tname\n1\tBack\n2\tFront\n")
    (folder / "other").mkdir()
    for name in ("halves.nii.gz", "halves.tsv"):
        (folder / "other" / name).write_bytes((folder / name).read_bytes())
    halves = folder / "halves.nii.gz"
    asked = ("--permutations", 49, "--statistic", "voxel", "--only", "class=case")
    asked += ("--cluster-p", 0.05)
    code, shown, error = run(
        "group", folder, *asked, "--atlas", "AAL", "--atlas", halves, "--latex"
    )
    assert (code, error) == (0, "")
    # The scans are noise: nothing of AAL fits them.
    assert "The atlas AAL does not fit these brains: " in shown
    start = folder / "group/desc-GradientCase_model-1_contrast-Mean_only-ClassEqualCase"
    clusters = pd.read_csv(f"{start}_clusters.tsv", sep="\t")
    sides = ["Back" if y < 0 else "Front" for y in _second_axis(clusters[["x", "y", "z"]])]
    assert clusters["region_halves"].tolist() == sides != []
    table = pd.read_csv(f"{start}_atlas-Halves_regions.tsv", sep="\t").set_index("region")
    values = _maps()[LABELS == 1][:, _brain()].astype(float)
    back = labels[_brain()] == 1
    mean = values.mean(axis=0)
    row = table.loc["Back"]
    assert row["mean"] == pytest.approx(mean[back].mean(), rel=1e-4)
    assert row["density"] == pytest.approx(np.abs(mean[back]).mean() / np.abs(mean).mean(), 1e-4)
    assert row["sd"] == pytest.approx(values[:, back].mean(axis=1).std(ddof=1), rel=1e-4)
    assert {"p_voxel", "true_share", "rank_low", "rank_high"} <= set(table.columns)
    first = pd.read_csv(f"{start}_regions.tsv", sep="\t")
    assert first.columns.tolist() == ["label", *table.reset_index().columns.drop("label")]
    sidecar = json.loads(Path(f"{start}_regions.json").read_text())
    assert sidecar["Regions"]["atlas"]["name"] == "AAL"
    assert sidecar["x"] == {"Description": "where it lies: right, mm"}
    assert Path(f"{start}_atlas-Halves_regions.tex").read_text().startswith("\\begin{tabular}")
    effects = pd.read_csv(f"{start}_effects.tsv", sep="\t").query("kind == 'region'")
    assert set(effects["atlas"]) == {"AAL", "halves"}
    before = _files(folder)
    for atlases, message in (
        ((halves, folder / "other/halves.nii.gz"), "Two atlases are called halves"),
        (("own",), "--atlas own has other voxels in each scan"),
        (("none", "AAL"), "--atlas none asks for no regions"),
    ):
        each = [word for atlas in atlases for word in ("--atlas", atlas)]
        code, _, error = run("group", folder, *asked, *each)
        assert code == 2
        assert message in error
        assert error.count("\n") == 1
    assert _files(folder) == before
