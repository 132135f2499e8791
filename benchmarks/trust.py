"""``python -m benchmarks.trust``: the whole verdict, on studies of which we know what is true.

A phantom of each scenario; the demo's; the 30 IXI brains with the paper's network trained on them,
for sex and for an effect planted in them; the weights published with the paper on the same brains;
a power curve; and what each budget takes. Each is a cell: what was made stays in
``out/bench/trust``, so that a rerun goes on. ``--part 1/4`` takes every fourth cell, for several
machines, ``--jobs 12`` makes twelve at once, the longest first, and ``--budget 5m`` gives all of
them that budget in place of their own. Then all cells that are there take their place in
``benchmarks/trust.json``, beside those of other machines, and all are printed.

For a machine with one GPU and 16 cores, in a quarter of an hour:
``python -m benchmarks.trust --jobs 12 --budget 5m --device cuda``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.material import FOLDER
from voxplain import __version__
from voxplain.cohort import PRESETS
from voxplain.cohort.build import build_store
from voxplain.cohort.find.sources import from_bids
from voxplain.console import make_progress
from voxplain.fit import Schedule
from voxplain.phantom import PRESETS as LIKE_MEASURED
from voxplain.phantom import SCENARIOS, make_scenario
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.study.run import explain_study
from voxplain.pipeline.fit.run import FitOptions, run_fit
from voxplain.pipeline.phantom import PhantomOptions, make_phantom_study
from voxplain.pipeline.spike import SpikeOptions, make_spiked_study
from voxplain.pipeline.trust.opening import TrustOptions
from voxplain.pipeline.trust.run import run_trust
from voxplain.pipeline.trust.weights.external import trust_weights
from voxplain.progress import Progress, Silent
from voxplain.results.trust import TrustResult
from voxplain.study import Study

HERE = Path(__file__).parent
HOME = FOLDER / "trust"
# Beside the repository, or in it, where a machine was given a copy of it.
SHARED = next(
    (one for one in (HERE.parents[1] / "shared",) if one.exists()), HERE.parent / "shared"
)
IXI = SHARED / "data/ixi30"
WEIGHTS = SHARED / "reference/kan2020_mrinet_hidden.pt"
METHODS = (
    "recommended", "pattern", "smoothgrad", "gradient", "guided-backprop", "grad-cam",
)  # fmt: skip
NETWORK, FOLDS, VOXEL_SIZE, SCANS, DPRIME = "mrinet", 5, 8.0, 120, 3.0
DEMO_SCANS = 120
NUMBERS = (40, 80, 120, 240)
BUDGETS = ("1m", "3m", "10m", "1h")
# As many steps on 24 scans as the usual schedule takes on 96.
FEW = Schedule(epochs=48)
# A planted effect that a network can learn of 24 brains.
SPIKE, SPIKE_DPRIME = "Hippocampus_L,Hippocampus_R", 5.0


@dataclass(frozen=True)
class Asked:
    """How cells are made.

    Parameters
    ----------
    device : str
    budget : str
        Of every cell; its own where this is empty.
    progress : Progress
    """

    device: str
    budget: str
    progress: Progress


Make = Callable[[Path, Asked], dict[str, Any]]


@dataclass(frozen=True)
class Cell:
    """One study and what is asked of it.

    Parameters
    ----------
    name : str
        Of its folder.
    cost : float
        What it takes, beside the others.
    make : callable
        From the folder and what is asked to what was found.
    """

    name: str
    cost: float
    make: Make

    @property
    def record(self) -> Path:
        """What was found."""
        return HOME / self.name / "benchmark.json"


def phantom(
    scenario: str, budget: str = "night", scans: int = SCANS, power: tuple[int, ...] = ()
) -> Make:
    """Make a phantom of a scenario, and ask for its verdict."""

    def make(study: Path, asked: Asked) -> dict[str, Any]:
        if not (study / "cohort/store.json").exists():
            made = make_scenario(scenario, None if scenario in LIKE_MEASURED else DPRIME)
            options = PhantomOptions(study, scans, seed=1, voxel_size=VOXEL_SIZE, scenario=made)
            make_phantom_study(options, asked.progress)
        return _verdict(study, asked, budget, power)

    return make


def demo(study: Path, asked: Asked) -> dict[str, Any]:
    """Make the phantom of ``make demo``, train its network in five folds, ask for the verdict."""
    if not (study / "cohort/store.json").exists():
        make_phantom_study(PhantomOptions(study, DEMO_SCANS, seed=0), asked.progress)
    return _verdict(study, asked)


def ixi(study: Path, asked: Asked) -> dict[str, Any]:
    """Train the paper's network on the 30 IXI brains, and ask for its verdict."""
    _ixi_cohort(study, asked)
    return _verdict(study, asked, schedule=FEW)


