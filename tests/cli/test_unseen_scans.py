"""From command to files: whoever is judged was held out, worked out again from what is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import LinearRegression
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC
from test_fit_command import TINY, make_study, tiny

from voxplain.cohort.store.reader import open_store
from voxplain.fit import Outcome, bootstrap
from voxplain.nets import load_into, read_weights

Run = Callable[..., tuple[int, str, str]]
FOLDER = TINY.replace(":", "-").replace("_", "-")
TWICE = ("--cv", 3, "--repeats", 2, "--epochs", 2, "--no-final", "--device", "cpu")
GAPS = range(0, 24, 5)

pytestmark = pytest.mark.xdist_group("unseen")


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study fitted twice over, with gaps in the ages, and differences so faint that some fail."""
    from voxplain.fit import Schedule
    from voxplain.pipeline.fit.run import FitOptions, run_fit
    from voxplain.progress import Silent

    rng = np.random.default_rng(3)
    ages = [None if i in GAPS else round(50 + 4 * (i % 2) + rng.normal(0, 6), 2) for i in range(24)]
    study = make_study(tmp_path_factory.mktemp("unseen") / "study", signal_=0.4, age=ages)
    run_fit(
        FitOptions(
            study, study, (TINY,), folds=3, repeats=2, schedule=Schedule(epochs=2), final=False,
            device="cpu", confounds=("brain_ml", "age"),
        ),
        Silent(),
    )  # fmt: skip
    return study


def told_of(study: Path) -> dict:
    return json.loads((study / "summary.json").read_text())["fit"]


def predictions(study: Path) -> pd.DataFrame:
    table = pd.read_csv(study / f"model/{FOLDER}/predictions.tsv", sep="\t")
    return table.assign(margin=table["logit_case"] - table["logit_control"])


def area(table: pd.DataFrame, margin: np.ndarray | None = None) -> float:
    return float(
        roc_auc_score(table["truth"] == "case", table["margin"] if margin is None else margin)
    )


def test_pooled_scores_are_of_one_repeat(fitted: Path) -> None:
    """Of 24 scans and not of 48: a scan that is predicted twice is one scan still."""
    told, table = told_of(fitted), predictions(fitted)
    assert len(table) == 48
    first = table[table["repeat"] == 1]
    found = told["models"][TINY]["roc_auc"]
    assert area(first) != pytest.approx(area(table), abs=1e-6)
    assert found["pooled"] == pytest.approx(area(first))
    outcome = Outcome(
        "label", (first["truth"] == "case").to_numpy().astype(int), ("control", "case")
    )
    again = bootstrap(outcome, first[["logit_control", "logit_case"]].to_numpy())["roc_auc"]
    assert found["pooled_ci"] == pytest.approx([again.low, again.high], abs=1e-6)
    assert (told["folds"], told["repeats"], told["scans"]) == (3, 2, 24)
    each = [area(part) for _, part in table.groupby(["repeat", "fold"])]
    assert found["per_fold"] == pytest.approx(each)


def columns_of(study: Path) -> np.ndarray:
    people = open_store(study / "cohort").participants
    return people[["brain_ml", "age"]].astype(float).to_numpy()


def filled(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), np.nanmedian(values[rows], axis=0), values)


def folds_of(study: Path, repeat: int = 1) -> list[np.ndarray]:
    table = pd.read_csv(study / "model/folds.tsv", sep="\t")
    table = table[table["repeat"] == repeat]
    return [
        np.array([int(who.removeprefix("sub-")) for who in part["scan"]])
        for _, part in table.groupby("fold")
    ]


