"""The demo's figures, worked out again from the files that it writes.

Held-out subjects are those that have maps; all others have trained.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.ndimage import correlate1d, gaussian_filter
from sklearn.metrics import average_precision_score, roc_auc_score

from voxplain.grid import Grid
from voxplain.pipeline.demo.judge import controls
from voxplain.pipeline.demo.run import DemoOptions
from voxplain.trust import chance_of
from voxplain.volume import Cohort

pytestmark = pytest.mark.xdist_group("demo")

DRAWS = 30  # as many as the demo of these tests draws
SIGMAS_PER_FWHM = 1 / np.sqrt(8 * np.log(2))
LABELS = {
    "gradient": "Gradient",
    "grad-cam": "GradCAM",
    "guided-backprop": "GuidedBackpropagation",
    "meaningful-perturbation": "MeaningfulPerturbation",
}


class Files:
    """What lies in the folder of a demo."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        people = pd.read_csv(folder / "participants.tsv", sep="\t")
        self.labels = dict(zip(people["participant_id"], people["label"], strict=True))
        self.held_out = sorted(path.name for path in (folder / "maps").iterdir() if path.is_dir())
        self.trained = sorted(set(self.labels) - set(self.held_out))

    def image(self, name: str) -> nib.Nifti1Image:
        return nib.load(self.folder / f"{name}.nii.gz")

    def values(self, name: str) -> np.ndarray:
        return self.image(name).get_fdata()

    def scan(self, who: str) -> np.ndarray:
        return self.values(f"phantom/{who}/anat/{who}_T1w")

    def region(self, who: str) -> np.ndarray:
        return self.values(f"phantom/{who}/anat/{who}_desc-effect_mask") > 0

    @property
    def brain(self) -> np.ndarray:
        return self.values("phantom/template_desc-brain_mask") > 0

    @property
    def truth(self) -> np.ndarray:
        return self.values("phantom/template_desc-effect_mask") > 0

    def size(self) -> np.ndarray:
        return np.array(self.image("phantom/template_T1w").header.get_zooms()[:3])

    def smoothed(self, values: np.ndarray) -> np.ndarray:
        """Smooth by the 8 mm of voxel-based morphometry."""
        return gaussian_filter(values, 8 * SIGMAS_PER_FWHM / self.size(), mode="constant")

    def found(self, values: np.ndarray, truth: np.ndarray, brain: np.ndarray) -> float:
        score = np.abs(self.smoothed(values)).astype(np.float32)
        return float(average_precision_score(truth[brain], score[brain]))


@pytest.fixture(scope="session")
def files(summary: dict, options: DemoOptions) -> Files:
    return Files(options.out)


def test_the_edge_control_is_of_the_held_out_cases(files: Files, summary: dict) -> None:
    """Central differences of the smoothed scans, mean over cases that no network was trained on."""
    cases = [who for who in files.held_out if files.labels[who] == "case"]
    assert (len(files.held_out), len(cases)) == (6, 3)

    def edges(who: str) -> np.ndarray:
        smooth = gaussian_filter(files.scan(who), 2 / files.size(), mode="nearest")
        slopes = [
            correlate1d(smooth, [-0.5 / size, 0, 0.5 / size], axis)
            for axis, size in enumerate(files.size())
        ]
        return np.sqrt(np.sum(np.square(slopes), axis=0))[2:-2, 2:-2, 2:-2]

    expected = np.mean([edges(who) for who in cases], axis=0)
    made = files.values("group/control-edges_statmap")
    np.testing.assert_allclose(made[2:-2, 2:-2, 2:-2], expected, rtol=1e-3, atol=1e-3)
    ap = files.found(made, files.truth, files.brain)
    assert summary["controls"]["edges"]["group_ap"] == pytest.approx(ap, rel=1e-3)


def test_the_t_map_is_of_the_training_scans(files: Files, summary: dict) -> None:
    scans = {
        label: np.stack([files.scan(who) for who in files.trained if files.labels[who] == label])
        for label in ("control", "case")
    }
    assert {name: len(part) for name, part in scans.items()} == {"control": 7, "case": 7}
    brain = files.brain
    inside = {name: part[:, brain] for name, part in scans.items()}
    varied = (inside["case"].std(axis=0) > 0) | (inside["control"].std(axis=0) > 0)
    expected = stats.ttest_ind(
        inside["case"][:, varied], inside["control"][:, varied], equal_var=False
    ).statistic
    made = files.values("group/control-t-map_statmap")
    np.testing.assert_allclose(made[brain][varied], expected, rtol=1e-3, atol=1e-4)
    score = np.abs(files.smoothed(made))
    auroc = roc_auc_score(files.truth[brain], score[brain])
    assert summary["controls"]["t-map"]["auroc"] == pytest.approx(auroc, rel=1e-3)


@pytest.fixture(scope="session")
def of_subjects(files: Files) -> dict[str, dict[str, float]]:
    """Average precision of each map of Grad-CAM and the gradient, by subject."""
    told: dict[str, dict[str, float]] = {}
    for name in ("gradient", "grad-cam"):
        told[name] = {}
        for who in files.held_out:
            label = f"{LABELS[name]}{files.labels[who].capitalize()}"
            values = files.values(f"maps/{who}/{who}_desc-{label}_statmap")
            told[name][who] = files.found(values, files.region(who), files.scan(who) > 0)
    return told


