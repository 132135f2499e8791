"""Where does each method's map lie on the demo's phantom? ``python -m benchmarks.localisation``.

Every method of the registry explains held-out subjects of the demo's phantom for their own class;
its maps are scored as the demo scores them. Prints a table and writes
``benchmarks/localisation.json``. Maps are kept in ``out/bench``: a rerun goes on.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.material import SEED, Material, material
from voxplain.attribution import METHODS, Engine
from voxplain.cohort import load_atlas
from voxplain.console import make_progress
from voxplain.pipeline.demo.judge import AFFECTED_CLASS, Judge, controls, group_maps
from voxplain.pipeline.maps import Question
from voxplain.pipeline.writing import explain_and_write

HERE = Path(__file__).parent
# Subjects that each method explains, as many of either class; fewer where it takes many passes.
SUBJECTS = 12
FEWER = {
    "integrated-gradients": 4,
    "meaningful-perturbation": 4,
    "region-ablation": 4,
    "region-shapley": 4,
    "extremal-perturbation": 2,
    "occlusion": 2,
    "rise": 2,
}
DELETING = {
    "extremal-perturbation",
    "integrated-gradients",
    "meaningful-perturbation",
    "occlusion",
    "region-ablation",
    "region-shapley",
    "rise",
}


def main() -> None:
    """Explain, score, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.localisation")
    parser.add_argument("--skip", nargs="*", default=[], help="methods that are left out")
    names = [name for name in METHODS if name not in parser.parse_args().skip]
    console = Console(width=110)
    ready = material(console)
    progress = make_progress(console)
    phantom, trained = ready.phantom, ready.trained
    explained, questions = {}, {}
    for name in names:
        chosen = _few(ready, FEWER.get(name, SUBJECTS))
        questions[name] = Question(
            name,
            target=[int(phantom.cohort.labels[i]) for i in chosen],
            class_names=phantom.cohort.class_names,
            options=_options(ready, name),
            seed=SEED,
        )
        volumes = [phantom.cohort[int(i)] for i in chosen]
        explained[name] = explain_and_write(
            ready.study, trained.network, volumes, questions[name], Engine(), progress
        )
    with progress.step("Scoring", len(names)) as advance:
        blind = controls(phantom, trained.train, trained.held_out, lambda done: None)
        judge = Judge(phantom, blind, group_maps(explained, phantom.cohort.class_names), SEED)
        scores = {}
        for done, name in enumerate(names, start=1):
            scores[name] = judge.method_scores(questions[name], explained[name], AFFECTED_CLASS)
            advance(done)
    chance, chance_95 = judge.chance()
    result = {
        "methods": {name: asdict(found) for name, found in scores.items()},
        "controls": {name: asdict(found) for name, found in judge.control_scores().items()},
        "chance_ap": chance,
        "chance_ap_95": chance_95,
    }
    console.print(_table(result))
    text = json.dumps(result, indent=2) + "\n"
    (HERE / "localisation.json").write_text(text, encoding="utf-8")


def _few(ready: Material, count: int) -> NDArray[np.int64]:
    """Take the same number of either class, those first that are classified right."""
    trained, labels = ready.trained, ready.phantom.cohort.labels
    right = trained.logits.argmax(axis=1) == labels[trained.held_out]
    order = trained.held_out[np.argsort(~right, kind="stable")]
    return np.sort(np.concatenate([order[labels[order] == c][: count // 2] for c in (0, 1)]))


def _options(ready: Material, name: str) -> dict[str, Any]:
    """Delete towards the mean training image of the other class; use the regions of AAL."""
    cohort, train = ready.phantom.cohort, ready.trained.train
    options: dict[str, Any] = {}
    if name in DELETING:
        others = {c: cohort.mean(train[cohort.labels[train] != c]) for c in (0, 1)}
        options["reference"] = others
    if name.startswith("region-"):
        options["regions"] = load_atlas("AAL").on(cohort.grid).labels
    if name == "region-shapley":
        options["permutations"] = 2
    return options


def _table(result: dict[str, Any]) -> Table:
    table = Table(title="Average precision against the truth, demo's phantom; group: of class case")
    for column in ("map", "one subject", "group", "95 % of chance", "subjects", "s/subject"):
        table.add_column(column, justify="left" if column == "map" else "right")
    order = sorted(result["methods"].values(), key=lambda m: -m["group_ap"])
    for method in order:
        table.add_row(
            method["label"],
            f"{method['subject_ap']:.3f}",
            f"{method['group_ap']:.3f}",
            f"{method['chance_ap_95']:.3f}",
            str(method["subjects"]),
            f"{method['seconds_per_subject']:.2f}",
        )
    table.add_section()
    for control in result["controls"].values():
        table.add_row(control["label"], "–", f"{control['group_ap']:.3f}", "–", "–", "–")
    table.add_row("Chance", "–", f"{result['chance_ap']:.3f}", "–", "–", "–")
    return table


if __name__ == "__main__":
    main()
