"""``python -m benchmarks.tuning``: how the recommended method was chosen, on seed 100 alone.

Average precision of mean maps of the cases, and of single cases, for ways to smooth a gradient, to
make its pattern, and to combine the two, on a phantom with an additive effect and one with a
suppressor; 120 scans each, five folds, voxels of 4 mm. Prints a table, writes ``tuning.json``. The
scoreboard then uses other seeds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.scoreboard import Cell, fitted
from voxplain.attribution import Engine, explain
from voxplain.attribution.variation import variation_of
from voxplain.cohort.store.reader import open_store
from voxplain.combine import agreeing_mean
from voxplain.console import make_progress
from voxplain.pipeline.fit.fitted import networks_of_folds
from voxplain.pipeline.truth import OwnTruths, read_truth
from voxplain.study import Study
from voxplain.trust import TMap, localise
from voxplain.volume import smooth

HERE = Path(__file__).parent
SEED = 100
Maps = NDArray[np.float32]


class Found(NamedTuple):
    """Average precision of a way."""

    group: float
    subject: float


def main() -> None:
    """Measure, print, write."""
    console = Console(width=110)
    progress = make_progress(console)
    told = {}
    for scenario in ("additive", "suppressor"):
        cell = Cell(scenario, "template", 120, SEED)
        fitted(cell, progress)
        told[scenario] = {name: found._asdict() for name, found in _ways(cell)}
    table = Table("way", *told, title="Average precision, mean map of cases / one case")
    for name in told["additive"]:
        table.add_row(
            name, *(f"{t[name]['group']:.3f} / {t[name]['subject']:.3f}" for t in told.values())
        )
    console.print(table)
    (HERE / "tuning.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _ways(cell: Cell) -> Iterator[tuple[str, Found]]:
    cohort, truth = open_store(cell.study / "cohort"), read_truth(cell.study)
    if truth is None:
        raise RuntimeError(f"{cell.study} has no truth.")
    cases = np.flatnonzero(cohort.labels == 1)
    owns = OwnTruths(cell.study, cohort, truth)
    own = [owns.of(int(i), cohort.load(int(i))) for i in cases]

    def judged(maps: Maps, mean: Maps | None = None) -> Found:
        mean = maps.mean(axis=0) if mean is None else mean
        group = localise(np.abs(mean), truth.support, truth.brain).average_precision
        single = [
            localise(np.abs(m), o.support, o.brain).average_precision
            for m, o in zip(maps, own, strict=True)
        ]
        return Found(group, float(np.mean(single)))

    def smoothed(maps: Maps, fwhm: float) -> Maps:
        return np.stack([smooth(one, cohort.grid, fwhm) for one in maps])

    t_map = TMap()
    for i in range(len(cohort)):
        t_map.add(cohort.load(i), int(cohort.labels[i]))
    for fwhm in (0.0, 4.0, 8.0):
        t = smooth(t_map.t(), cohort.grid, fwhm)
        yield f"t-map of all scans, {fwhm:g} mm", judged(np.stack([t] * len(cases)), t)
    plain = {name: _explained(cell, name) for name in ("gradient", "smoothgrad")}
    for name, maps in plain.items():
        for fwhm in (4.0, 8.0, 12.0):
            yield f"{name}, {fwhm:g} mm", judged(smoothed(maps, fwhm))
    deviation = np.std([cohort.load(i) for i in range(len(cohort))], axis=0)
    yield "gradient x deviation, 8 mm", judged(smoothed(plain["gradient"] * deviation, 8.0))
    gradient, single = smoothed(plain["gradient"], 8.0), smoothed(plain["smoothgrad"], 8.0)
    for components in (0, 1, 3, 5, 10, 20):
        scans = variation_of(cohort, components)
        raw = scans.pattern(_tensor(gradient)).numpy()
        patterns = smoothed(raw, 4.0)
        yield f"pattern, {components} components out, 4 mm", judged(patterns)
        both = agreeing_mean(single, patterns, 0.5)
        yield f"recommended, {components} components out", judged(both)
        if components == 5:
            for fwhm in (0.0, 8.0):
                yield f"pattern, 5 components out, {fwhm:g} mm", judged(smoothed(raw, fwhm))
            for weight in (0.3, 0.7, 0.9):
                both = agreeing_mean(single, patterns, weight)
                yield f"recommended, weight of the pattern {weight:g}", judged(both)


def _tensor(maps: Maps) -> object:
    import torch

    return torch.from_numpy(maps)


def _explained(cell: Cell, method: str) -> Maps:
    """Explain each case by the network that had not seen it, array (cases, X, Y, Z)."""
    cohort = open_store(cell.study / "cohort")
    made: dict[int, Maps] = {}
    for fold in networks_of_folds(Study(cell.study, "voxplain study", ""), cell.network, cohort):
        rows = [int(i) for i in fold.rows if cohort.labels[i] == 1]
        with Engine(device="cpu").run() as shared:
            maps = explain(fold.load(), [cohort[i] for i in rows], method, 1, engine=shared)
        made |= {row: one.values for row, one in zip(rows, maps, strict=True)}
    return np.stack([made[row] for row in sorted(made)])


if __name__ == "__main__":
    main()
