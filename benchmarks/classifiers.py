"""``python -m benchmarks.classifiers``: every network and voxel model, with and without an effect.

Three phantom studies, five folds each: one whose cases carry the effect, one without any effect
whose families are kept together, and the same one with families split. Prints a table, and writes
``benchmarks/classifiers.json`` and ``benchmarks/classifiers.png``. Studies stay in ``out/bench``:
what is trained is kept, and a rerun goes on. With ``--networks`` and ``--studies``, all other
figures stay as they are in the file, but for those of networks that an earlier version trained with
wrong gradients: these are left out until they are trained again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.classifiers_figure import draw
from benchmarks.material import FOLDER, SEED
from voxplain.cohort.store.reader import open_store
from voxplain.console import make_progress
from voxplain.fit.training.arithmetic import cut_convolutions
from voxplain.nets import NETWORKS, build_network
from voxplain.pipeline.fit.run import FitOptions, run_fit
from voxplain.pipeline.phantom import PhantomOptions, make_phantom_study
from voxplain.progress import Progress
from voxplain.report.words.scores import ScoreRow, score_row
from voxplain.results.scores import HeldOut
from voxplain.results.summary import fit_json

HERE = Path(__file__).parent
JSON = HERE / "classifiers.json"
FOLDS = 5
VOXEL_SIZE = 5.0
SUBJECTS = 80
FAMILIES: dict[str, Any] = {"subjects": 60, "family_size": 2, "strength": 0.0, "seed": SEED + 1}
STUDIES = ("effect", "no effect", "no effect, families split")
# Trained with families split as well: enough to show what that does.
SPLIT = ("mrinet", "slicenet", "sfcn")


def main() -> None:
    """Train what is not trained yet, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.classifiers")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--studies", nargs="*", default=STUDIES, choices=STUDIES)
    asked = parser.parse_args()
    console = Console(width=110)
    progress = make_progress(console)
    folder = FOLDER / "classifiers"
    effect = phantom_study(folder / "effect", progress)
    null = phantom_study(folder / "null", progress, **FAMILIES)
    fits = _believed(_read(), open_store(effect / "cohort").grid.shape)
    for title, study, out, group in zip(
        STUDIES,
        (effect, null, null),
        (effect, null, folder / "null-split"),
        ("auto", "auto", "none"),
        strict=True,
    ):
        names = [n for n in asked.networks if n in SPLIT or title != STUDIES[2]]
        if names and title in asked.studies:
            options = FitOptions(study, out, tuple(names), folds=FOLDS, group=group, final=False)
            found = run_fit(options, progress)
            made = _kept(fit_json(found))
            kept = fits.get(title, {"models": {}})["models"] | made["models"]
            order = [*(n for n in NETWORKS if n in kept), *(n for n in kept if n not in NETWORKS)]
            fits[title] = made | {"models": {name: kept[name] for name in order}}
    console.print(_table(fits))
    JSON.write_text(json.dumps(fits, indent=2) + "\n", encoding="utf-8")
    (HERE / "classifiers.png").write_bytes(draw({n: _rows(f) for n, f in fits.items()}, fits))


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
        asked = PhantomOptions(out, subjects, strength, family_size, seed, VOXEL_SIZE)
        make_phantom_study(asked, progress)
    return out


def _table(fits: dict[str, dict[str, Any]]) -> Table:
    table = Table(
        "model", *fits, title="Held-out accuracy (95 % interval), p against shuffled labels"
    )
    for model in dict.fromkeys(name for fit in fits.values() for name in fit["models"]):
        cells = []
        for fit in fits.values():
            found = fit["models"].get(model)
            cells.append("" if found is None else _words(found))
        table.add_row(model, *cells)
    return table


def _words(model: dict[str, Any]) -> str:
    accuracy = model["accuracy"]
    low, high = accuracy["ci"]
    return f"{accuracy['mean']:.3f} ({low:.2f} to {high:.2f}), {model['p']:.3f}"


def _kept(fit: dict[str, Any]) -> dict[str, Any]:
    """Keep what the documentation quotes; the studies hold the rest."""
    models = {
        name: {
            "accuracy": model["accuracy"],
            "roc_auc": model["roc_auc"]["mean"],
            "p": model["permutation"]["p"],
            "parameters": model.get("parameters"),
            "training_seconds": model.get("training_seconds"),
            "arithmetic": model.get("arithmetic", {}).get("words"),
        }
        for name, model in fit["models"].items()
    }
    told = ("scans", "folds", "grouping", "ceiling", "schedule")
    return {key: fit[key] for key in told} | {"models": models}


def _read() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(JSON.read_text("utf-8")) if JSON.exists() else {}
    return content


def _believed(before: dict[str, Any], shape: tuple[int, int, int]) -> dict[str, Any]:
    """Leave out what was trained before layers with wrong gradients ran in float32."""
    names = {name for fit in before.values() for name in fit["models"] if name in NETWORKS}
    example = torch.zeros(1, 1, *shape)
    wrong = {n for n in names if cut_convolutions(build_network(n, shape, 2), example)}
    return {
        title: fit
        | {
            "models": {
                name: model
                for name, model in fit["models"].items()
                if name not in wrong or model.get("arithmetic")
            }
        }
        for title, fit in before.items()
    }


def _rows(fit: dict[str, Any]) -> list[ScoreRow]:
    rows = []
    for name, model in fit["models"].items():
        group, _, label = ("network", "", name) if name in NETWORKS else name.partition(", ")
        rows.append(score_row(label, group, HeldOut(**model["accuracy"]), single=False))
    return rows


if __name__ == "__main__":
    main()
