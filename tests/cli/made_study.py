"""A study that looks as if it had been fitted, explained, tested and judged, made in a second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from voxplain import __version__
from voxplain.cohort import mni152_template
from voxplain.cohort.store.writer import write_store
from voxplain.grid import KAN2020_GRID
from voxplain.group.permutation import TestOptions
from voxplain.maps import AttributionMap, GroupMap
from voxplain.pipeline.group.options import GroupOptions
from voxplain.pipeline.group.run import group_study
from voxplain.progress import Silent
from voxplain.provenance import Provenance
from voxplain.results.fit import FitResult, ModelResult, TrainedNetwork
from voxplain.results.scores import Calibrated, HeldOut, Judged, Permutation
from voxplain.results.summary import fit_json, trust_json
from voxplain.results.trust import Finding, Measurement, MethodVerdict, Rule, TrustResult
from voxplain.study import Study
from voxplain.volume import Cohort, resample

EVIL = "<script>alert(1)</script>"
GRID = KAN2020_GRID.recut(9.0)
COUNT = 24
LABELS = np.arange(COUNT) % 2
CLASSES = ("control", f"case {EVIL}")
SUBJECTS = [EVIL if i == 3 else f"{i:02d}" for i in range(COUNT)]
LABEL = {"gradient": "Gradient", "smoothgrad": "SmoothGrad"}
WRONG = 5
"""Row of the scan that is predicted wrongly, and surely."""


def values_of(method: str) -> np.ndarray:
    """Maps of all scans, stronger about the left hippocampus of cases, and odd in one scan."""
    rng = np.random.default_rng(len(method))
    at = np.rint(GRID.to_voxel([-25, -20, -14])).astype(int)
    found = rng.normal(size=(COUNT, *GRID.shape)).astype(np.float32)
    place = tuple(slice(i - 1, i + 2) for i in at)
    found[:, *place] += 4
    found[7] *= -1
    return found


def bare_study(folder: Path) -> Study:
    """A cohort and nothing else."""
    template = mni152_template()
    brain = resample(template.values, template.grid, GRID)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "participant_id": [f"sub-{name}" for name in SUBJECTS],
            "label": [CLASSES[label] for label in LABELS],
        }
    )
    images = [(brain * rng.uniform(0.9, 1.1)).astype(np.float32) for _ in range(COUNT)]
    study = Study(folder, "voxplain study", __version__)
    write_store(folder / "cohort", Cohort(table, CLASSES, GRID, lambda i: images[i]), "made")
    return study


def add_fit(study: Study) -> None:
    """Scores, folds and predictions of a network that is right but for one scan."""
    score = HeldOut(0.95, 0.05, (0.9, 1.0, 0.9, 1.0, 0.95), 0.958, (0.82, 1.0), (0.85, 1.0))
    scores = dict.fromkeys(("accuracy", "balanced_accuracy", "roc_auc", "brier"), score)
    bins = Calibrated((0.6, 0.9), (0.5, 1.0), (4, 20), 0.1)
    judged = Judged(scores, Permutation("accuracy", 0.001), bins)
    network = TrainedNetwork("MRINet", 298498, 10.0, {"bfloat16": False}, "float32")
    result = FitResult(
        outcome="label",
        class_names=CLASSES,
        class_counts=(12, 12),
        ceiling=None,
        scans=COUNT,
        folds=5,
        repeats=1,
        grouping="No participant has to be kept together.",
        schedule="2 epochs of Adam",
        options={"networks": ["mrinet"], "folds": 5, "seed": 3, "baselines": False},
        models={"mrinet": ModelResult("mrinet", judged, network)},
        confounds=None,
        importances=(),
        failed={},
        seconds=10.0,
        versions={"voxplain": __version__, "torch": "2.13.0"},
    )
    study.write_json("summary.json", {"fit": fit_json(result)})
    folds = ["scan\trepeat\tfold"]
    head = [f"{kind}_{name}" for kind in ("logit", "p") for name in CLASSES]
    rows = ["\t".join(["scan", "repeat", "fold", "truth", "predicted", *head])]
    for i, name in enumerate(SUBJECTS):
        fold = str(i % 5 + 1)
        folds.append(f"sub-{name}\t1\t{fold}")
        seen = 1 - LABELS[i] if i == WRONG else LABELS[i]
        p = [0.97 if c == seen else 0.03 for c in (0, 1)]
        truth, said = CLASSES[LABELS[i]], CLASSES[seen]
        rows.append("\t".join([f"sub-{name}", "1", fold, truth, said, "0", "0", *map(str, p)]))
    study.write_text("model/folds.tsv", "\n".join(folds) + "\n")
    study.write_text("model/mrinet/predictions.tsv", "\n".join(rows) + "\n")


def add_maps(study: Study, methods: Sequence[str] = tuple(LABEL)) -> None:
    """Maps of each scan for its own class, mean maps, and the record of both."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for method in methods:
        label, values = LABEL[method], values_of(method)
        for row, name in enumerate(SUBJECTS):
            told = Provenance(
                method, {"samples": 4}, "own", None, "MRINet", "0", "float32", "cpu", 0, {}, {}
            )
            target = CLASSES[LABELS[row]]
            one = AttributionMap(
                values[row], GRID, name, method, target, "logit", "positive: for", told
            )
            study.write_map(one, label, {"row": row}, 0.1, "mrinet")
        for c, target in enumerate(CLASSES):
            mean = values[c == LABELS].mean(axis=0)
            group = GroupMap(mean, GRID, method, target, "mean", 12, "logit")
            path = study.write_group_map(group, label, "mrinet", "own")
            told_of = {"target": target, "scans": 12, "map": f"group/{path.name}", "rule": "own"}
            groups.setdefault(method, []).append(told_of | {"network": "mrinet", "unit": "logit"})
    record = {"network": "mrinet", "target": "own", "seed": 0, "group": groups, "versions": {}}
    study.write_json("explain.json", record)


