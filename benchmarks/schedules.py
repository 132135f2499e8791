"""``python -m benchmarks.schedules``: the paper's network under schedules beside the default one.

A phantom of its own, not the one that `benchmarks.classifiers` quotes, five folds. Each schedule
changes one thing of the default. Prints a table and writes ``benchmarks/schedules.json``. Studies
stay in ``out/bench``: what is trained is kept, and a rerun goes on.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.classifiers import FOLDS, phantom_study
from benchmarks.material import FOLDER
from voxplain.console import make_progress
from voxplain.fit import PAPER_SCHEDULE, Schedule
from voxplain.pipeline.fit.run import FitOptions, run_fit
from voxplain.results.summary import fit_json

HERE = Path(__file__).parent
PHANTOM_SEED = 2
DEFAULT = Schedule()
SCHEDULES = {
    "default": DEFAULT,
    "6 epochs": replace(DEFAULT, epochs=6),
    "24 epochs": replace(DEFAULT, epochs=24),
    "batches of 8": replace(DEFAULT, batch_size=8),
    "rate 1e-3": replace(DEFAULT, learning_rate=1e-3),
    "the paper's": PAPER_SCHEDULE,
}


def main() -> None:
    """Train what is not trained yet, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schedules")
    parser.add_argument("--only", choices=list(SCHEDULES), help="train this one and write nothing")
    only = parser.parse_args().only
    console = Console(width=110)
    progress = make_progress(console)
    folder = FOLDER / "schedules"
    study = phantom_study(folder / "phantom", progress, seed=PHANTOM_SEED)
    rows = []
    for name, schedule in SCHEDULES.items():
        if only not in (None, name):
            continue
        progress.say(name)
        out = folder / name.replace(" ", "-").replace("'", "")
        options = FitOptions(
            study, out, folds=FOLDS, schedule=schedule, final=False, baselines=False
        )
        found = run_fit(options, progress)
        fit = fit_json(found)
        rows.append({"schedule": name, "words": fit["schedule"], **_kept(fit["models"]["mrinet"])})
    table = Table("schedule", "accuracy (95 %)", "ROC AUC", "Brier", "s a fold")
    for row in rows:
        low, high = row["accuracy"]["ci"]
        table.add_row(
            row["schedule"],
            f"{row['accuracy']['mean']:.3f} ({low:.2f} to {high:.2f})",
            f"{row['roc_auc']:.3f}",
            f"{row['brier']:.3f}",
            f"{row['training_seconds'] / FOLDS:.0f}",
        )
    console.print(table)
    if only:
        return
    text = json.dumps({"ceiling": fit["ceiling"], "scans": fit["scans"], "rows": rows}, indent=2)
    (HERE / "schedules.json").write_text(text + "\n", encoding="utf-8")


def _kept(model: dict[str, Any]) -> dict[str, Any]:
    return {
        "accuracy": model["accuracy"],
        "roc_auc": model["roc_auc"]["mean"],
        "brier": model["brier"]["mean"],
        "training_seconds": model["training_seconds"],
    }


if __name__ == "__main__":
    main()
