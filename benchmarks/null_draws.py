"""``python -m benchmarks.null_draws``: do the intervals of `voxplain fit` hold where nothing is?

Many phantoms without any effect, families of two kept together, five folds each: on average every
model must be at chance, and its 95 % interval must cover chance in all but one of twenty. Prints a
table and writes ``benchmarks/null_draws.json``. Studies stay in ``out/bench``: what is trained is
kept, and a rerun goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.classifiers import FAMILIES, FOLDS, phantom_study
from benchmarks.material import FOLDER
from voxplain.console import make_progress
from voxplain.pipeline.fit.run import FitOptions, run_fit
from voxplain.results.scores import HeldOut

HERE = Path(__file__).parent
FIRST_SEED = 100
DRAWS = 12
# Those that are trained soonest, of the volume and of slices.
TRAINED = ("mrinet", "slicenet-wide")
CHANCE = 0.5


def main() -> None:
    """Train what is not trained yet, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.null_draws")
    parser.add_argument("--only", type=int, nargs="*", help="train these draws and write nothing")
    only = parser.parse_args().only
    console = Console(width=110)
    progress = make_progress(console)
    drawn: dict[str, list[HeldOut]] = {}
    for number in range(DRAWS) if only is None else only:
        seed = FIRST_SEED + number
        out = FOLDER / "null-draws" / f"seed-{seed}"
        study = phantom_study(out, progress, **FAMILIES | {"seed": seed})
        options = FitOptions(study, study, TRAINED, folds=FOLDS, final=False)
        fit = run_fit(options, progress)
        for name, model in fit.models.items():
            drawn.setdefault(name, []).append(model.judged.scores["accuracy"])
    if only is not None:
        return
    rows = [{"model": name, **_told(accuracies)} for name, accuracies in drawn.items()]
    table = Table("model", "mean accuracy ± standard error", "from", "to", "intervals over chance")
    for row in rows:
        table.add_row(
            row["model"],
            f"{row['mean']:.3f} ± {row['error']:.3f}",
            f"{min(row['accuracies']):.2f}",
            f"{max(row['accuracies']):.2f}",
            f"{row['covered']} of {DRAWS}",
        )
    console.print(table)
    result = {"draws": DRAWS, "scans": fit.scans, "folds": fit.folds, "rows": rows}
    (HERE / "null_draws.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _told(accuracies: list[HeldOut]) -> dict[str, Any]:
    scores = np.array([one.mean for one in accuracies])
    low, high = np.array([one.ci for one in accuracies]).T
    return {
        "mean": float(scores.mean()),
        "error": float(scores.std(ddof=1) / np.sqrt(len(scores))),
        "covered": int(((low <= CHANCE) & (high >= CHANCE)).sum()),
        "accuracies": scores.tolist(),
        "intervals": np.stack([low, high], axis=1).tolist(),
    }


if __name__ == "__main__":
    main()
