"""``voxplain explain STUDY --repeats``: each scan by one network of each repeat."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from test_explain_study import NET
from test_fit_command import QUICK, TINY, make_study, tiny, write_block_truth

from voxplain.attribution import Engine
from voxplain.attribution.run import explain
from voxplain.cohort.store.reader import open_store
from voxplain.nets import load_into, read_weights
from voxplain.pipeline.fit.fitted import networks_of_folds
from voxplain.study import StudyReader

Run = Callable[..., tuple[int, str, str]]
NUMBER = "test_fit_command:tiny_number"
TWICE = ("--repeats", 2)
OWN = ("--method", "gradient", "--target", "own")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:
    monkeypatch.chdir(Path(__file__).parent)
    made = make_study(tmp_path / "study")
    run("fit", made, "--network", TINY, *QUICK, *TWICE, "--no-baselines", "--no-final")
    return made


def test_a_map_is_the_mean_over_the_networks_that_have_not_seen_the_scan(
    run: Run, study: Path
) -> None:
    code, _, error = run("explain", study, *NET, *OWN, *TWICE)
    assert (code, error) == (0, "")
    cohort = open_store(study / "cohort")
    each: dict[str, list[np.ndarray]] = {one: [] for one in cohort.subjects}
    for repeat in (1, 2):
        for fold in (1, 2, 3):
            place = study / f"model/test-fit-command-tiny/repeat-{repeat:02d}/fold-{fold:02d}"
            seen = json.loads((place / "training.json").read_text())["train"]
            network = tiny()
            load_into(network, read_weights(place / "weights.safetensors"))
            for i, who in enumerate(cohort.subjects):
                if who not in seen:
                    scan, label = cohort[i], int(cohort.labels[i])
                    made = explain(network.eval(), scan, "gradient", label, engine=Engine("cpu"))
                    each[who].append(made.values)
    for i, who in enumerate(cohort.subjects):
        assert len(each[who]) == 2
        word = cohort.class_names[int(cohort.labels[i])].capitalize()
        path = study / f"maps/sub-{who}/sub-{who}_desc-Gradient{word}_statmap.nii.gz"
        near = 1e-4 * np.abs(each[who]).max()
        np.testing.assert_allclose(nib.load(path).get_fdata(), np.mean(each[who], 0), atol=near)
        spread = path.with_name(path.name.replace("_statmap", "Spread_statmap"))
        expected = np.std(each[who], 0, ddof=1)
        np.testing.assert_allclose(nib.load(spread).get_fdata(), expected, atol=near)
    told = json.loads((study / "explain.json").read_text())
    assert (told["folds"], told["options"]["repeats"], told["scans"]) == (3, 2, 24)
    _, shown, _ = run("explain", study, *NET, *OWN, *TWICE)
    assert "volumes" not in shown
    assert "made anew" not in shown
    assert "repeats. With" not in shown
    _, shown, _ = run("explain", study, *NET, *OWN)
    assert "made otherwise" in shown
    assert "The study has networks of 2 repeats. With --repeats 2 each scan is" in shown


def test_scans_that_the_same_networks_have_not_seen_are_taken_together(study: Path) -> None:
    cohort, reader = open_store(study / "cohort"), StudyReader(study)
    alone = [networks_of_folds(reader, TINY, cohort), networks_of_folds(reader, TINY, cohort, 2)]
    assert [len(fold.together) for fold in alone[0]] == [1, 1, 1]
    assert all(len(fold.together) == 2 for fold in alone[1])
    assert sorted(row for fold in alone[1] for row in fold.rows) == list(range(24))
    assert 3 < len(alone[1]) <= 9
    assert len({tuple(one.place for one in fold.together) for fold in alone[1]}) == len(alone[1])
    for fold in alone[1]:
        for one in fold.together:
            told = json.loads((study / one.place / "training.json").read_text())
            assert not {cohort.subjects[row] for row in fold.rows} & set(told["train"])


def test_maps_are_judged_and_told_as_those_of_both_repeats(run: Run, study: Path) -> None:
    write_block_truth(study)
    code, _, error = run("explain", study, *NET, *OWN, *TWICE)
    assert (code, error) == (0, "")
    told = json.loads((study / "explain.json").read_text())
    for one in told["group"]["gradient"]:
        assert one["judgement"]["group"]["networks"] == 6
    assert "6 networks" in (study / "explain.html").read_text()
    run("report", study)
    shown = (study / "report.html").read_text()
    assert "by 2 networks, one of each repeat, that had not seen it, whose maps are" in shown
    assert "--target own --method gradient --repeats 2" in shown


def test_parts_are_joined_as_an_unbroken_run(run: Run, study: Path) -> None:
    run("explain", study, *NET, *OWN, *TWICE)
    whole = {path.name: path.read_bytes() for path in study.rglob("*statmap.nii.gz")}
    for path in study.rglob("*statmap.*"):
        path.unlink()
    for part in ("1/2", "2/2"):
        code, _, error = run("explain", study, *NET, *OWN, *TWICE, "--shard", part)
        assert (code, error) == (0, "")
    run("explain", study, *NET, *OWN, *TWICE)
    assert {path.name: path.read_bytes() for path in study.rglob("*statmap.nii.gz")} == whole


def test_numbers_of_each_network_are_read_in_its_own_way(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    study = make_study(tmp_path / "study")
    asked = (*QUICK, *TWICE, "--outcome", "age", "--no-baselines", "--no-final")
    run("fit", study, "--network", NUMBER, *asked)
    code, _, error = run("explain", study, "--network", NUMBER, "--method", "gradient", *TWICE)
    assert (code, error) == (0, "")
    cohort = open_store(study / "cohort")
    fold = networks_of_folds(StudyReader(study), NUMBER, cohort, 2)[0]
    scan = cohort[fold.rows[0]]
    made = [
        one.scale[1] * explain(one.load(), scan, "gradient", output_unit="x").values
        for one in fold.together
    ]
    path = study / f"maps/sub-{scan.subject}/sub-{scan.subject}_desc-GradientAge_statmap.nii.gz"
    near = 1e-4 * np.abs(made).max()
    np.testing.assert_allclose(nib.load(path).get_fdata(), np.mean(made, 0), atol=near)


def test_a_null_of_single_networks_is_refused(run: Run, study: Path) -> None:
    run("explain", study, *NET, "--method", "gradient", "--target", 1, *TWICE)
    code, _, error = run("group", study, "--null", "untrained")
    assert code == 2
    assert "The maps of Gradient are means over several networks" in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--repeats", 3), "has folds of 2 repeats, and networks of 3 were asked for; run"),
        (("--repeats", 0), "--repeats must be 1 or more; 0 was given"),
    ],
)
def test_mistakes(run: Run, study: Path, options: tuple[object, ...], message: str) -> None:
    code, _, error = run("explain", study, *NET, *options)
    assert code == 2
    assert message in error


def test_single_scans_have_no_repeats(run: Run) -> None:
    asked = ("--image", "x", "--out", "y", "--weights", "w", *TWICE)
    code, _, error = run("explain", *NET, *asked)
    assert code == 2
    assert "--repeats is for a study; of single scans, give several --weights" in error


def test_a_plan_tells_of_the_networks_of_all_repeats(run: Run, study: Path) -> None:
    code, shown, error = run("plan", study, *NET, *OWN, *TWICE)
    assert (code, error) == (0, "")
    assert "2 × (1 forward and 1" in " ".join(shown.split())
    assert "in 72 files" in shown
    run("explain", study, *NET, *OWN, *TWICE)
    assert len([*study.glob("maps/*/*")]) == 72
