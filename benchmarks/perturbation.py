"""The published perturbation loop beside ours: seconds a subject, and the loop's own objective.

For time, the loop runs as published on one image, for some iterations before, between and after
ours, and its 300 are extrapolated. For the objective, the loop's masks come from the same
arithmetic on voxplain's faster copy of the network, which gives the same up to rounding, because
the loop as published takes a quarter of an hour a subject. ``--whole`` of `benchmarks` runs it as
published on so many subjects, and shows how near the two come.
"""

from __future__ import annotations

import statistics
import time
import warnings
from typing import Any

import numpy as np
import torch
from rich.table import Table
from torch import nn

from benchmarks.kan2020_loop import (
    CELL,
    SIGMA,
    WINDOW,
    curve_areas,
    paper_objective,
    run_loop,
    run_loops,
)
from benchmarks.material import Material
from voxplain.attribution import Engine, weights_sha256
from voxplain.attribution.methods.reference import MaskGrid
from voxplain.attribution.run import explain
from voxplain.errors import VoxplainWarning
from voxplain.maps import AttributionMap
from voxplain.progress import Progress
from voxplain.volume import Volume

__all__ = ["compare_perturbation", "perturbation_table"]

SUBJECTS = 10
COHORT = 20
COHORT_RUNS = 3
TIMED_ITERATIONS = 10
LOOP_ITERATIONS = 300
METHOD = "meaningful-perturbation"
LOOP, SINGLE, SHARED = "published loop", "paper-quick", "paper-quick, cohort"


def compare_perturbation(
    ready: Material, progress: Progress, iterations: int, whole: int, device: str = "cpu"
) -> dict[str, Any]:
    """Measure the speed-up for one subject and a cohort, and who lowers the objective further.

    Parameters
    ----------
    ready : Material
    progress : Progress
    iterations : int
        Of the loop on the faster copy, for the objective; 300 as published.
    whole : int
        Subjects on which the loop also runs as published, to the end.
    device : str
        Where all of them run.
    """
    network = ready.trained.network.eval().requires_grad_(False).to(device)
    volumes, targets = _subjects(ready)
    x = _tensor(volumes[0]).to(device)

    def loop_seconds() -> float:
        with progress.step("The loop as published, timed", 1) as advance:
            each = run_loop(network, x, targets[0], TIMED_ITERATIONS).seconds
            advance(1)
        return each * LOOP_ITERATIONS

    # Before, between and after ours, because a shared machine's speed drifts.
    loop = [loop_seconds()]
    masks: dict[str, list[torch.Tensor]] = {LOOP: [], SINGLE: [], SHARED: []}
    single = []
    with progress.step(f"{SINGLE}, subject by subject", SUBJECTS) as advance:
        for done, (volume, target) in enumerate(zip(volumes[:SUBJECTS], targets, strict=False), 1):
            (map_,), seconds = _timed(network, [volume], [target], device, cohort=False)
            single.append(seconds)
            masks[SINGLE].append(coarse_mask(map_))
            advance(done)
    loop.append(loop_seconds())
    cohort, speedups = [], []
    for number in range(1, COHORT_RUNS + 1):
        with progress.step(f"{SHARED} of {COHORT}, run {number}", 1) as advance:
            maps, seconds = _timed(network, volumes, targets, device, cohort=True)
            cohort.append(seconds / len(volumes))
            masks[SHARED] = [coarse_mask(map_) for map_ in maps[:SUBJECTS]]
            advance(1)
        loop.append(loop_seconds())
        speedups.append(statistics.mean(loop[-2:]) / cohort[-1])
    faster = Engine(device).place(network, volumes[0]).model.eval().requires_grad_(False)
    tensors = [_tensor(volume).to(device) for volume in volumes[:SUBJECTS]]
    masks[LOOP] = list(_loop_masks(ready, faster, tensors, targets, iterations, progress))
    subjects = []
    for i in range(SUBJECTS):
        x, target = tensors[i], targets[i]
        row: dict[str, Any] = {"subject": volumes[i].subject, "target": target}
        for name, found in masks.items():
            deletion, insertion = curve_areas(faster, x, target, found[i].to(x))
            row[name] = {
                "objective": paper_objective(faster, x, target, found[i].to(x)),
                "deletion": deletion,
                "insertion": insertion,
            }
        if i < whole:
            with progress.step(f"The loop as published, whole, {i + 1} of {whole}", 1) as advance:
                mask = run_loop(network, x, target, LOOP_ITERATIONS).mask
                row["published loop, whole"] = paper_objective(network, x, target, mask)
                advance(1)
        subjects.append(row)
    return {
        "speedup_single": statistics.mean(loop[:2]) / statistics.median(single),
        "speedup_cohort": statistics.median(speedups),
        "speedup_cohort_runs": speedups,
        "objective_wins": _wins(subjects, SINGLE),
        "objective_wins_cohort": _wins(subjects, SHARED),
        "subjects": SUBJECTS,
        "cohort": len(volumes),
        "loop_seconds_per_iteration": statistics.mean(loop) / LOOP_ITERATIONS,
        "loop_seconds_per_subject": statistics.mean(loop),
        "loop_iterations_for_objective": iterations,
        "single_seconds": statistics.median(single),
        "cohort_seconds_per_subject": statistics.median(cohort),
        "per_subject": subjects,
    }


