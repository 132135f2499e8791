"""What ``voxplain group`` joins: means per class, folds, methods, grids, and sizes of effects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage, stats
from test_group_command import (
    AFFINE,
    EFFECT,
    GRID,
    LABELS,
    NAMES,
    QUICK,
    START,
    _brain,
    _files,
    _maps,
    _study,
    _write,
)

from voxplain.grid import Grid
from voxplain.maps import AttributionMap
from voxplain.provenance import Provenance
from voxplain.study import Study

Run = Callable[..., tuple[int, str, str]]
FOLDS = np.arange(24) // 2 % 6


def _fitted(study: Study, folds: np.ndarray = FOLDS) -> None:
    """Write what a fit says of each scan."""
    rows = [f"sub-{i:02d}\t1\t{1 + fold}" for i, fold in enumerate(folds)]
    study.write_text("model/folds.tsv", "\n".join(["scan\trepeat\tfold", *rows]) + "\n")
    head = "scan\trepeat\tfold\ttruth\tpredicted\tlogit_control\tlogit_case"
    lines = [
        f"sub-{i:02d}\t1\t1\t{NAMES[LABELS[i]]}\t{NAMES[i % 3 % 2]}\t0\t{i}" for i in range(24)
    ]
    study.write_text("model/tiny/predictions.tsv", "\n".join([head, *lines]) + "\n")


def _read(study: Study, name: str) -> np.ndarray:
    return nib.load(study.folder / f"{name}_statmap.nii.gz").get_fdata()


def test_means_per_class_correctness_and_fold(run: Run, tmp_path: Path) -> None:
    study = _study(tmp_path / "study")
    _fitted(study)
    code, shown, error = run("group", study.folder, "--means-only")
    assert (code, error) == (0, "")
    assert "Means of Gradient: 24 scans (class case 12, control 12; correct no 12, yes 12" in shown
    assert not (study.folder / "group.json").exists()
    values = _maps().astype(float)
    correct = np.arange(24) % 3 % 2 == LABELS
    cells = {
        "All": np.ones(24, bool),
        "ClassCase": LABELS == 1,
        "CorrectNo": ~correct,
        "CorrectYes": correct,
        "Fold3": FOLDS == 2,
    }
    for name, rows in cells.items():
        start = f"group/desc-GradientCase_scans-{name}"
        wanted = sum(values[row] for row in np.flatnonzero(rows)) / rows.sum()
        np.testing.assert_allclose(_read(study, f"{start}_stat-mean"), wanted, atol=1e-6)
        spread = sum((values[row] - wanted) ** 2 for row in np.flatnonzero(rows)) / (rows.sum() - 1)
        np.testing.assert_allclose(_read(study, f"{start}_stat-variance"), spread, rtol=1e-5)
    table = pd.read_csv(study.folder / "group/desc-GradientCase_scans.tsv", sep="\t")
    assert len(table) == 1 + 2 + 2 + 6
    assert table.set_index("level").loc["case", "scans"] == 12
    assert all((study.folder / name).is_file() for name in table["mean"])
    before = {name: Path(name).stat().st_mtime_ns for name in _files(study.folder / "group")}
    run("group", study.folder, "--means-only")
    assert before == {name: Path(name).stat().st_mtime_ns for name in before}
    # A test writes them too, of the scans that it takes.
    run("group", study.folder, "--only", "class=case", "--permutations", 49, "--atlas", "none")
    found = _read(study, "group/desc-GradientCase_only-ClassEqualCase_scans-All_stat-mean")
    np.testing.assert_allclose(found, values[LABELS == 1].mean(axis=0), atol=1e-6)


def test_networks_and_not_participants_as_the_sample(run: Run, tmp_path: Path) -> None:
    study = _study(tmp_path / "study")
    _fitted(study)
    code, shown, error = run("group", study.folder, "--fold-means", "--atlas", "none")
    assert (code, error) == (0, "")
    assert "24 scans in 12 means of folds, 720 voxels, 5 degrees of freedom" in shown
    assert "of one fold change places; each scan here is the mean of a fold" in shown
    assert "63 arrangements, all 64 different ones" in shown
    start = "group/desc-GradientCase_model-Class_contrast-CaseMinusControl_mean-Fold"
    means = np.array(
        [
            [_maps()[(fold == FOLDS) & (label == LABELS)].mean(axis=0) for label in (0, 1)]
            for fold in range(6)
        ]
    )
    brain = _brain()
    wanted = stats.ttest_rel(means[:, 1], means[:, 0]).statistic[brain]
    found = _read(study, f"{start}_stat-t")[brain]
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)
    # Signs of the six differences, turned one by one.
    difference = (means[:, 1] - means[:, 0])[:, brain].astype(float)
    largest = [
        np.abs(stats.ttest_1samp(difference * signs[:, None], 0).statistic).max()
        for signs in 1 - 2 * (np.arange(64)[:, None] >> np.arange(6) & 1)
    ]
    p = _read(study, f"{start}_stat-pVoxel")[brain]
    reached = np.array(largest)[:, None] >= np.abs(wanted) * (1 - 1e-5)
    np.testing.assert_allclose(p, reached.mean(axis=0), atol=1e-6)
    _fitted(study, FOLDS % 5)
    code, _, error = run("group", study.folder, "--fold-means")
    assert code == 2
    assert "5 folds, and the networks of 5 allow no p below 0.062; fit with --cv 6" in error


def test_where_methods_agree(run: Run, tmp_path: Path) -> None:
    study = _study(tmp_path / "study")
    other = _maps(3)
    other[LABELS == 1, 6:7, 5:8, 4:7] -= 2.5
    _write(study, other, range(24), method="pattern")
    quick = (*QUICK, "--statistic", "voxel", "--atlas", "none", "--conjunction")
    code, shown, error = run("group", study.folder, *quick)
    assert (code, error) == (0, "")
    assert "Conjunction of Gradient and Pattern, case - control, voxel: smallest p" in shown
    each = [START, START.replace("Gradient", "Pattern")]
    t = np.stack([_read(study, f"{start}_stat-t") for start in each])
    p = np.stack([_read(study, f"{start}_stat-pVoxel") for start in each])
    start = START.replace("Gradient", "Conjunction")
    agree = np.sign(t[0]) == np.sign(t[1])
    wanted = np.where(agree & _brain(), p.max(axis=0), 1)
    np.testing.assert_allclose(_read(study, f"{start}_stat-pVoxel"), wanted, atol=1e-6)
    assert 0 < (wanted <= 0.05).sum() < (p <= 0.05).sum(axis=(1, 2, 3)).min()
    told = json.loads((study.folder / "group.json").read_text())["conjunctions"][start]
    assert told["found"]["voxel"]["voxels_05"] == (wanted <= 0.05).sum()
    # Kept tests are joined too.
    code, shown, _ = run("group", study.folder, *quick)
    assert shown.count("there already") == 2
    assert "Conjunction of Gradient and Pattern" in shown
    code, _, error = run("group", study.folder, "--conjunction", "--statistic", "mass")
    assert "ask for --statistic voxel or tfce" in error
    _write(study, other, range(24), method="lime", target="control")
    code, _, error = run("group", study.folder, "--conjunction")
    assert "--conjunction needs maps for one target; these are for case, control" in error


def test_the_table_of_effects(run: Run, tmp_path: Path) -> None:
    families = [f"f{i // 2 % 2 + 2 * (i // 4)}" for i in range(24)]
    study = _study(tmp_path / "study", family_id=families)
    code, shown, error = run("group", study.folder, "--permutations", 99, "--model", "class")
    assert (code, error) == (0, "")
    (start,) = json.loads((study.folder / "group.json").read_text())["tests"]
    table = pd.read_csv(study.folder / f"{start}_effects.tsv", sep="\t")
    assert table["kind"].value_counts().loc["region"] > 10
    cluster = table[table["kind"] == "cluster"].iloc[0]
    whole = table[table["kind"] == "brain"].iloc[0]
    values = _maps()[:, _brain()].mean(axis=1, dtype=float)
    wanted = values[LABELS == 1].mean() - values[LABELS == 0].mean()
    assert whole["effect"] == pytest.approx(wanted, rel=1e-4)
    assert 1.5 < cluster["effect_low"] < cluster["effect"] < cluster["effect_high"] < 4
    assert f"Cluster 1: effect {cluster['effect']:.3g}" in shown


def _on(study: Study, grid: Grid, values: dict[int, np.ndarray], **traits: bool) -> None:
    for row, one in values.items():
        provenance = Provenance("gradient", {}, "case", None, "N", "0", "float32", "cpu", 0, {}, {})
        map_ = AttributionMap(
            one, grid, f"{row:02d}", "gradient", "case", "logit", "positive: for", provenance,
            **traits,
        )  # fmt: skip
        study.write_map(map_, "Gradient", {"row": row, "grid": 2}, 0.1, "tiny")


def test_maps_of_another_grid_are_brought_over_by_affine(run: Run, tmp_path: Path) -> None:
    study, values = _study(tmp_path / "study"), _maps()
    # The same places, with axes turned over and a margin.
    flipped = AFFINE @ np.array([[-1.0, 0, 0, 11], [0, 1, 0, -1], [0, 0, 1, -2], [0, 0, 0, 1]])
    wide = {row: np.pad(values[row], ((0, 1), (1, 2), (2, 0)))[::-1] for row in (2, 5)}
    _on(study, Grid((12, 15, 12), flipped), wide)
    code, shown, error = run("group", study.folder, *QUICK, "--atlas", "none")
    assert (code, error) == (0, "")
    assert "2 of 24 maps ('02', '05') lie on another grid than the study's, and are" in shown
    assert "brought to it by their affines." in shown
    plain = _study(tmp_path / "plain")
    run("group", plain.folder, *QUICK, "--atlas", "none")
    np.testing.assert_allclose(
        _read(study, f"{START}_stat-t"), _read(plain, f"{START}_stat-t"), rtol=1e-3, atol=1e-3
    )
    mean = "group/desc-GradientCase_scans-All_stat-mean"
    np.testing.assert_allclose(_read(study, mean), _read(plain, mean), atol=1e-5)
    elsewhere = AFFINE.copy()
    elsewhere[0, 3] += 48
    _on(study, Grid(GRID.shape, elsewhere), {7: values[7]})
    before = _files(study.folder)
    code, _, error = run("group", study.folder, "--permutations", 49)
    assert code == 2
    assert "The map of 07 covers 27 % of the study's grid: it lies in another space; give" in error
    assert _files(study.folder) == before


def test_maps_are_brought_over_by_transforms(run: Run, tmp_path: Path) -> None:
    study, values = _study(tmp_path / "study"), _maps()
    turn = np.array([[0.0, -1, 0, 4], [1, 0, 0, -7], [0, 0, 1, 12], [0, 0, 0, 1]])
    # What lies at x in the study lies at turn @ x in these maps.
    _on(study, Grid(GRID.shape, turn @ AFFINE), {row: values[row] for row in (2, 5)})
    flip = np.diag([-1.0, -1, 1, 1])
    lps = flip @ turn @ flip
    numbers = " ".join(map(str, [*lps[:3, :3].ravel(), *lps[:3, 3]]))
    text = "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
    for who in ("02", "05"):
        (tmp_path / f"{who}.txt").write_text(
            f"{text}Parameters: {numbers}\nFixedParameters: 0 0 0\n"
        )
    pattern = tmp_path / "{subject}.txt"
    quick = ("group", study.folder, *QUICK, "--atlas", "none")
    code, shown, error = run(*quick, "--transform", pattern)
    assert (code, error) == (0, "")
    assert "brought to it by the transforms given." in shown
    found = _read(study, "group/desc-GradientCase_scans-All_stat-mean")
    np.testing.assert_allclose(found, values.mean(axis=0, dtype=float), atol=1e-5)
    (tmp_path / "05.txt").unlink()
    code, _, error = run(*quick, "--transform", pattern)
    assert code == 2
    assert "05.txt for the map of 05; give a file, or a path with {subject} in it." in error


def test_shares_of_a_sum_keep_their_sum(run: Run, tmp_path: Path) -> None:
    study = _study(tmp_path / "study")
    fine = GRID.recut(3.0)
    values = ndimage.gaussian_filter(
        np.random.default_rng(1).normal(size=(24, *fine.shape)), (0, 2, 2, 2)
    ).astype(np.float32)
    values[:, :4], values[:, -4:], values[:, :, :4], values[:, :, -4:] = 0, 0, 0, 0
    values[..., :4], values[..., -4:] = 0, 0
    _on(study, fine, dict(enumerate(values)), additive=True)
    code, _, error = run("group", study.folder, "--means-only")
    assert (code, error) == (0, "")
    found = _read(study, "group/desc-GradientCase_scans-All_stat-mean")
    assert found.sum() == pytest.approx(values.mean(axis=0, dtype=float).sum(), rel=1e-4)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"site": ["a", "b"] * 12}, "class + site", "'site: b' cannot be told from that of"),
        ({"two": [1.0, 3.0] * 12}, "class + two", "'two' cannot be told from that of the other"),
        ({"site": ["a"] * 23 + ["b"]}, "class + site", "site 'b' has one scan, 23: a level needs"),
        ({"score": [1.0] * 23 + [None]}, "class + score", "has no value for 1 of 24 scans"),
        ({"score": [1.0, 2.0] * 11 + [1.0, np.inf]}, "class + score", "no finite number for 1 of"),
        ({"score": [4.0] * 24}, "class + score", "Column 'score' is 4 for all scans"),
        ({"group": [f"g{i}" for i in range(24)]}, "class + group", "has one scan, 00"),
    ],
)
def test_designs_that_cannot_be_fitted(
    run: Run, tmp_path: Path, columns: dict[str, list[object]], options: str, message: str
) -> None:
    study = _study(tmp_path / "study", **columns)
    before = _files(study.folder)
    code, _, error = run("group", study.folder, "--model", options)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert _files(study.folder) == before


def test_blocks_that_leave_nothing_to_exchange(run: Run, tmp_path: Path) -> None:
    whole = _study(tmp_path / "whole", family_id=["f0"] * 12 + ["f1"] * 12, wave=["a", "b"] * 12)
    before = _files(whole.folder)
    code, _, error = run("group", whole.folder, "--blocks", "family:whole")
    assert code == 2
    assert "so that no p can be below" in error
    assert "take a level out of --blocks (and put it into the model), or add scans" in error
    # Blocks that each hold one class leave every arrangement as it was.
    code, _, error = run("group", whole.folder, "--blocks", "wave:within")
    assert code == 2
    assert "The blocks permit 1 different arrangements of case - control" in error
    code, _, error = run("group", whole.folder, "--blocks", "family, wave")
    assert "Scans of family_id f0 belong to several blocks of wave" in error
    assert _files(whole.folder) == before


def test_maps_made_otherwise(run: Run, tmp_path: Path) -> None:
    study = _study(tmp_path / "study")
    provenance = Provenance("gradient", {}, "case", None, "N", "0", "float32", "cpu", 0, {}, {})
    one = AttributionMap(
        _maps()[4], GRID, "04", "gradient", "case", "logit", "positive: for", provenance
    )
    study.write_map(one, "Gradient", {"row": 4, "options": {"samples": 3}}, 0.1, "tiny")
    code, _, error = run("group", study.folder)
    assert code == 2
    assert "The map of 04 was made by gradient with other options than that of 00" in error


def test_a_map_that_is_not_finite(run: Run, tmp_path: Path) -> None:
    study = _study(tmp_path / "study")
    (path,) = study.folder.glob("maps/sub-09/*_statmap.nii.gz")
    image = nib.load(path)
    values = image.get_fdata()
    values[EFFECT] = np.inf
    nib.save(nib.Nifti1Image(values.astype(np.float32), image.affine), path)
    before = _files(study.folder)
    code, _, error = run("group", study.folder, "--permutations", 49)
    assert code == 2
    assert "finite" in error
    assert error.count("\n") == 1
    assert _files(study.folder) == before


def _t_of(maps: np.ndarray, x: np.ndarray) -> np.ndarray:
    """t of the second column of a design, by least squares, array (V,)."""
    beta, left, *_ = np.linalg.lstsq(x, maps, rcond=None)
    spread = left / (len(x) - x.shape[1]) * np.linalg.inv(x.T @ x)[1, 1]
    return beta[1] / np.sqrt(spread)


def test_a_design_table_brings_columns(run: Run, tmp_path: Path) -> None:
    study, brain = _study(tmp_path / "study"), _brain()
    maps = _maps()[:, brain].astype(float)
    table = tmp_path / "design.tsv"
    asked = ("group", study.folder, *QUICK, "--model", "dose + age", "--table", table)
    age = pd.read_csv(study.folder / "cohort/participants.tsv", sep="\t")["age"].to_numpy()
    for seed in (0, 1):
        dose = np.random.default_rng(seed).uniform(size=24).round(3)
        # In another order than the scans, and with somebody who is not in the study.
        rows = [*[f"sub-{i:02d}\t{dose[i]}" for i in range(24)][::-1], "sub-99\t7"]
        table.write_text("\n".join(["participant_id\tdose", *rows]))
        code, _, error = run(*asked)
        assert (code, error) == (0, "")
        (path,) = (study.folder / "group").glob("*_stat-t_statmap.nii.gz")
        wanted = _t_of(maps, np.column_stack([np.ones(24), dose, age]))
        np.testing.assert_allclose(nib.load(path).get_fdata()[brain], wanted, atol=1e-3)
    for text, message in {
        "participant_id\tdose\n00\t1\n00\t2": "has two rows of 00; a design has one of each",
        "participant_id\tdose\nx\t1": "names nobody of the study, whose participants are",
        "participant_id\tage\n00\t1": "both have a column 'age'; rename it in",
        "dose\n1": "has no column 'participant_id'",
    }.items():
        table.write_text(text)
        code, _, error = run(*asked)
        assert (code, message in error) == (2, True), error
    table.write_text("participant_id\tdose\n00\t1\n01\t2")
    code, _, error = run(*asked)
    assert code == 2
    assert error.count("\n") == 1
