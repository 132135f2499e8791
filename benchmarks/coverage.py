"""``python -m benchmarks.coverage``: do intervals cover, and do tests keep their level?

Many made-up studies whose truth is known are judged by the code that judges real ones. A 95 %
interval must cover in 95 of 100 of them, and a test at .05 may reject in 5 of 100 without an
effect. Beside each rate stands that of the plain way, which voxplain took before or might have
taken. Prints a table and writes ``benchmarks/coverage.json`` after each part.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.coverage_folds import fold_rows, permutation_rows
from voxplain.cohort.check.separation import separation_of_levels
from voxplain.fit import Outcome, bootstrap, classification_scores
from voxplain.grid import Grid
from voxplain.group.contrast import compare_classes, mean_by_participant
from voxplain.trust import chance_interval, chance_of, fwhm_of, localise, strength
from voxplain.trust.fields import gaussian_amplitude, random_fields
from voxplain.volume import smooth

STORE = Path(__file__).parent / "coverage.json"
NAMES = ("control", "case")


class Row(NamedTuple):
    """One kind of study: what was counted, in how many, what is wanted, and the plain way."""

    what: str
    study: str
    wanted: str
    rate: float
    plain: float | None
    runs: int


def main() -> None:
    """Simulate, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage")
    parser.add_argument("--runs", type=int, default=400, help="made-up studies of each kind")
    parser.add_argument("--part", choices=PARTS, nargs="*", help="these anew, the others as stored")
    options = parser.parse_args()
    console = Console(width=130)
    stored = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}
    for name in options.part or PARTS:
        rows = []
        for row in (Row(*told) for told in PARTS[name](options.runs)):
            console.print(f"{row.what}; {row.study}: {_rates(row)}", highlight=False)
            rows.append(row._asdict())
        stored[name] = rows
        STORE.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    table = Table("what", "study", "wanted", "voxplain, plain way", "runs")
    for row in (Row(**told) for name in PARTS for told in stored.get(name, ())):
        table.add_row(row.what, row.study, row.wanted, _rates(row), str(row.runs))
    console.print(table)


def _rates(row: Row) -> str:
    return f"{row.rate:.3f}" + ("" if row.plain is None else f", {row.plain:.3f}")


def feature_rows(runs: int, maps: int = 32, people: int = 20) -> Iterator[tuple[Any, ...]]:
    """Count null studies with a false discovery; scans of one person correlate by .8."""
    for scans in (1, 2, 4):
        rng = np.random.default_rng(scans)
        who = np.repeat(np.arange(2 * people), scans)
        labels = who % 2
        false = np.zeros(2)
        for _ in range(runs):
            own = rng.normal(size=(2 * people, maps)) * np.sqrt(0.8)
            values = own[who] + rng.normal(size=(len(who), maps)) * np.sqrt(0.2)
            averaged = mean_by_participant(values, [str(w) for w in who], labels)
            false += [
                (compare_classes(*given, NAMES)["q"] < 0.05).any()
                for given in (averaged, (values, labels))
            ]
        study = f"{maps} feature maps, {people} people a class, {scans} scans each"
        yield "features: any q < .05", study, "<= .05", *(false / runs), runs


def cut_maps(rng_seed: int, width: float, grid: Grid, count: int) -> Iterator[dict[str, Any]]:
    """Draw random maps as they are, cut at zero, taken absolute, and the mean of five that were."""
    fields = list(random_fields(gaussian_amplitude(grid, width), 5 * count, rng_seed))
    for i in range(count):
        own = np.stack(fields[5 * i : 5 * i + 5])
        yield {
            "signed": own[0],
            "cut at zero": np.maximum(own[0], 0),
            "absolute": np.abs(own[0]),
            "mean of five, cut at zero": np.maximum(own, 0).mean(0),
        }


