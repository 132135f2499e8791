"""``python -m benchmarks.classifiers``: every network and voxel model, with and without an effect.

Three phantom studies, five folds each: one whose cases carry the effect, one without any effect
whose families are kept together, and the same one with families split. Prints a table, and writes
``benchmarks/classifiers.json`` and ``benchmarks/classifiers.png``. Studies stay in ``out/bench``:
what is trained is kept, and a rerun goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.classifiers_figure import draw
from benchmarks.material import FOLDER, SEED
from voxplain.console import make_progress
from voxplain.nets import NETWORKS
from voxplain.pipeline.fit import FitOptions, run_fit
from voxplain.pipeline.phantom import make_phantom_study
from voxplain.progress import Progress
from voxplain.report.fit_page import score_rows

HERE = Path(__file__).parent
FOLDS = 5
VOXEL_SIZE = 5.0
SUBJECTS = 80
FAMILIES: dict[str, Any] = {"subjects": 60, "family_size": 2, "strength": 0.0, "seed": SEED + 1}
# Trained with families split as well: enough to show what that does.
SPLIT = ("mrinet", "slicenet", "sfcn")


def main() -> None:
    """Train what is not trained yet, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.classifiers")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    names = parser.parse_args().networks
    console = Console(width=110)
    progress = make_progress(console)
    folder = FOLDER / "classifiers"
    effect = phantom_study(folder / "effect", progress)
    null = phantom_study(folder / "null", progress, **FAMILIES)
    some = [name for name in SPLIT if name in names]
    fits = {
        "effect": _fit(effect, names, progress),
        "no effect": _fit(null, names, progress),
        "no effect, families split": _fit(
            null, some, progress, out=folder / "null-split", group="none"
        ),
    }
    console.print(_table(fits))
    text = json.dumps({name: _kept(fit) for name, fit in fits.items()}, indent=2) + "\n"
    (HERE / "classifiers.json").write_text(text, encoding="utf-8")
    (HERE / "classifiers.png").write_bytes(draw({n: score_rows(f) for n, f in fits.items()}, fits))


def phantom_study(
    out: Path,
    progress: Progress,
    subjects: int = SUBJECTS,
    strength: float | None = None,
    family_size: int = 1,
    seed: int = SEED,
) -> Path:
    """Make a phantom study of coarse voxels, unless it is there."""
    if not (out / "cohort" / "store.json").exists():
        make_phantom_study(out, subjects, strength, family_size, seed, progress, VOXEL_SIZE)
    return out


def _fit(
    study: Path,
    networks: list[str],
    progress: Progress,
    out: Path | None = None,
    group: str = "auto",
) -> dict[str, Any]:
    options = FitOptions(
        study, out or study, tuple(networks), folds=FOLDS, group=group, final=False
    )
    return run_fit(options, progress)


def _table(fits: dict[str, dict[str, Any]]) -> Table:
    table = Table(
        "model", *fits, title="Held-out accuracy (95 % interval), p against shuffled labels"
    )
    for model in fits["effect"]["models"]:
        cells = []
        for fit in fits.values():
            found = fit["models"].get(model)
            cells.append("" if found is None else _words(found))
        table.add_row(model, *cells)
    return table


def _words(model: dict[str, Any]) -> str:
    accuracy = model["accuracy"]
    low, high = accuracy["ci"]
    return f"{accuracy['mean']:.3f} ({low:.2f} to {high:.2f}), {model['permutation']['p']:.3f}"


def _kept(fit: dict[str, Any]) -> dict[str, Any]:
    """Keep what the documentation quotes; the studies hold the rest."""
    models = {
        name: {
            "accuracy": model["accuracy"],
            "roc_auc": model["roc_auc"]["mean"],
            "p": model["permutation"]["p"],
            "parameters": model.get("parameters"),
            "training_seconds": model.get("training_seconds"),
        }
        for name, model in fit["models"].items()
    }
    told = ("scans", "folds", "grouping", "ceiling", "schedule")
    return {key: fit[key] for key in told} | {"models": models}


if __name__ == "__main__":
    main()
