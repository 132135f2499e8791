from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from voxplain.grid import Grid

LABELS = {
    "gradient": "Gradient",
    "guided-backprop": "Guided backpropagation",
    "grad-cam": "Grad-CAM",
}
AFFECTED = ["Hippocampus_L", "Amygdala_R"]


def _turned(code: str) -> Grid:
    """A grid over the same box, its axes in the order and direction of a code like PSR."""
    columns = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    lengths, sizes = np.array([22, 30, 20]), np.array([7.0, 6.0, 7.5])
    affine = np.eye(4)
    affine[:3, :3] = 0
    shape = []
    for column, letter in enumerate(code):
        axis, sign = columns[letter]
        affine[axis, column] = sign * sizes[axis]
        shape.append(int(lengths[axis]))
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid((shape[0], shape[1], shape[2]), affine)


def _oblique() -> Grid:
    angle = np.deg2rad(12)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    straight = _turned("LAS")
    return Grid(straight.shape, turn @ straight.affine)


@pytest.fixture(params=["RAS", "LAS", "PSR", "oblique"])
def any_grid(request: pytest.FixtureRequest) -> Grid:
    return _oblique() if request.param == "oblique" else _turned(request.param)


@pytest.fixture
def oblique_grid() -> Grid:
    return _oblique()


@pytest.fixture
def las_grid() -> Grid:
    return _turned("LAS")


@pytest.fixture
def agreement_of() -> dict[str, Any]:
    pairs = [
        {
            "a": a,
            "b": b,
            "dice": 0.3,
            "dice_chance": 0.02,
            "dice_95": 0.06,
            "spearman": -0.02,
            "spearman_95": 0.05,
        }
        for a, b in itertools.combinations(LABELS, 2)
    ]
    return {"fraction": 0.02, "class": "case", "pairs": pairs}


@pytest.fixture
def summary(las_grid: Grid, agreement_of: dict[str, Any]) -> dict[str, Any]:
    methods, regions = {}, {}
    for n, (name, label) in enumerate(LABELS.items()):
        able = name != "grad-cam"
        ap = 0.4 - 0.1 * n if able else 0.012
        methods[name] = {
            "label": label,
            "citation": "Somebody 2017",
            "unit": "logit per unit of intensity",
            "sign": "positive: evidence for the class",
            "complete": False,
            "passes": 1,
            "subjects": 6,
            "subject_ap": ap / 2,
            "subject_ap_ci": [ap / 3, ap],
            "group_ap": ap,
            "auroc": 0.5 + ap,
            "dice": None,
            "group_ap_by_class": {"control": ap, "case": ap},
            "group_ap_raw": ap / 2,
            "seconds_per_subject": 0.05,
            "better_than_chance": able,
            "beats_edges": able,
            "beats_t_map": n == 0,
            "verdict": f"The verdict on {label}.",
            "options": {"layer": "auto"},
        }
        top = [
            {
                "region": region,
                "mean": 1e-5 / (k + 1),
                "peak": 2e-5,
                "share": 0.2,
                "density": 1.5,
                "rank": k + 1,
                "affected": region in AFFECTED,
            }
            for k, region in enumerate(["Hippocampus_L", "Insula_R", "Amygdala_R"])
        ]
        found = {"top": top, "affected_ranks": {AFFECTED[0]: 1, AFFECTED[1]: 3}, "n_regions": 116}
        regions[name] = {"control": found, "case": found}
    return {
        "title": "A demo of <maps> & more",
        "command": "voxplain demo --out demo --seed 0",
        "seed": 0,
        "target": "predicted",
        "grid": las_grid.to_dict() | {"text": str(las_grid)},
        "cohort": {
            "subjects": 20,
            "train": 14,
            "held_out": 6,
            "classes": ["control", "case"],
            "effect": {
                "regions": AFFECTED,
                "description": "Darker there, as in sub-<01>.",
                "volume_ml": 9.25,
            },
            "seconds_per_subject": 0.12,
        },
        "accuracy": 0.93,
        "accuracy_ci": [0.85, 1.0],
        "balanced_accuracy": 0.92,
        "balanced_accuracy_ci": [0.84, 1.0],
        "roc_auc": 0.964,
        "roc_auc_ci": [0.9, 1.0],
        "network": {
            "name": "MriNet",
            "parameters": 322818,
            "weights_sha256": "ab" * 32,
            "layer": "features.8",
        },
        "training": {
            "schedule": "14 epochs",
            "seconds": 92.4,
            "history": [{"epoch": 1, "train_loss": 0.7, "train_accuracy": 0.55}],
        },
        "scoring": {"fwhm_mm": 6.0, "description": "Maps are smoothed by 6 mm first."},
        "chance_ap": 0.011,
        "chance_ap_95": 0.035,
        "methods": methods,
        "controls": {
            "edges": {"label": "Edge filter", "group_ap": 0.02, "auroc": 0.6, "dice": 0.03},
            "t-map": {"label": "t-map", "group_ap": 0.35, "auroc": 0.97, "dice": 0.55},
        },
        "agreement": agreement_of,
        "regions": {"atlas": "AAL", "affected": AFFECTED, "methods": regions},
        "versions": {"voxplain": "0.1.0", "torch": "2.13.0"},
        "seconds": {"total": 241.0, "phantom": 15.6},
        "peak_rss_mb": 2210.0,
    }