def spiked(study: Path, asked: Asked) -> dict[str, Any]:
    """Plant an effect in the 30 IXI brains, train on it, and ask for the verdict."""
    if not (study / "cohort/store.json").exists():
        own = study.with_name(f"{study.name}-own")
        _ixi_cohort(own, asked)
        planted = SpikeOptions(own, study, SPIKE, dprime=SPIKE_DPRIME)
        make_spiked_study(planted, asked.progress)
    return _verdict(study, asked, schedule=FEW)


def published(study: Path, asked: Asked) -> dict[str, Any]:
    """Ask the published weights about the 30 IXI brains."""
    _ixi_cohort(study, asked)
    options = ScanOptions(NETWORK, (WEIGHTS,), (), study, device=asked.device)
    how = TrustOptions(study, budget=asked.budget or "night", device=asked.device)
    began = time.perf_counter()
    result = trust_weights(replace(options, methods=METHODS), how, asked.progress, forced=True)
    return _told(result, how.budget) | {"trust_seconds": time.perf_counter() - began}


def _ixi_cohort(study: Path, asked: Asked) -> None:
    if not (study / "cohort/store.json").exists():
        Study(study, "voxplain study", __version__)
        recipe = replace(PRESETS["kan2020"], align="centre")
        build_store(from_bids(IXI, "sex"), recipe, study / "cohort", 2, asked.progress)


def _verdict(
    study: Path,
    asked: Asked,
    budget: str = "night",
    power: tuple[int, ...] = (),
    schedule: Schedule | None = None,
) -> dict[str, Any]:
    budget, device, progress = asked.budget or budget, asked.device, asked.progress
    began = time.perf_counter()
    fitting = FitOptions(
        *(study, study, (NETWORK,)),
        folds=FOLDS,
        schedule=schedule or Schedule(),
        final=False,
        baselines=False,
        device=device,
    )
    fitted = run_fit(fitting, progress)
    explaining = ScanOptions(NETWORK, (), (), study, methods=METHODS, target="own", device=device)
    explain_study(explaining, progress)
    before = time.perf_counter() - began
    began = time.perf_counter()
    result = run_trust(
        TrustOptions(study, NETWORK, budget=budget, power=power, device=device), progress
    )
    accuracy = None if fitted is None else fitted.models[NETWORK].judged.scores["accuracy"].mean
    return {
        "accuracy": accuracy,
        "fit_and_explain_seconds": before,
        "trust_seconds": time.perf_counter() - began,
        **_told(result, budget),
        "kept": {
            path.name.rsplit("-", 1)[0]: json.loads(path.read_text())["measurements"]
            for path in sorted((study / "trust").glob("power-*.json"))
        },
    }


def _told(result: TrustResult, budget: str) -> dict[str, Any]:
    return {
        "budget": budget,
        "first": result.first,
        "exit_code": result.exit_code,
        "study": [_row(one) for one in result.study],
        "methods": {
            one.method: {
                "call": one.call,
                "sentence": one.sentence,
                "findings": [_row(finding) for finding in one.findings],
            }
            for one in result.methods
        },
    }