def test_a_subject_s_map_is_held_against_its_own_region_in_its_own_brain(
    files: Files, summary: dict, of_subjects: dict[str, dict[str, float]]
) -> None:
    for name, each in of_subjects.items():
        told = summary["methods"][name]
        assert told["subjects"] == 6
        assert told["subject_ap"] == pytest.approx(np.mean([*each.values()]), rel=1e-3)
        for label in ("control", "case"):
            mine = [ap for who, ap in each.items() if files.labels[who] == label]
            assert told["subject_ap_by_class"][label] == pytest.approx(np.mean(mine), rel=1e-3)


def test_the_interval_of_the_subjects_mean_is_one_of_95_percent(
    summary: dict, of_subjects: dict[str, dict[str, float]]
) -> None:
    """Of all 46,656 samples that six subjects can give; a 90 % interval is a sixth narrower."""
    for name, each in of_subjects.items():
        drawn = np.array([*product([*each.values()], repeat=6)]).mean(axis=1)
        expected = np.percentile(drawn, [2.5, 97.5])
        told = summary["methods"][name]["subject_ap_ci"]
        assert told == pytest.approx(expected, abs=0.04 * np.ptp(expected))


def width(values: np.ndarray, brain: np.ndarray, size: np.ndarray) -> float:
    """Smoothness inside the brain by the variance of steps (Forman et al. 1995), pair by pair."""
    mean = values[brain].mean()
    variance = ((values[brain] - mean) ** 2).mean()
    widths = []
    for axis in range(3):
        a, b = np.take(values, range(values.shape[axis] - 1), axis), np.delete(values, 0, axis)
        both = np.take(brain, range(brain.shape[axis] - 1), axis) & np.delete(brain, 0, axis)
        rho = 1 - ((b - a)[both] ** 2).mean() / (2 * variance)
        if rho <= 0:
            return 0.0
        widths.append(size[axis] * np.sqrt(-2 * np.log(2) / np.log(rho)))
    return float(np.prod(widths) ** (1 / 3))


@pytest.mark.parametrize("name", LABELS)
def test_the_null_level_is_that_of_the_smoothed_mean_map(
    files: Files, summary: dict, name: str
) -> None:
    """As smooth as the map is when it is scored, which the raw map is not."""
    values = files.values(f"group/desc-{LABELS[name]}Case_stat-mean_statmap")
    told = summary["methods"][name]
    smooth = files.smoothed(values)
    assert told["group_fwhm_mm"] == pytest.approx(
        width(smooth, files.brain, files.size()), rel=0.01
    )
    assert told["group_fwhm_mm"] > 1.02 * width(values, files.brain, files.size())
    image = files.image(f"group/desc-{LABELS[name]}Case_stat-mean_statmap")
    grid = Grid(values.shape, image.affine)  # type: ignore[arg-type]
    null = chance_of(
        values.astype(np.float32), files.truth, files.brain, grid, 8.0, summary["seed"], draws=DRAWS
    )
    assert told["chance_ap_95"] == pytest.approx(null.percentile_95, rel=0.02)
    assert told["better_than_chance"] == (told["group_ap"] > told["chance_ap_95"])
    assert told["beats_edges"] == (told["group_ap"] > summary["controls"]["edges"]["group_ap"])
    assert told["beats_t_map"] == (told["group_ap"] > summary["controls"]["t-map"]["group_ap"])


@pytest.mark.parametrize("name", LABELS)
def test_the_mean_map_of_each_class_is_held_against_the_truth(
    files: Files, summary: dict, name: str
) -> None:
    told = summary["methods"][name]
    found = {
        label: files.found(
            files.values(f"group/desc-{LABELS[name]}{label.capitalize()}_stat-mean_statmap"),
            files.truth,
            files.brain,
        )
        for label in ("control", "case")
    }
    assert told["group_ap_by_class"] == pytest.approx(found, rel=1e-3)
    assert told["group_ap"] == pytest.approx(found["case"], rel=1e-3)


def test_methods_agree_by_the_top_twentieth_of_their_maps(files: Files, summary: dict) -> None:
    agreed = summary["agreement"]
    assert agreed["fraction"] == 0.05
    brain = files.brain
    tops = {}
    for name in ("gradient", "guided-backprop"):
        values = files.values(f"group/desc-{LABELS[name]}Case_stat-mean_statmap")
        score = np.abs(files.smoothed(values))[brain]
        tops[name] = score >= np.quantile(score, 0.95)
    (pair,) = (one for one in agreed["pairs"] if {one["a"], one["b"]} == {*tops})
    both = np.logical_and(*tops.values()).sum()
    dice = 2 * both / sum(top.sum() for top in tops.values())
    assert pair["dice"] == pytest.approx(dice, abs=0.002)


def test_making_controls_tells_how_far_it_is() -> None:
    grid = Grid((8, 8, 8), np.diag([8.0, 8, 8, 1]))
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"participant_id": list("012345"), "label": ["control", "case"] * 3})
    images = rng.normal(size=(6, 8, 8, 8)).astype(np.float32)
    cohort = Cohort(table, ("control", "case"), grid, lambda i: images[i])
    told: list[float] = []
    phantom: Any = SimpleNamespace(cohort=cohort)
    # One case was held out, and four scans trained.
    controls(phantom, np.arange(4), np.array([4, 5]), told.append)
    assert told == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
