"""Parts of a run on one machine: how much faster, and how memory, time and files grow.

``python -m benchmarks.shards efficiency FOLDER [SCANS]`` explains a study in 1, 2, 4 and 8
processes at once, with a network that sleeps a second a pass, so that processors are not what is
shared; 2,560 scans take a quarter of an hour. ``real`` instead of ``efficiency`` does it with the
paper's network on the paper's grid, where processors are shared; 96 scans take six minutes.
``dask`` and ``dask-real`` do the same with ``--workers``, the joining included. ``whole`` explains
1,113 stand-ins on the paper's grid by the paper's network, untrained but for an epoch, and three
methods, in a part for each processor, and joins them. ``python -m
benchmarks.shards soak FOLDER COUNT ...`` prepares so many small scans in two parts, trains,
explains by three methods in two parts, joins what was made once more, tests one method's maps,
classifies again under masks, judges with a budget of a minute, and writes the report. FOLDER must
be new, but for ``whole``, which takes the study that it has made there; what is found is printed as
JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from torch import nn

from voxplain.cohort import from_table
from voxplain.cohort.prepare.recipe import Recipe
from voxplain.cohort.store.writer import write_store
from voxplain.console import make_console, make_progress
from voxplain.grid import KAN2020_GRID, Grid
from voxplain.pipeline.cohort.parts import cohort_part, whole_cohort
from voxplain.pipeline.cohort.run import CohortOptions
from voxplain.pipeline.shards.parts import read_part
from voxplain.study import Study
from voxplain.volume import Cohort

GRID = Grid((24, 24, 24), np.diag([-8.0, 8, 8, 1]))
SMALL = Grid((16, 16, 16), np.diag([-12.0, 12, 12, 1]))
NETWORK = ("--network", "benchmarks.shards:build", "--device", "cpu")
SOAKED = ("--network", "benchmarks.shards:build_small", "--device", "cpu")
METHODS = ("gradient", "input-x-gradient", "recommended")
WHOLE = ("recommended", "guided-backprop", "grad-cam")
TRAINED = ("--cv", 2, "--epochs", 1, "--no-final", "--no-baselines")
SLEEP = "VOXPLAIN_BENCH_SLEEP"


class Sleepy(nn.Sequential):
    """A small network whose pass takes as long as the environment says."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Sleep, and then compute."""
        time.sleep(float(os.environ.get(SLEEP, "0")))
        found: torch.Tensor = super().forward(x)
        return found


def build() -> nn.Module:
    """Return the network."""
    return Sleepy(
        nn.AvgPool3d(4), nn.Conv3d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 2)
    )


def build_small() -> nn.Module:
    """Return a network for small scans."""
    return nn.Sequential(
        nn.AvgPool3d(4), nn.Conv3d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8, 2)
    )