def margins_on_voxels(study: Path, learn: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Margins of the linear machine on flattened voxels without the confounds, scan by scan.

    `learn` chooses the rows from which gaps are filled and the confounds' part is learnt.
    """
    cohort = open_store(study / "cohort")
    flat, out = cohort.stack(range(24)).reshape(24, -1).astype(float), np.zeros(24)
    for test in folds_of(study):
        train = np.setdiff1d(np.arange(24), test)
        rows = learn(train)
        x = filled(columns_of(study), rows)
        left = flat - LinearRegression().fit(x[rows], flat[rows]).predict(x)
        left -= left[train].mean(axis=0)
        left /= np.sqrt((left[train] ** 2).sum(axis=1).mean())
        machine = SVC(kernel="linear").fit(left[train], cohort.labels[train])
        out[test] = machine.decision_function(left[test])
    return out


def test_voxels_lose_what_the_training_part_owes_to_confounds(fitted: Path) -> None:
    labels = open_store(fitted / "cohort").labels
    expected = roc_auc_score(labels, margins_on_voxels(fitted, lambda train: train))
    leaky = roc_auc_score(labels, margins_on_voxels(fitted, lambda train: np.arange(24)))
    found = told_of(fitted)["confounds"]["removed"]["voxels, linear SVC"]["roc_auc"]
    assert found == pytest.approx(expected, abs=1e-6)
    assert abs(leaky - expected) > 0.004


def test_a_network_s_outputs_lose_what_other_folds_owe(fitted: Path) -> None:
    table = predictions(fitted)
    first = table[table["repeat"] == 1].copy()
    who = first["scan"].str.removeprefix("sub-").astype(int).to_numpy()
    x, fold = filled(columns_of(fitted), np.arange(24))[who], first["fold"].to_numpy()
    margin, left = first["margin"].to_numpy(), np.zeros(24)
    for number in (1, 2, 3):
        others = fold != number
        model = LinearRegression().fit(x[others], margin[others])
        left[~others] = margin[~others] - model.predict(x[~others]) + margin[others].mean()
    found = told_of(fitted)["confounds"]["removed"][TINY]["roc_auc"]
    assert found == pytest.approx(area(first, left))


def gradient_by_hand(study: Path, place: str, who: int) -> np.ndarray:
    """Of the log-odds of a case."""
    network = tiny()
    load_into(network, read_weights(study / f"model/{FOLDER}/{place}/weights.safetensors"))
    image = torch.from_numpy(open_store(study / "cohort").load(who)[None, None].copy())
    control, case = network.eval()(image.requires_grad_())[0]
    (case - control).backward()
    return image.grad[0, 0].numpy()


def test_scans_are_explained_by_the_first_repeat_s_network_that_held_them_out(
    run: Run, fitted: Path, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    shutil.copytree(fitted, study)
    asked = ("explain", study, "--network", TINY, "--method", "gradient", "--target")
    code, _, error = run(*asked, "case", "--device", "cpu", "--precision", "exact")
    assert code == 0, error
    for number, test in enumerate(folds_of(study), start=1):
        for i in test[:2]:
            expected = gradient_by_hand(study, f"repeat-01/fold-{number:02d}", i)
            other = gradient_by_hand(study, f"repeat-02/fold-{number:02d}", i)
            made = nib.load(
                study / f"maps/sub-{i:02d}/sub-{i:02d}_desc-GradientCase_statmap.nii.gz"
            ).get_fdata()
            np.testing.assert_allclose(made, expected, atol=1e-4 * np.abs(expected).max())
            assert np.abs(expected - other).max() > 0.1 * np.abs(expected).max()


@pytest.mark.parametrize("part", ["train", "validation"])
@pytest.mark.parametrize("number", [1, 3])
def test_a_network_that_has_seen_its_held_out_scan_explains_nothing(
    run: Run, fitted: Path, tmp_path: Path, part: str, number: int
) -> None:
    study = tmp_path / "study"
    shutil.copytree(fitted, study)
    path = study / f"model/{FOLDER}/repeat-01/fold-{number:02d}/training.json"
    told = json.loads(path.read_text())
    told[part].append(f"{folds_of(study)[number - 1][-1]:02d}")
    path.write_text(json.dumps(told))
    asked = ("explain", study, "--network", TINY, "--method", "gradient")
    code, _, error = run(*asked, "--device", "cpu")
    assert code == 2
    assert f"has no {TINY} for every fold of its cohort" in error
    assert not list(study.rglob("*statmap.nii.gz"))


def squares() -> object:
    """A network of squared means of blocks: its gradient is as large as the scan is bright."""
    from torch import nn

    class Square(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * x

    return nn.Sequential(nn.AvgPool3d(4), nn.Flatten(), Square(), nn.Linear(216, 2))


def test_both_classes_have_a_say_in_the_joint_mask(run: Run, tmp_path: Path) -> None:
    """The gradient by hand; of bright cases it is the larger, and would decide alone."""
    study = make_study(tmp_path / "study")
    code, _, error = run(
        "reclassify", study, "--network", "test_unseen_scans:squares", "--cv", 2, "--epochs", 1,
        "--device", "cpu", "--no-retrain", "--share", 0.1, "--fwhm", 16,
    )  # fmt: skip
    assert code == 0, error
    cohort = open_store(study / "cohort")
    (weights,) = study.rglob("repeat-01/fold-01/weights.safetensors")
    told = json.loads((weights.parent / "training.json").read_text())
    train = np.array([cohort.subjects.index(who) for who in told["train"]])
    images = cohort.stack(train).astype(float)
    mean = np.abs(images.mean(axis=0))
    brain = mean > 0.05 * mean.max()
    control, case = load_file(weights)["3.weight"].astype(float).reshape(2, 6, 6, 6)
    blocks = images.reshape(len(train), 6, 4, 6, 4, 6, 4).mean(axis=(2, 4, 6))
    scores = []
    for label in (0, 1):
        mine = blocks[cohort.labels[train] == label].mean(axis=0)
        gradient = np.kron(2 * (case - control) * mine, np.ones((4, 4, 4))) / 64
        width = 16 / np.sqrt(8 * np.log(2)) / 8
        scores.append(np.abs(gaussian_filter(gradient, width, mode="constant")))

    def top(score: np.ndarray) -> np.ndarray:
        kept = np.where(brain, score, -1).ravel().argsort()[::-1][: round(0.1 * brain.sum())]
        return np.isin(np.arange(score.size), kept).reshape(score.shape)

    made = nib.load(study / "group/masks/fold-01_joint.nii.gz").get_fdata() > 0
    expected = top(scores[0] / scores[0].max() + scores[1] / scores[1].max())
    assert (made & expected).sum() > 0.97 * expected.sum()
    assert (top(scores[0] + scores[1]) & expected).sum() < 0.8 * expected.sum()


def test_a_study_s_default_maps_learn_from_all_of_its_scans_how_voxels_vary(
    fitted: Path, run: Run, tmp_path: Path
) -> None:
    from voxplain.attribution.variation import variation_of

    study = tmp_path / "study"
    shutil.copytree(fitted, study)
    code, _, error = run(
        *("explain", study, "--network", TINY, "--target", "case", "--device", "cpu"),
        *("--option", "recommended:samples=2"),
    )
    assert code == 0, error
    told = json.loads((study / "explain.json").read_text())["group"]
    assert sorted(told) == ["pattern", "recommended"]
    scans = variation_of(open_store(study / "cohort"), 5).describe()
    assert scans.startswith("24 scans, ")
    for sidecar in study.glob("maps/*/*_statmap.json"):
        options = json.loads(sidecar.read_text())["Provenance"]["options"]
        assert options["scans"] == scans
    assert len(list(study.glob("maps/*/*Pattern*_statmap.nii.gz"))) == 24
