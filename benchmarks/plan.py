"""What ``voxplain plan`` tells, and what the run then takes, on a small and on a large grid.

``python -m benchmarks.plan FOLDER [CASE ...]`` makes a study of noise for each case, trains the
paper's network on it for an epoch, plans, explains in one process, and once more in two parts and
a join, one after the other, as two machines would do them at once. FOLDER must be new; what is
found is printed as JSON. A quiet machine is needed: the plan measures for seconds what then runs
for minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.shards import run
from voxplain.cohort.store.writer import write_store
from voxplain.grid import KAN2020_GRID, Grid
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.study.plan import plan_study
from voxplain.progress import Silent
from voxplain.study import Study
from voxplain.volume import Cohort

SAMPLES = "smoothgrad:samples=4"
METHODS = ("gradient", "grad-cam", "smoothgrad")
ASKED = (
    *("--network", "mrinet", "--device", "cpu", "--option", SAMPLES),
    *(word for name in METHODS for word in ("--method", name)),
)


@dataclass(frozen=True)
class Case:
    """A study to plan."""

    voxel_mm: float
    scans: int
    folds: int


CASES = {"small": Case(6.0, 400, 5), "large": Case(2.0, 64, 2)}


def make_study(folder: Path, case: Case) -> Path:
    """Write a study of noise, and train on it."""
    grid: Grid = KAN2020_GRID.recut(case.voxel_mm)

    def image(index: int) -> np.ndarray:
        return np.random.default_rng(index).normal(size=grid.shape).astype(np.float32)

    names = np.array(["control", "case"])[np.arange(case.scans) % 2]
    ids = [f"sub-{i:04d}" for i in range(case.scans)]
    table = pd.DataFrame({"participant_id": ids, "label": names})
    Study(folder, "benchmark", "0")
    write_store(folder / "cohort", Cohort(table, ("control", "case"), grid, image), "benchmark")
    few = ("--cv", case.folds, "--epochs", 1, "--no-final", "--no-baselines")
    run("fit", folder, "--network", "mrinet", "--device", "cpu", *few)
    return folder


def told(study: Path) -> dict[str, Any]:
    """Plan, in this process."""
    options = ScanOptions(
        network="mrinet", weights=(), images=(), out=study, methods=METHODS, options=(SAMPLES,),
        device="cpu",
    )  # fmt: skip
    plan = plan_study(options, Silent())
    return {
        "seconds": plan.seconds(),
        "seconds_2_machines": plan.seconds(2),
        "memory_mb": plan.memory_bytes / 2**20,
        "disk_mb": plan.disk_bytes / 2**20,
    }


def taken(study: Path) -> dict[str, Any]:
    """Explain, in one process."""
    found = run("explain", study, *ASKED)
    maps = [path for path in (study / "maps").rglob("*") if path.is_file()]
    return {
        "seconds": found["seconds"],
        "memory_mb": found["peak_mb"],
        "disk_mb": sum(path.stat().st_size for path in maps) / 2**20,
    }


def taken_in_parts(study: Path) -> float:
    """Explain in two parts; count the longer one, and what comes before and after."""
    before, first, second, after = (
        run("explain", study, *ASKED, *more)["seconds"]
        for more in (("--shard", "0/2"), ("--shard", "1/2"), ("--shard", "2/2"), ())
    )
    return before + max(first, second) + after


def compare(folder: Path, case: Case) -> dict[str, Any]:
    """Pair what was told with what it took."""
    study = make_study(folder / "study", case)
    copy = folder / "copy"
    subprocess.run(["cp", "-r", str(study), str(copy)], check=True)
    words = [sys.executable, "-m", "benchmarks.plan", "--told", str(study)]
    plan = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    truth = {**taken(study), "seconds_2_machines": taken_in_parts(copy)}
    return {
        what: {
            "told": round(plan[what], 1),
            "took": round(truth[what], 1),
            "ratio": round(plan[what] / truth[what], 2),
        }
        for what in plan
    }


def main() -> None:
    """Compare the cases that are named, or all."""
    if sys.argv[1] == "--told":
        print(json.dumps(told(Path(sys.argv[2]))))
        return
    place = Path(sys.argv[1])
    place.mkdir(parents=True)
    names = sys.argv[2:] or [*CASES]
    print(json.dumps({name: compare(place / name, CASES[name]) for name in names}, indent=1))


if __name__ == "__main__":
    main()