def image(index: int, grid: Grid) -> np.ndarray:
    """Make a scan of noise, with a block that differs between the classes."""
    part = slice(grid.shape[0] // 3, 7 * grid.shape[0] // 12)
    values = np.random.default_rng(index).normal(size=grid.shape).astype(np.float32)
    values[part, part, part] += 3 * (index % 2)
    return values


def listed(count: int) -> pd.DataFrame:
    """Return a table of participants of two classes."""
    names = np.array(["control", "case"])[np.arange(count) % 2]
    return pd.DataFrame({"participant_id": [f"sub-{i:06d}" for i in range(count)], "label": names})


def make_study(
    folder: Path, count: int, grid: Grid = GRID, network: tuple[object, ...] = NETWORK
) -> Path:
    """Write a study of `count` scans, and train on it."""
    cohort = Cohort(listed(count), ("control", "case"), grid, lambda index: image(index, grid))
    Study(folder, "benchmark", "0")
    write_store(folder / "cohort", cohort, "benchmark")
    run("fit", folder, *network, *TRAINED)
    return folder


def write_scans(folder: Path, count: int) -> Path:
    """Write small scans as NIfTI files, and the table that lists them."""
    folder.mkdir(parents=True)
    for index in range(count):
        values = image(index, SMALL) + 10
        nib.save(nib.Nifti1Image(values, SMALL.affine), folder / f"{index:06d}.nii")
    table = listed(count).assign(image=[f"{index:06d}.nii" for index in range(count)])
    table.to_csv(folder / "scans.tsv", sep="\t", index=False)
    return folder / "scans.tsv"


def prepare(study: Path, table: Path, part: str) -> None:
    """Do what ``voxplain cohort table`` does, on the grid of the small scans."""
    recipe = Recipe("small", SMALL, intensity="zscore")
    options, progress = CohortOptions(study, recipe, 1), make_progress(make_console())
    if part == "all":
        whole_cohort(from_table(table, "label"), options, progress)
    else:
        cohort_part(from_table(table, "label"), options, read_part(part), progress)


def start(*words: object, sleep: float = 0.0) -> subprocess.Popen[bytes]:
    """Start a command."""
    module = "benchmarks.shards" if words[0] == "prepare" else "voxplain"
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, words)],
        stdout=subprocess.DEVNULL,
        env={"OMP_NUM_THREADS": "1", **os.environ, SLEEP: str(sleep)},
    )


def run(*words: object, right: tuple[int, ...] = (0,)) -> dict[str, float]:
    """Run a command; return its seconds, those of processors, and its peak of memory in MB.

    ``own_mb`` leaves out pages of mapped files, which the system takes back when it needs room.
    """
    began, own = time.perf_counter(), 0
    process = start(*words)
    while True:
        done, status, used = os.wait4(process.pid, os.WNOHANG)
        if done:
            break
        own = max(own, _own_kilobytes(process.pid))
        time.sleep(0.1)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in right:
        raise SystemExit(f"voxplain {' '.join(map(str, words))} ended with {process.returncode}")
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss / 1024),
        "own_mb": round(own / 1024),
    }


def _own_kilobytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@dataclass(frozen=True)
class Load:
    """What workers are given to do."""

    network: tuple[object, ...]
    method: str
    grid: Grid
    scans: int
    sleep: float = 0.0


LOADS = {
    "efficiency": Load(NETWORK, "gradient", GRID, 2560, sleep=1.0),
    "real": Load(("--network", "mrinet", "--device", "cpu"), "smoothgrad", KAN2020_GRID, 96),
}


def efficiency(folder: Path, load: Load, dask: bool) -> dict[str, dict[str, float]]:
    """Explain in several processes at once.

    ``seconds`` are those of all, from the start of the first program to the end of the last;
    ``begun`` counts from when the first part had opened the study. Efficiency is the time of one
    worker over that of several and their number; ``of_processors`` counts no more workers than
    there are processors.
    """
    asked = (*load.network, "--method", load.method)
    found: dict[str, dict[str, float]] = {}
    make_study(folder / "made", load.scans, load.grid, load.network)
    for workers in (1, 2, 4, 8):
        study = folder / f"workers-{workers}"
        subprocess.run(["cp", "-r", str(folder / "made"), str(study)], check=True)
        each = [("--workers", workers)]
        if not dask:
            run("explain", study, *asked, "--shard", f"0/{workers}")
            each = [("--shard", f"{i}/{workers}") for i in range(1, workers + 1)]
        began = time.perf_counter()
        started = [start("explain", study, *asked, *more, sleep=load.sleep) for more in each]
        if any(process.wait() for process in started):
            raise SystemExit("a part failed")
        told = {"seconds": time.perf_counter() - began}
        if not dask:
            records = [json.loads(path.read_text()) for path in study.rglob("part-*.json")]
            ends = [[one[when] for one in records] for when in ("began", "told")]
            told["begun"] = max(ends[1]) - min(ends[0])
        first = found.get("1", told)
        for what in [*told]:
            faster = first[what] / told[what]
            told[f"efficiency_{what}"] = faster / workers
            told[f"of_processors_{what}"] = faster / min(workers, os.cpu_count() or 1)
        found[f"{workers}"] = {what: round(value, 2) for what, value in told.items()}
        shutil.rmtree(study)
    return found