def _row(finding: Any) -> dict[str, Any]:
    one = finding.measurement
    return {
        "test": one.test,
        "outcome": finding.outcome,
        "value": one.value,
        "threshold": finding.threshold,
        "words": one.words,
    }


def _cells() -> list[Cell]:
    made = [Cell(f"phantom-{one}", 5, phantom(one)) for one in (*SCENARIOS, *LIKE_MEASURED)]
    curve = phantom("additive", scans=max(NUMBERS), power=NUMBERS)
    made += [Cell("phantom-power", 20, curve), Cell("demo", 12, demo)]
    made += [Cell(f"budget-{one}", 4, phantom("additive", one)) for one in BUDGETS]
    if IXI.exists():
        made += [Cell("ixi30", 10, ixi), Cell("ixi30-spike", 10, spiked)]
        made += [Cell("ixi30-published", 1, published)] if WEIGHTS.exists() else []
    return made


def main() -> None:
    """Make what is not made yet, gather, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trust")
    parser.add_argument("--part", default="1/1", help="such as 2/4: every fourth cell")
    parser.add_argument("--only", default="", help="cells whose name holds one of these, by commas")
    parser.add_argument("--jobs", type=int, default=1, help="cells at once")
    parser.add_argument("--budget", default="", help="of every cell, in place of its own")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--gather", action="store_true", help="only print what is there")
    asked = parser.parse_args()
    number, parts = (int(word) for word in asked.part.split("/"))
    cells = [one for one in _cells() if any(word in one.name for word in asked.only.split(","))]
    cells = sorted(cells[number - 1 :: parts], key=lambda one: -one.cost)
    todo = [] if asked.gather else [one.name for one in cells if not one.record.exists()]
    console = Console(width=120)
    if asked.jobs > 1:
        with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
            begun = [pool.submit(_make_alone, one, asked.device, asked.budget) for one in todo]
            for done in as_completed(begun):
                console.print(done.exception() or done.result())
    else:
        for name in todo:
            _make(name, Asked(asked.device, asked.budget, make_progress(console)))
    made = {one.name: json.loads(one.record.read_text()) for one in _cells() if one.record.exists()}
    path = HERE / "trust.json"
    told = json.loads(path.read_text("utf-8")) | made
    _print(console, told)
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _make(name: str, asked: Asked) -> None:
    cell = next(one for one in _cells() if one.name == name)
    asked.progress.say(f"[b]{name}[/]")
    found = cell.make(HOME / name, asked)
    Study(cell.record.parent, "voxplain study", __version__).write_json(cell.record.name, found)


def _make_alone(name: str, device: str, budget: str) -> str:
    torch.set_num_threads(1)
    began = time.perf_counter()
    _make(name, Asked(device, budget, Silent()))
    return f"{name}: {time.perf_counter() - began:.0f} s"


def _print(console: Console, told: dict[str, Any]) -> None:
    for name, found in told.items():
        console.print(f"\n[b]{name}[/]: {found['first']}", highlight=False)
        if "methods" not in found:
            continue
        table = Table("method", "verdict", "failed", "not tested", title=_times(found))
        for method, one in found["methods"].items():
            rows = one["findings"]
            cells = [
                ", ".join(r["test"] for r in rows if r["outcome"] == outcome)
                for outcome in ("fail", "not tested")
            ]
            table.add_row(method, one["call"], *cells)
        console.print(table)
        for one in found.get("kept", {}).get("power", []):
            console.print(one["words"], highlight=False)


def _times(found: dict[str, Any]) -> str:
    return (
        f"budget {found['budget']}: {found['trust_seconds']:.0f} s, after "
        f"{found.get('fit_and_explain_seconds', 0):.0f} s of fitting and explaining; exit code "
        f"{found['exit_code']}"
    )


if __name__ == "__main__":
    main()
