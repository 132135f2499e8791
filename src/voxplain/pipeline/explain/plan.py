"""What a run over a study will take: measured on a few scans, told before it begins."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch

from voxplain.attribution import METHODS, Engine, iter_explain
from voxplain.attribution.methods import make_method
from voxplain.attribution.run import prepare_method
from voxplain.errors import InputError
from voxplain.maps import AttributionMap
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.parts import Opened, opened_run
from voxplain.pipeline.explain.targets import target_of, unit_for
from voxplain.pipeline.shards.plan import MethodPlan, Plan
from voxplain.progress import Progress
from voxplain.report.figures import overlay

__all__ = ["plan_study"]

_LONG = 60.0
"""Seconds of a first batch after which no second one is measured."""


def plan_study(options: ScanOptions, progress: Progress) -> Plan:
    """Measure on the first scans of the first fold what a run over the study will take.

    Two batches are made with each method, or one where that takes a minute; nothing is kept.

    Parameters
    ----------
    options : ScanOptions
        As for `voxplain.pipeline.explain.study.explain_study`.
    progress : Progress

    Returns
    -------
    Plan

    Raises
    ------
    VoxplainError
        As `explain_study`.
    """
    start = _start_seconds()
    began = time.perf_counter()
    with opened_run(options) as opened:
        open_seconds = time.perf_counter() - began
        run = opened.run
        first = next((i for i, rows in enumerate(run.rows) if rows), None)
        if first is None:
            raise InputError(f"{options.out} has no scans to explain.")
        engine = Engine(
            device=options.device,
            precision=options.precision,  # type: ignore[arg-type]
            batch_size=run.batch,
        )
        timed, once = _methods(opened, first, engine, progress)
        example = timed[0].example
        written = _writing(opened, example)
        mean = _seconds_of_picture(example)
        device = engine.resolve_device()
    classes = max(len(opened.folds[0].class_names), 1)
    return Plan(
        tuple(
            MethodPlan(
                one.name,
                METHODS[one.name].info.label,
                METHODS[one.name].info.passes,
                one.fold_seconds,
                one.map_seconds + written.seconds,
                make_method(one.name, run.given[one.name]).surveys,
            )
            for one in timed
        ),
        tuple(len(rows) for rows in run.rows),
        run.batch,
        start + once,
        open_seconds,
        mean,
        written.read_seconds,
        1 if isinstance(opened.options.target, int) else classes,
        written.bytes,
        _memory_bytes(),
        torch.cuda.max_memory_allocated() if device.type == "cuda" else 0,
        str(device),
    )


class _Timed(NamedTuple):
    name: str
    fold_seconds: float
    map_seconds: float
    example: AttributionMap


class _Written(NamedTuple):
    seconds: float
    read_seconds: float
    bytes: float


def _methods(
    opened: Opened, first: int, engine: Engine, progress: Progress
) -> tuple[list[_Timed], float]:
    """Time each method on the first fold with scans, in the order of the run.

    Returns
    -------
    timed : list of _Timed
    once : float, s
        What a process does at its first network alone.
    """
    run, options = opened.run, opened.options
    fitted = opened.folds[first]
    scans, rows = run.scans(first + 1), run.rows[first]
    began = time.perf_counter()
    network = run.load(first + 1, fitted)
    loading = time.perf_counter() - began
    targets = target_of(options, run.cohort, fitted)
    if isinstance(targets, Sequence) and not isinstance(targets, str):
        label = dict(zip(fitted.rows, targets, strict=True))
        targets = [label[row] for row in rows]
    names = fitted.class_names or None

    def stream(name: str, shared: Engine, count: int) -> Iterator[AttributionMap]:
        ready = prepare_method(
            network,
            scans,
            make_method(name, run.given[name]),
            targets,
            class_names=names,
            engine=shared,
            seed=options.seed,
        )
        return iter_explain(
            network,
            scans,
            ready,
            targets,
            layer=options.layer,
            class_names=names,
            output_unit=unit_for(options, fitted),
            engine=shared,
            seed=options.seed,
            only=range(min(count, len(rows))),
        )

    with engine.run() as shared:
        began = time.perf_counter()
        engine.logits(network, [scans[0]], numbers=not names)
        shared.place(network, scans[0])
        once = time.perf_counter() - began
    with engine.run() as shared:
        began = time.perf_counter()
        shared.place(network, scans[0])
        examined = time.perf_counter() - began
        found = [
            _timed(name, partial(stream, name, shared), len(rows), run.batch, progress)
            for name in options.methods
        ]
    first_of_all = found[0]
    found[0] = first_of_all._replace(fold_seconds=first_of_all.fold_seconds + loading + examined)
    return found, max(once - examined, 0.0)


def _timed(
    name: str,
    stream: Callable[[int], Iterator[AttributionMap]],
    scans: int,
    batch: int,
    progress: Progress,
) -> _Timed:
    """Time a method: what it does before its first map, and for each."""
    with progress.step(f"{METHODS[name].info.label}, measured", 2) as advance:
        began = time.perf_counter()
        maps = stream(2 * batch)
        count = min(batch, scans)
        example, *_ = [next(maps) for _ in range(count)]
        whole = time.perf_counter() - began
        advance(1)
        each, before = whole / count, 0.0
        if scans >= 2 * batch and whole < _LONG:
            began = time.perf_counter()
            rest = len(list(maps))
            each = (time.perf_counter() - began) / rest
            before = max(whole - each * count, 0.0)
        advance(2)
    return _Timed(name, before, each, example)


def _writing(opened: Opened, map_: AttributionMap) -> _Written:
    """Write a map where maps will be, read it, and take it away."""
    study, name, took = opened.run.study, "measured", list[float]()
    for _ in range(3):
        began = time.perf_counter()
        study.write_volume(name, map_.values, map_.grid)
        study.write_json(f"{name}.json", map_.sidecar("measured"))
        took.append(time.perf_counter() - began)
    began = time.perf_counter()
    sizes = [len(study.read_bytes(file) or b"") for file in (f"{name}.nii.gz", f"{name}.json")]
    AttributionMap.load(study.folder / f"{name}.nii.gz")
    read = time.perf_counter() - began
    for file in (f"{name}.nii.gz", f"{name}.json"):
        study.remove(file)
    # The smallest: the first pays for what is done once.
    return _Written(min(took), read, float(sum(sizes)))


def _seconds_of_picture(map_: AttributionMap) -> float:
    began = time.perf_counter()
    overlay(map_.values, map_.values, map_.grid, title="measured", unit=map_.unit)
    return time.perf_counter() - began


def _memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _start_seconds() -> float:
    """Time what every process does before it looks at a study."""
    began = time.perf_counter()
    loads = "import voxplain.cli, voxplain.pipeline.explain.study"
    subprocess.run([sys.executable, "-c", loads], check=False)
    return time.perf_counter() - began