def whole(folder: Path, scans: int) -> dict[str, object]:
    """Explain a cohort as large as the paper's; say what each step took."""
    network = ("--network", "mrinet", "--device", "cpu")
    asked = (*network, *(word for name in WHOLE for word in ("--method", name)))
    study, parts = folder / "study", os.cpu_count() or 1
    if not (study / "summary.json").exists():
        make_study(study, scans, KAN2020_GRID, network)
    began = time.perf_counter()
    fixed = run("explain", study, *asked, "--shard", f"0/{parts}")
    started = [
        start("explain", study, *asked, "--shard", f"{i}/{parts}") for i in range(1, parts + 1)
    ]
    if any(process.wait() for process in started):
        raise SystemExit("a part failed")
    made = time.perf_counter() - began - fixed["seconds"]
    joined = run("explain", study, *asked)
    return {
        "scans": scans,
        "methods": list(WHOLE),
        "parts": parts,
        "fixing": fixed["seconds"],
        "parts_at_once": round(made, 1),
        "joining": joined["seconds"],
        "seconds": round(time.perf_counter() - began, 1),
    }


def soak(folder: Path, counts: list[int]) -> dict[str, dict[str, object]]:
    """Explain ever more scans in two parts, join, test, report, and look what it took and left."""
    asked = (*SOAKED, "--target", "case", *(w for name in METHODS for w in ("--method", name)))
    found: dict[str, dict[str, object]] = {}
    for count in counts:
        study, table = folder / f"scans-{count}", write_scans(folder / f"nifti-{count}", count)
        test = ("--method", METHODS[0], "--permutations", 100, "--atlas", "none")
        masked = ("--method", METHODS[0], "--cv", 2, "--epochs", 1)
        test += ("--statistic", "voxel", "--statistic", "mass")
        told: dict[str, object] = {
            "cohort, part": run("prepare", study, table, "1/2"),
            "cohort, rest and joining": run("prepare", study, table, "all"),
            "fit": run("fit", study, *SOAKED, *TRAINED),
            "part": run("explain", study, *asked, "--shard", "1/2"),
            "rest and joining": run("explain", study, *asked),
            "joining alone": run("explain", study, *asked),
            "files": _count(study),
            "files_of_maps": _count(study / "maps"),
            "group": run("group", study, *test),
            "reclassify": run("reclassify", study, *SOAKED, *masked),
            "trust": run("trust", study, "--method", METHODS[0], "--budget", "1m", right=(0, 3, 4)),
            "report": run("report", study, "--atlas", "none", "--no-figures"),
        }
        maps = [path for path in (study / "maps").rglob("*") if path.is_file()]
        told["bytes_per_map"] = round(
            sum(path.stat().st_size for path in maps) / count / len(METHODS)
        )
        told["manifest_bytes_per_scan"] = round(
            sum(path.stat().st_size for path in (study / "runs").rglob("manifest.json")) / count
        )
        found[f"{count}"] = told
        print(json.dumps({f"{count}": told}), file=sys.stderr, flush=True)
    return found


def _count(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def main() -> None:
    """Run what is asked for."""
    what, folder, *numbers = sys.argv[1:]
    if what == "prepare":
        prepare(Path(folder), Path(numbers[0]), numbers[1])
        return
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=what == "whole")
    counts = [int(number) for number in numbers]
    if what == "soak":
        found: object = soak(place, counts)
    elif what == "whole":
        found = whole(place, *counts or [1113])
    else:
        load = LOADS[what.removeprefix("dask-").replace("dask", "efficiency")]
        load = replace(load, scans=counts[0]) if counts else load
        found = efficiency(place, load, dask=what.startswith("dask"))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
