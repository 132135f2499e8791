"""``python -m benchmarks.tracking``: which measures without a truth follow the truth.

On phantoms of the scoreboard, of each scenario whose effect a network learnt: for cases that their
network had not seen, maps of six methods and four that know nothing of the network are judged
without a truth, and against the case's own truth (average precision). A measure that may be
believed ranks them alike. Networks that ``out/bench/scoreboard`` does not hold are trained with
``--train``. Each case is kept when it is done, and those in ``benchmarks/tracking.json`` stay, so
that a rerun goes on; prints tables and writes that file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks.scoreboard import CASE, METHODS, Cell, all_cells, fitted
from benchmarks.scoreboard_cells import VOXEL_SIZE, committed_places, place_of
from voxplain.attribution import Engine, explain
from voxplain.attribution.methods import make_method
from voxplain.attribution.scoring import scan_score
from voxplain.cohort.store.reader import open_store
from voxplain.console import make_progress
from voxplain.pipeline.explain.study.variation import with_scans
from voxplain.pipeline.fit.fitted import networks_of_folds
from voxplain.pipeline.truth import OwnTruths, read_truth
from voxplain.study import Study
from voxplain.trust import (
    EDGE_SIGMA_MM,
    FWHM_MM,
    Imputation,
    RemovalTest,
    TMap,
    edge_filter,
    entropy,
    infidelity,
    localise,
    make_changes,
    randomised,
    removal,
    spearman,
    truth_tracking,
)
from voxplain.trust.fields import gaussian_amplitude, random_fields
from voxplain.volume import Cohort, Volume, smooth

FILE = Path(__file__).with_name("tracking.json")
# Networks learn next to nothing there, so no map can find it.
UNLEARNT, LEARNT = ("null", "shortcut"), 0.6
SCANS = (120, 450, 480)
# The first case of each of three folds, so that each has a network of its own.
CASES = 3
_SHARES = (0.02, 0.1, 0.3)
NOISE = 0.1
WORDS = {
    "deletion": "deletion, blurred reference, above random maps",
    "insertion": "insertion, blurred reference, above random maps",
    "road": "ROAD in 3D, above random maps",
    "infidelity": "infidelity, best scale (less is better)",
    "stability": "rank correlation with the map of a noisy scan",
    "randomisation": "change when the last layer is drawn anew",
    "complexity": "entropy (less is better)",
}
Maps = dict[str, NDArray[np.float32]]


def main() -> None:
    """Judge, correlate, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracking")
    parser.add_argument("--only", default="", help="studies whose folder holds this")
    parser.add_argument("--train", action="store_true", help="also make studies that are not there")
    asked = parser.parse_args()
    console = Console(width=110)
    progress = make_progress(console)
    torch.set_num_threads(1)
    kept = {(one["study"], one["number"]): one for one in _committed()}
    for cell in _studies():
        name = cell.study.name
        if asked.only not in name or (name, CASES - 1) in kept:
            continue
        there = (cell.study / "model" / "mrinet" / "predictions.tsv").exists()
        if not (there or asked.train):
            continue
        if not there:
            # What the scoreboard holds already is trained for as many folds as are asked alone.
            known = place_of(asdict(cell)) in committed_places()
            fitted(replace(cell, folds=CASES) if known else cell, progress)
        study = Study(cell.study, "voxplain study", "")
        accuracy = study.read_json("summary.json")["fit"]["models"]["mrinet"]["accuracy"]["mean"]
        if accuracy < LEARNT:
            progress.say(f"{name}: accuracy {accuracy:.2f}, so no map can find the effect.")
            continue
        with progress.step(name, CASES) as advance:
            for number in range(CASES):
                made = study.read_json(f"tracking-{number}.json")
                if not made:
                    made = _case(study, number) | {
                        **{"study": name, "number": number},
                        **{"scenario": cell.scenario, "base": cell.base},
                    }
                    study.write_json(f"tracking-{number}.json", made)
                kept[name, number] = made
                advance(number + 1)
    found = [kept[key] for key in sorted(kept)]
    if found:
        _tell(found, console)


def _committed() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads(FILE.read_text("utf-8")).get("cases", [])
    return cases


def _studies() -> list[Cell]:
    """Choose the paper's network, once trained a fold, on phantoms with an effect."""
    return [
        cell
        for cell in all_cells()
        if (cell.network, cell.repeats, cell.voxel_size_mm) == ("mrinet", 1, VOXEL_SIZE)
        and cell.scenario not in UNLEARNT
        and cell.subjects in SCANS
    ]