def chance_rows(runs: int, draws: int = 100) -> Iterator[tuple[Any, ...]]:
    """Count random maps that pass the 95th percentile of chance; the kernel is 8 mm."""
    grid = Grid((12, 14, 12), np.diag([8.0, 8.0, 8.0, 1.0]))
    place = np.indices(grid.shape) - np.array([5.5, 6.5, 5.5])[:, None, None, None]
    brain = np.linalg.norm(place / np.array([5.5, 6.5, 5.5])[:, None, None, None], axis=0) < 1
    truth = np.linalg.norm(place - np.array([-1.5, 1, 0])[:, None, None, None], axis=0) < 2.2
    for width in (15.0, 30.0):
        passed: dict[str, NDArray[np.float64]] = {}
        for seed, maps in enumerate(cut_maps(1, width, grid, runs)):
            for kind, values in maps.items():
                found = localise(strength(values, grid, 8.0), truth, brain).average_precision
                fwhm = fwhm_of(smooth(values, grid, 8.0), grid, brain)
                limits = (
                    chance_of(values, truth, brain, grid, 8.0, seed, draws),
                    chance_interval(truth, brain, grid, fwhm, seed, draws),
                )
                hits = [found > limit.percentile_95 for limit in limits]
                passed[kind] = passed.get(kind, np.zeros(2)) + hits
        for kind, hits in passed.items():
            yield f"chance: maps {kind}", f"fields of {width:g} mm", "<= .05", *(hits / runs), runs


def level_shares(levels: int, strength_: float) -> tuple[NDArray[np.float64], float]:
    """Return the shares of each level in both classes, array (2, levels), and the true AUC."""
    place = np.linspace(-1, 1, levels) * strength_
    shares = np.exp(np.stack([-place, place]))
    shares /= shares.sum(axis=1, keepdims=True)
    below = np.cumsum(shares[0]) - shares[0]
    return shares, float((shares[1] * (below + shares[0] / 2)).sum())


def level_rows(runs: int) -> Iterator[tuple[Any, ...]]:
    """Count intervals of the AUC of a site that cover that of the best order of all people."""
    for levels in (2, 4, 8, 16):
        for people in (20, 60, 200):
            for strength_ in (0.0, 0.5, 1.5):
                rng = np.random.default_rng(levels)
                shares, area = level_shares(levels, strength_)
                labels = np.repeat([0, 1], people // 2)
                covered = 0
                for _ in range(runs):
                    sites = [rng.choice(levels, people // 2, p=p) for p in shares]
                    found = separation_of_levels(np.concatenate(sites), labels, 2)
                    covered += found.low <= area <= found.high
                study = f"{levels} sites, {people} people, AUC {area:.2f}"
                yield "cohort: AUC of a site", study, ">= .95", covered / runs, None, runs


def family_rows(runs: int) -> Iterator[tuple[Any, ...]]:
    """Count bootstrap intervals of held-out accuracy; twins are of one class and one answer."""
    for families in (20, 60):
        for accuracy in (0.6, 0.8):
            rng = np.random.default_rng(families)
            groups = np.repeat(np.arange(families), 2)
            covered = np.zeros(2)
            for run in range(runs):
                labels = (np.arange(families) % 2)[groups]
                right = (rng.random(families) < accuracy)[groups]
                margin = np.where(right == (labels == 1), 1.0, -1.0)
                logits = np.stack([-margin, margin], axis=1)
                outcome = Outcome("label", labels, NAMES)
                for i, own in enumerate((groups, None)):
                    score = bootstrap(outcome, logits, own, draws=200, seed=run)["accuracy"]
                    covered[i] += score.low <= accuracy <= score.high
            study = f"{families} pairs of twins, accuracy {accuracy}"
            yield "fit: bootstrap of families", study, ">= .95", *(covered / runs), runs


def hold_out_rows(runs: int) -> Iterator[tuple[Any, ...]]:
    """Count intervals of the demo's kind: one network, 36 people held out."""
    for accuracy in (0.7, 0.9, 0.99):
        rng = np.random.default_rng(0)
        labels = np.arange(36) % 2
        covered = 0
        for run in range(runs):
            margin = np.where((rng.random(36) < accuracy) == (labels == 1), 1.0, -1.0)
            logits = np.stack([-margin, margin], axis=1)
            score = classification_scores(logits, labels, draws=300, seed=run)["accuracy"]
            covered += score.low <= accuracy <= score.high
        study = f"36 people held out, accuracy {accuracy}"
        yield "demo: accuracy", study, ">= .95", covered / runs, None, runs


PARTS: dict[str, Callable[[int], Iterator[tuple[Any, ...]]]] = {
    "features": feature_rows,
    "levels": level_rows,
    "folds": fold_rows,
    "permutation": permutation_rows,
    "families": family_rows,
    "hold-out": hold_out_rows,
    "chance": chance_rows,
}


if __name__ == "__main__":
    main()