def add_trust(study: Study) -> None:
    """A verdict: one method passes, the other does not."""
    rules = [
        Rule(test, "method", test.title(), "a figure", "at least", 0.1, "Bad.", "Look.", "care")
        for test in ("agreement", "deletion")
    ]
    methods = []
    for method, other, call in (
        ("gradient", "smoothgrad", "believe"),
        ("smoothgrad", "gradient", "do not believe"),
    ):
        agreed = Measurement("agreement", method, 0.61, "they agree", figures={other: 0.61})
        curve = {"shares": [0.1, 0.2], "own": [2.0, 3.0], "random": [0, 0], "random_95": [1, 1]}
        figures = {"lost": 2.5, "random": 0.2, "curves": {"deletion": curve}}
        if method == "smoothgrad":
            figures.pop("curves")
        lost = Measurement("deletion", method, 0.01, "it costs 2.5", figures=figures)
        outcome = "pass" if call == "believe" else "fail"
        findings = tuple(
            Finding(rule, one, 0.1, outcome)
            for rule, one in zip(rules, (agreed, lost), strict=True)
        )
        sentence = f"{LABEL[method]}: {call}. Because."
        methods.append(MethodVerdict(method, LABEL[method], call, sentence, findings))
    result = TrustResult(
        "mrinet",
        "mrinet knows more than head size.",
        (),
        tuple(methods),
        (),
        "1",
        tuple(rules),
        COUNT,
        5,
        "10m",
        1.0,
        {"methods": [*LABEL], "seed": 4},
        {"voxplain": __version__},
    )
    study.write_json("trust.json", trust_json(result))


def whole_study(folder: Path) -> Study:
    """A study of which all is there."""
    study = bare_study(folder)
    add_fit(study)
    add_maps(study)
    test = TestOptions(("voxel", "tfce"), 30)
    options = GroupOptions(folder, only="class=control", methods=("gradient",), test=test)
    group_study(options, Silent())
    add_trust(study)
    return study