def _tell(found: list[dict[str, Any]], console: Console) -> None:
    """Correlate, print and write."""
    every, told = list(found[0]["truth"]), {}
    scenarios = sorted({one["scenario"] for one in found})
    for measure in WORDS:
        told[measure] = {
            "all_maps": _tracked(found, measure, every),
            "methods_alone": _tracked(found, measure, list(METHODS)),
            "cases": len(found),
            "by_scenario": {
                name: _tracked([one for one in found if one["scenario"] == name], measure, every)
                for name in scenarios
            },
        }
    heads = (
        "all maps",
        "5 % of shuffled exceed",
        "the six methods alone",
        "5 % of shuffled exceed",
    )
    table = Table("rank correlation with the truth", *heads)
    for measure, one in told.items():
        cells = [WORDS[measure]]
        for which in ("all_maps", "methods_alone"):
            low, high = one[which]["ci"]
            cells.append(f"{one[which]['spearman']:.2f} ({low:.2f} to {high:.2f})")
            cells.append(f"{one[which]['spearman_95']:.2f}")
        table.add_row(*cells)
    console.print(table)
    counts = {name: sum(one["scenario"] == name for one in found) for name in scenarios}
    table = Table("all maps", *(f"{name} ({count})" for name, count in counts.items()))
    for measure, one in told.items():
        rows = one["by_scenario"].values()
        table.add_row(WORDS[measure], *(f"{row['spearman']:.2f}" for row in rows))
    console.print(table)
    content = {"cases": found, "measures": told}
    FILE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _tracked(found: list[dict[str, Any]], measure: str, maps: list[str]) -> dict[str, Any]:
    """Correlate a measure with the truth over some of the maps of each case."""
    scores = [[one["scores"][measure][name] for name in maps] for one in found]
    truths = [[one["truth"][name] for name in maps] for one in found]
    tracking = truth_tracking(scores, truths, seed=0)
    return {
        "spearman": tracking.spearman,
        "ci": [tracking.low, tracking.high],
        "spearman_95": tracking.spearman_95,
    }


def _case(study: Study, number: int) -> dict[str, Any]:
    """Judge the maps of the first case that a fold held out."""
    cohort = open_store(study.folder / "cohort")
    fold = networks_of_folds(study, "mrinet", cohort)[number]
    truth = read_truth(study.folder)
    assert truth is not None  # noqa: S101 - a phantom with an effect
    case = cohort.class_names.index(CASE)
    row = next(i for i in fold.rows if int(cohort.labels[i]) == case)
    volume, network, brain = cohort[row], fold.load(), truth.brain
    own = OwnTruths(study.folder, cohort, truth).of(row, volume.values)
    assert own is not None  # noqa: S101 - the usual regions fill voxels
    maps = _explainers(cohort, case)
    rng = np.random.default_rng(number)
    inside = volume.values[own.brain]
    noise = rng.standard_normal(volume.values.shape, dtype=np.float32) * NOISE * inside.std()
    noisy = Volume(volume.values + noise * own.brain, volume.grid, volume.subject)
    # The last layer alone loses what it learnt.
    changed = next(iter(randomised(network, number)))[1]
    first, second, third = maps(network, volume), maps(network, noisy), maps(changed, volume)
    blind = _blind(cohort, volume, fold.rows, number)
    noisy_edges = smooth(edge_filter(noisy.values, noisy.grid, EDGE_SIGMA_MM), noisy.grid, FWHM_MM)
    second |= blind | {"edges": noisy_edges, "image": np.abs(noisy.values)}
    every, third = first | blind, third | blind
    score = scan_score(network, volume, case, engine=Engine())
    reference = score.references({"blur": "blur"})
    scores: dict[str, dict[str, float]] = {measure: {} for measure in WORDS}
    changes = make_changes(score, volume.values, own.brain, volume.grid, number)
    for name, signed in every.items():
        map_ = np.abs(signed)
        for kind in ("deletion", "insertion"):
            test = RemovalTest(kind, _SHARES, draws=20, seed=number)
            made = removal(score, volume.values, map_, own.brain, reference, test)[0]
            scores[kind][name] = made.area - made.area_random
        test = RemovalTest(shares=_SHARES[:2], draws=20, seed=number)
        road = removal(score, volume.values, map_, own.brain, {"road": Imputation()}, test)[0]
        scores["road"][name] = road.area - road.area_random
        foretold = infidelity(changes, signed, own.brain, number, draws=20)
        scores["infidelity"][name] = -foretold.relative
        scores["stability"][name] = spearman(map_, np.abs(second[name]), own.brain)
        scores["randomisation"][name] = -spearman(map_, np.abs(third[name]), own.brain)
        scores["complexity"][name] = -entropy(map_, own.brain)
    found = {
        name: localise(np.abs(map_), own.support, own.brain).average_precision
        for name, map_ in every.items()
    }
    return {"row": row, "truth": found, "scores": scores, "brain": int(brain.sum())}


def _explainers(cohort: Cohort, case: int) -> Callable[[nn.Module, Volume], Maps]:
    """Make what gives each method's signed, smooth map for a network and a scan."""
    options: Mapping[str, Any] = with_scans({name: {} for name in METHODS}, cohort)

    def maps(network: nn.Module, volume: Volume) -> Maps:
        made = {}
        for name in METHODS:
            width = 0.0 if make_method(name).smooth_mm else FWHM_MM
            one = explain(network, [volume], name, case, engine=Engine(), **options[name])[0]
            made[name] = smooth(one.values, one.grid, width)
        return made

    return maps


def _blind(cohort: Cohort, volume: Volume, held_out: list[int], seed: int) -> Maps:
    """Make maps of a scan that know nothing of the network."""
    grid, trained = volume.grid, TMap()
    for row in sorted(set(range(len(cohort))) - set(held_out)):
        trained.add(cohort.load(row), int(cohort.labels[row]))
    edges = edge_filter(volume.values, grid, EDGE_SIGMA_MM)
    random = next(random_fields(gaussian_amplitude(grid, 15.0), 1, seed))
    return {
        "edges": smooth(edges, grid, FWHM_MM),
        "image": np.abs(volume.values),
        "t-map": smooth(trained.t(), grid, FWHM_MM),
        "random": np.asarray(random, np.float32),
    }


if __name__ == "__main__":
    main()