def perturbation_table(found: dict[str, Any]) -> Table:
    """Lay out the comparison, a subject a row."""
    title = (
        f"Objective of the published loop ({found['loop_seconds_per_subject']:.0f} s a subject); "
        f"{SINGLE} {found['single_seconds']:.1f} s, {found['speedup_single']:.0f} times faster, "
        f"as low in {found['objective_wins']} of {found['subjects']}; cohort of "
        f"{found['cohort']} {found['cohort_seconds_per_subject']:.2f} s, "
        f"{found['speedup_cohort']:.0f} times faster, as low in {found['objective_wins_cohort']}"
    )
    table = Table(title=title)
    for column in ("subject", LOOP, SINGLE, SHARED, "deletion areas", "insertion areas"):
        table.add_column(column, justify="left" if column == "subject" else "right")
    for row in found["per_subject"]:
        named = [row[name] for name in (LOOP, SINGLE, SHARED)]
        table.add_row(
            row["subject"],
            *(f"{one['objective']:.4f}" for one in named),
            " ".join(f"{one['deletion']:.3f}" for one in named),
            " ".join(f"{one['insertion']:.3f}" for one in named),
        )
    return table


def coarse_mask(map_: AttributionMap) -> torch.Tensor:
    """Take a map of the preset back to the keep-mask on cells that it was made from.

    The way from cells to voxels has one matrix per axis, each with more rows than columns, so its
    pseudo-inverse is exact up to rounding.
    """
    grid = MaskGrid.make(map_.values.shape, (CELL,) * 3, (SIGMA,) * 3, WINDOW)
    x, y, z = (torch.linalg.pinv(matrix) for matrix in grid.matrices)
    values = torch.as_tensor(map_.values).double()
    return (1 - torch.einsum("ijk,ai,bj,ck->abc", values, x, y, z)).clamp(0, 1).float()


def _loop_masks(
    ready: Material,
    faster: nn.Module,
    tensors: list[torch.Tensor],
    targets: list[int],
    iterations: int,
    progress: Progress,
) -> torch.Tensor:
    """Find the loop's masks, or take them from an earlier run on the same network."""
    weights = weights_sha256(ready.trained.network)[:12]
    path = ready.study.folder / f"loop-{weights}-{SUBJECTS}-{iterations}.pt"
    if path.exists():
        progress.say(f"The loop's masks are kept from an earlier run: {path}")
        return torch.load(path, weights_only=True, map_location=tensors[0].device)
    x = torch.cat(tensors)
    with progress.step("The loop's masks, on the faster copy", iterations) as advance:
        masks = run_loops(
            faster, x, targets[:SUBJECTS], iterations, on_iteration=lambda done: advance(done)
        )
    torch.save(masks, path)
    return masks


def _subjects(ready: Material) -> tuple[list[Volume], list[int]]:
    """Take held-out subjects that the network classifies right, the classes in turn."""
    trained, labels = ready.trained, ready.phantom.cohort.labels
    right = trained.held_out[trained.logits.argmax(axis=1) == labels[trained.held_out]]
    turns = [np.flatnonzero(labels[right] == c)[: COHORT // 2] for c in (1, 0)]
    order = right[np.stack(turns, axis=1).ravel()]
    return [ready.phantom.cohort[int(i)] for i in order], [int(labels[i]) for i in order]


def _timed(
    network: nn.Module, volumes: list[Volume], targets: list[int], device: str, *, cohort: bool
) -> tuple[list[AttributionMap], float]:
    with warnings.catch_warnings():
        # On some subjects the published reference deletes nothing, which is a fault of its own.
        warnings.simplefilter("ignore", VoxplainWarning)
        began = time.perf_counter()
        engine = Engine(device)
        maps = explain(
            network, volumes, METHOD, targets, engine=engine, preset=SINGLE, cohort=cohort
        )
        return maps, time.perf_counter() - began


def _tensor(volume: Volume) -> torch.Tensor:
    return torch.from_numpy(volume.values)[None, None]


def _wins(subjects: list[dict[str, Any]], name: str) -> int:
    return sum(row[name]["objective"] <= row[LOOP]["objective"] for row in subjects)
