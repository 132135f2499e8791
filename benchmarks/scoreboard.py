"""``make scoreboard``: which method finds what, on phantoms whose truth is known.

For each cell (scenario, base, subjects, seed, network) it makes the phantom, trains five folds,
explains every held-out scan by every method, and holds the maps against the truth as
``voxplain explain STUDY`` does. What is made stays in ``out/bench/scoreboard``, so that a rerun
goes on; what stands in ``docs/scoreboard.json`` already is made only with ``--again``.
``--part 1/4`` takes every fourth cell, for several nights or machines, ``--jobs 8`` makes eight at
once, and ``--short`` is a battery of a quarter of an hour. Then all cells are gathered into
``docs/scoreboard.json``, ``docs/scoreboard.md`` and its figure.

No choice that the recommended method makes was made on these seeds: it was tuned on seed 100.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.material import FOLDER
from benchmarks.scoreboard_cells import VOXEL_SIZE, committed_places, place_of
from benchmarks.scoreboard_maps import magnitudes, maps_of, suppressor_shares
from benchmarks.scoreboard_null import called_better
from benchmarks.scoreboard_pages import write_pages
from voxplain.cohort.store.reader import open_store
from voxplain.console import make_progress
from voxplain.fit.training.schedule import Schedule
from voxplain.phantom import make_scenario
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.study.run import explain_study
from voxplain.pipeline.fit.run import FitOptions, run_fit
from voxplain.pipeline.phantom import PhantomOptions, make_phantom_study
from voxplain.progress import Progress, Silent
from voxplain.results.fit import FitResult
from voxplain.study import Study

HOME = FOLDER / "scoreboard"
IXI = Path(__file__).parents[1] / "../shared/data/ixi30"
METHODS = (
    "recommended", "pattern", "smoothgrad", "gradient", "guided-backprop", "grad-cam",
)  # fmt: skip
# Hundreds of passes a scan.
SLOW = ("meaningful-perturbation",)
FOLDS, DPRIME = 5, 3.0
# The paper's grid has voxels of 3.1 mm.
FINE = 3.1
# Of larger cohorts so many are explained, half of them cases.
EXPLAINED = 120
# Scans with the effect are explained for "case", the others for "control".
TARGET, CASE = "own", "case"


@dataclass(frozen=True)
class Cell:
    """One phantom and one network.

    Parameters
    ----------
    scenario : str
    base : {"template", "ixi30"}
    subjects, seed : int
    network : str
    folds : int
    schedule : Schedule
        Of the training: the usual one, unless a scenario needs more.
    repeats : int
        Of the folds, each time divided anew; a map is the mean over one network of each.
    voxel_size_mm : float
    perturbed : int
        So many scans are explained by the paper's slow method too.
    """

    scenario: str
    base: str
    subjects: int
    seed: int
    network: str = "mrinet"
    folds: int = FOLDS
    schedule: Schedule = field(default_factory=Schedule)
    repeats: int = 1
    voxel_size_mm: float = VOXEL_SIZE
    perturbed: int = 0

    @property
    def study(self) -> Path:
        """Where the phantom lies, with all that was trained on it."""
        name = f"{self.scenario}-{self.base}-{self.subjects}-{self.seed}"
        name += f"-{self.repeats}repeats" * (self.repeats > 1)
        return HOME / (name + f"-{self.voxel_size_mm:g}mm" * (self.voxel_size_mm != VOXEL_SIZE))

    @property
    def record(self) -> Path:
        """What was found."""
        return self.study / f"scoreboard-{self.network}.json"


def all_cells() -> list[Cell]:
    """List all that the scoreboard is made of.

    Returns
    -------
    list of Cell
    """
    made = []
    # Two regions together are learnt by more steps of larger batches, or not at all.
    trainings = [(20, 4, 3e-4, 3), (60, 16, 1e-3, 3), (60, 8, 3e-4, 2), (100, 16, 3e-4, 2)]
    for seed, (epochs, batch, rate, folds) in enumerate(trainings, start=1):
        schedule = Schedule(epochs=epochs, batch_size=batch, learning_rate=rate)
        made.append(Cell("interaction", "template", 900, seed, folds=folds, schedule=schedule))
    for seed in (1, 2, 3):
        for base in ("template", "ixi30"):
            made += [Cell("additive", base, 120, seed), Cell("null", base, 120, seed)]
        made.append(Cell("suppressor", "template", 480, seed))
        made += [Cell("additive", "template", n, seed) for n in (60, 240)]
        made += [Cell("additive", "template", 120, seed, n) for n in ("resnet10", "sfcn")]
        others = ("head-size-and-effect", "families", "shortcut")
        made += [Cell(name, "template", 120, seed) for name in others]
        made.append(Cell("additive", "template", 120, seed, repeats=2))
    # Cohorts differ more than scans do: what is compared with the t-map is drawn more often.
    made += [Cell("additive", "template", 120, seed, perturbed=40) for seed in (4, 5, 6)]
    made += [Cell("additive", "template", 120, seed, repeats=2) for seed in (4, 5, 6)]
    made.append(Cell("additive", "template", 120, 1, voxel_size_mm=FINE))
    # Half the scans of seed 2's interaction, in as many steps.
    schedule = Schedule(epochs=60, batch_size=8, learning_rate=1e-3)
    made.append(Cell("interaction", "template", 450, 2, folds=3, schedule=schedule))
    return made


SHORT = (Cell("additive", "template", 60, 1), Cell("null", "template", 60, 1))


def main() -> None:
    """Make what is not made yet, gather, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scoreboard")
    parser.add_argument("--part", default="1/1", help="such as 2/4: every fourth cell")
    parser.add_argument("--only", default="", help="cells whose folder holds this")
    parser.add_argument("--network", default="", help="cells of this network")
    parser.add_argument("--jobs", type=int, default=1, help="cells at once")
    parser.add_argument("--short", action="store_true", help="a quarter of an hour")
    parser.add_argument("--again", action="store_true", help="also what is in docs already")
    parser.add_argument("--gather", action="store_true", help="only write what is there")
    asked = parser.parse_args()
    number, parts = (int(word) for word in asked.part.split("/"))
    chosen = [
        one
        for one in all_cells()
        if asked.only in one.study.name and asked.network in ("", one.network)
    ]
    chosen = list(SHORT) if asked.short else chosen[number - 1 :: parts]
    console = Console(width=110)
    # Networks of one phantom share its folder, and are made one after the other.
    known = set() if asked.again else committed_places()
    lacking = [one for one in chosen if not one.record.exists()]
    todo = [] if asked.gather else [one for one in lacking if place_of(asdict(one)) not in known]
    together = [
        [one for one in todo if one.study == study] for study in {one.study: 1 for one in todo}
    ]
    together.sort(key=lambda cells: -sum(one.subjects for one in cells))
    if asked.jobs > 1:
        with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
            begun = [pool.submit(_make_quietly, cells) for cells in together]
            for done in as_completed(begun):
                console.print(done.exception() or done.result())
    else:
        for cells in together:
            _make(cells, make_progress(console))
    write_pages([json.loads(path.read_text()) for path in sorted(HOME.glob("*/scoreboard-*.json"))])


