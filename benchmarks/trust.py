"""``python -m benchmarks.trust``: the whole verdict, on studies of which we know what is true.

A phantom of each scenario; the 30 IXI brains with the paper's network trained on them; the weights
published with the paper on the same brains; a power curve; and what each budget takes. Each is a
cell: what was made stays in ``out/bench/trust``, so that a rerun goes on, and ``--part 1/4`` takes
every fourth cell, for several processes or machines. Then all cells that are there are gathered
into ``benchmarks/trust.json`` and printed.

For a machine with one GPU and 16 cores:
``for i in 1 2 3 4; do python -m benchmarks.trust --part $i/4 --device cuda & done; wait``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.material import FOLDER
from voxplain import __version__
from voxplain.cohort import PRESETS
from voxplain.cohort.build import build_store
from voxplain.cohort.find.sources import from_bids
from voxplain.cohort.store.reader import open_store
from voxplain.console import make_progress
from voxplain.phantom import PRESETS as LIKE_MEASURED
from voxplain.phantom import SCENARIOS, make_scenario
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.study import explain_study
from voxplain.pipeline.fit.run import FitOptions, run_fit
from voxplain.pipeline.phantom import PhantomOptions, make_phantom_study
from voxplain.pipeline.trust.opening import TrustOptions
from voxplain.pipeline.trust.plausibility import judge_weights
from voxplain.pipeline.trust.run import run_trust
from voxplain.progress import Progress
from voxplain.study import Study

HERE = Path(__file__).parent
HOME = FOLDER / "trust"
SHARED = HERE.parents[1] / "shared"
IXI = SHARED / "data/ixi30"
WEIGHTS = SHARED / "reference/kan2020_mrinet_hidden.pt"
METHODS = (
    "recommended", "pattern", "smoothgrad", "gradient", "guided-backprop", "grad-cam",
)  # fmt: skip
NETWORK, FOLDS, VOXEL_SIZE, SCANS, DPRIME = "mrinet", 5, 4.0, 120, 3.0
NUMBERS = (40, 80, 120, 240)
BUDGETS = ("10m", "1h", "night")


@dataclass(frozen=True)
class Cell:
    """One study and what is asked of it.

    Parameters
    ----------
    name : str
        Of its folder.
    make : callable
        From the folder, the device and a progress to what was found.
    """

    name: str
    make: Callable[[Path, str, Progress], dict[str, Any]]

    @property
    def record(self) -> Path:
        """What was found."""
        return HOME / self.name / "benchmark.json"


def phantom(
    scenario: str, budget: str = "night", scans: int = SCANS, power: tuple[int, ...] = ()
) -> Callable[[Path, str, Progress], dict[str, Any]]:
    """Make a phantom of a scenario, and ask for its verdict."""

    def make(study: Path, device: str, progress: Progress) -> dict[str, Any]:
        if not (study / "cohort/store.json").exists():
            made = make_scenario(scenario, None if scenario in LIKE_MEASURED else DPRIME)
            options = PhantomOptions(study, scans, seed=1, voxel_size=VOXEL_SIZE, scenario=made)
            make_phantom_study(options, progress)
        return _verdict(study, device, budget, power, progress)

    return make


def ixi(study: Path, device: str, progress: Progress) -> dict[str, Any]:
    """Train the paper's network on the 30 IXI brains, and ask for its verdict."""
    _ixi_cohort(study, progress)
    return _verdict(study, device, "night", (), progress)


def published(study: Path, device: str, progress: Progress) -> dict[str, Any]:
    """Ask the published weights about the 30 IXI brains."""
    _ixi_cohort(study, progress)
    options = ScanOptions(NETWORK, (WEIGHTS,), (), study, device=device)
    found = judge_weights(options, open_store(study / "cohort"), progress)
    return {"first": found.first, **asdict(found)}


def _ixi_cohort(study: Path, progress: Progress) -> None:
    if not (study / "cohort/store.json").exists():
        Study(study, "voxplain study", __version__)
        recipe = replace(PRESETS["kan2020"], align="centre")
        build_store(from_bids(IXI, "sex"), recipe, study / "cohort", 2, progress)


def _verdict(
    study: Path, device: str, budget: str, power: tuple[int, ...], progress: Progress
) -> dict[str, Any]:
    began = time.perf_counter()
    fitting = FitOptions(
        study, study, (NETWORK,), folds=FOLDS, final=False, baselines=False, device=device
    )
    fitted = run_fit(fitting, progress)
    asked = ScanOptions(NETWORK, (), (), study, methods=METHODS, target="own", device=device)
    explain_study(asked, progress)
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
        "kept": {
            path.name.rsplit("-", 1)[0]: json.loads(path.read_text())["measurements"]
            for path in sorted((study / "trust").glob("power-*.json"))
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
    made = [Cell(f"phantom-{name}", phantom(name)) for name in (*SCENARIOS, *LIKE_MEASURED)]
    made.append(Cell("phantom-power", phantom("additive", scans=max(NUMBERS), power=NUMBERS)))
    made += [Cell(f"budget-{one}", phantom("additive", one)) for one in BUDGETS[:2]]
    if IXI.exists():
        made.append(Cell("ixi30", ixi))
        made += [Cell("ixi30-published", published)] if WEIGHTS.exists() else []
    return made


def main() -> None:
    """Make what is not made yet, gather, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trust")
    parser.add_argument("--part", default="1/1", help="such as 2/4: every fourth cell")
    parser.add_argument("--only", default="", help="cells whose name holds this")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--gather", action="store_true", help="only print what is there")
    asked = parser.parse_args()
    number, parts = (int(word) for word in asked.part.split("/"))
    cells = [one for one in _cells() if asked.only in one.name]
    console = Console(width=120)
    progress = make_progress(console)
    for cell in () if asked.gather else cells[number - 1 :: parts]:
        if not cell.record.exists():
            console.print(f"[b]{cell.name}[/]")
            found = cell.make(HOME / cell.name, asked.device, progress)
            Study(cell.record.parent, "voxplain study", __version__).write_json(
                cell.record.name, found
            )
    told = {one.name: json.loads(one.record.read_text()) for one in _cells() if one.record.exists()}
    _print(console, told)
    (HERE / "trust.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


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
        for one in found["kept"].get("power", []):
            console.print(one["words"], highlight=False)


def _times(found: dict[str, Any]) -> str:
    return (
        f"budget {found['budget']}: {found['trust_seconds']:.0f} s, after "
        f"{found['fit_and_explain_seconds']:.0f} s of fitting and explaining; exit code "
        f"{found['exit_code']}"
    )


if __name__ == "__main__":
    main()