def _make(cells: list[Cell], progress: Progress) -> None:
    for cell in cells:
        progress.say(f"[b]{cell.study.name}[/], {cell.network}")
        found = run(cell, progress)
        Study(cell.study, "voxplain study", "").write_json(cell.record.name, found)


def _make_quietly(cells: list[Cell]) -> str:
    torch.set_num_threads(1)
    began = time.perf_counter()
    _make(cells, Silent())
    names = ", ".join(f"{cell.study.name} {cell.network}" for cell in cells)
    return f"{names}: {time.perf_counter() - began:.0f} s"


def run(cell: Cell, progress: Progress) -> dict[str, Any]:
    """Make a cell from nothing, or from what was made of it before.

    Parameters
    ----------
    cell : Cell
    progress : Progress

    Returns
    -------
    dict
    """
    study, fit = cell.study, fitted(cell, progress)
    accuracy = fit.models[cell.network].judged.scores["accuracy"]
    found = _judged(cell, METHODS, EXPLAINED, progress)
    summary = json.loads((study / "summary.json").read_text())
    made: dict[str, Any] = asdict(cell) | {
        "accuracy": accuracy.mean,
        "accuracy_ci": list(accuracy.ci),
        "bayes_accuracy": summary["phantom"]["bayes_accuracy"],
    }
    if cell.scenario == "null":
        maps = {name: maps_of(study, name) for name in METHODS}
        return made | {"null": called_better(open_store(study / "cohort"), maps, cell.seed)}
    slow = _judged(cell, SLOW, cell.perturbed, progress) if cell.perturbed else {}
    return made | {
        "methods": {name: one["judgement"] for name, one in found.items()},
        "of_some": {name: one["judgement"] for name, one in slow.items()},
        "magnitude_ap": magnitudes(study, METHODS, CASE),
        "suppressor": suppressor_shares(study, found),
    }


def _judged(
    cell: Cell, methods: Sequence[str], sample: int, progress: Progress
) -> dict[str, dict[str, Any]]:
    """Explain scans for their own classes, and tell of each method how it finds that of cases."""
    options = ScanOptions(
        *(cell.network, (), (), cell.study),
        methods=tuple(methods),
        target=TARGET,
        sample=sample,
        maps="nifti",
        repeats=cell.repeats,
    )
    group = explain_study(options, progress).record["group"]
    return {
        name: next((one for one in group[name] if one["target"] == CASE), {}) for name in methods
    }


def fitted(cell: Cell, progress: Progress) -> FitResult:
    """Make a cell's phantom and train its network, as far as that is not done."""
    study = cell.study
    if not (study / "cohort" / "store.json").exists():
        base = IXI if cell.base == "ixi30" else None
        scenario = make_scenario(cell.scenario, DPRIME)
        options = PhantomOptions(
            study,
            cell.subjects,
            seed=cell.seed,
            voxel_size=cell.voxel_size_mm,
            scenario=scenario,
            base=base,
        )
        make_phantom_study(options, progress)
    return run_fit(
        FitOptions(
            *(study, study, (cell.network,)),
            folds=cell.folds,
            repeats=cell.repeats,
            schedule=cell.schedule,
            final=False,
            baselines=False,
        ),
        progress,
    )


if __name__ == "__main__":
    main()
