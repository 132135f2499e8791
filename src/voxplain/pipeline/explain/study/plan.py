"""What a run over a study will take: measured on a few scans, told before it begins."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import ceil
from statistics import fmean
from typing import NamedTuple

import torch

from voxplain.attribution import METHODS, Engine, iter_explain
from voxplain.attribution.methods import make_method
from voxplain.attribution.run import prepare_method
from voxplain.group import RunningMean
from voxplain.maps import AttributionMap
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.study.gpus import gpu_ratio
from voxplain.pipeline.explain.study.parts import Opened, StudyRun, opened_run
from voxplain.pipeline.explain.study.targets import target_of, unit_for
from voxplain.pipeline.fit.fitted import networks_of_folds
from voxplain.pipeline.shards.plan import MethodPlan, Plan
from voxplain.progress import Progress
from voxplain.report.figures import overlay
from voxplain.study import SCANS_OF_A_STORE
from voxplain.volume import Volume

__all__ = ["plan_study"]

_LONG = 60.0
"""Seconds of a first batch after which no second one is measured."""


def plan_study(options: ScanOptions, progress: Progress, gpu: str | None = None) -> Plan:
    """Measure on the first scans of the first fold what a run over the study will take.

    Three batches are made with each method, or one where that takes a minute; nothing is kept.
    What is done once in a process, such as to load a library, is told from what comes again.

    Parameters
    ----------
    options : ScanOptions
        As for `voxplain.pipeline.explain.study.run.explain_study`.
    progress : Progress
    gpu : str, optional
        Of `GPUS`: what it would take, by the times that it was measured to take elsewhere.

    Returns
    -------
    Plan

    Raises
    ------
    VoxplainError
        As `explain_study`.
    """
    began = time.perf_counter()
    with opened_run(options) as opened:
        open_seconds = time.perf_counter() - began
        run = opened.run
        # Every scan is in a fold, and a sample holds one or more.
        first = next(i for i, rows in enumerate(run.rows) if rows)
        start = _start_seconds()
        engine = Engine(
            device=options.device,
            precision=options.precision,  # type: ignore[arg-type]
            batch_size=run.batch,
        )
        began = time.perf_counter()
        networks_of_folds(run.study, options.network, run.cohort, options.repeats)
        try_seconds = time.perf_counter() - began
        timed, once = _methods(opened, first, engine, progress)
        example = timed[0].example
        written = [_writing(opened, one.example) for one in timed]
        drawing, mean = _seconds_of_picture(example), _seconds_of_picture(example)
        memory = _memory_bytes()
        load = _seconds_of_load(run.scans(first + 1))
        ratio = gpu_ratio(gpu, engine) if gpu else 1.0
        device = engine.resolve_device()
    classes = max(len(opened.folds[0].class_names), 1)
    return Plan(
        tuple(
            MethodPlan(
                one.name,
                METHODS[one.name].info.label,
                f"{options.repeats} × ({METHODS[one.name].info.passes})"
                if options.repeats > 1
                else METHODS[one.name].info.passes,
                one.fold_seconds,
                max(one.map_seconds - load, 0.0) * ratio + load + wrote.seconds,
                make_method(one.name, run.given[one.name]).surveys,
            )
            for one, wrote in zip(timed, written, strict=True)
        ),
        tuple(len(rows) for rows in run.rows),
        run.batch,
        start + once,
        open_seconds,
        min(try_seconds, open_seconds),
        max(drawing - mean, 0.0) + load * len(run.cohort),
        mean,
        fmean(one.read_seconds for one in written),
        1 if isinstance(opened.options.target, int) else classes,
        fmean(one.bytes for one in written),
        _files(opened.options, run),
        memory,
        torch.cuda.max_memory_allocated() if device.type == "cuda" else 0,
        gpu or str(device),
    )


def _files(options: ScanOptions, run: StudyRun) -> int:
    """Count the files in which the maps will lie."""
    counts = [len(rows) for rows in run.rows]
    if not options.stored(len(run.cohort)):
        # A map, what is told of it, and how far several networks differ.
        return (2 + (options.repeats > 1)) * sum(counts) * len(options.methods)
    in_one = max(SCANS_OF_A_STORE // run.batch, 1) * run.batch
    return sum(ceil(count / in_one) for count in counts) * len(options.methods)


class _Timed(NamedTuple):
    name: str
    fold_seconds: float
    map_seconds: float
    example: AttributionMap
    whole: float
    """Seconds of the first batch."""


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
    networks = run.load(first + 1, fitted)
    loading = time.perf_counter() - began
    targets = target_of(options, run.cohort, fitted)
    if isinstance(targets, Sequence) and not isinstance(targets, str):
        label = dict(zip(fitted.rows, targets, strict=True))
        targets = [label[row] for row in rows]
    names = fitted.class_names or None

    def stream(name: str, shared: Engine, count: int) -> Iterator[AttributionMap]:
        ready = prepare_method(
            networks,
            scans,
            make_method(name, run.given[name]),
            targets,
            class_names=names,
            engine=shared,
            seed=options.seed,
        )
        return iter_explain(
            networks,
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
        engine.logits(networks[0], [scans[0]], numbers=not names)
        for network in networks:
            shared.place(network, scans[0])
        once = time.perf_counter() - began
        cold = [
            _timed(name, partial(stream, name, shared), min(run.batch, len(rows)), 0, progress)
            for name in options.methods
        ]
    with engine.run() as shared:
        began = time.perf_counter()
        for network in networks:
            shared.place(network, scans[0])
        examined = time.perf_counter() - began
        found = []
        for first_time in cold:
            # What is learnt of a method with its first batch holds where that takes long.
            if first_time.whole < _LONG:
                again = partial(stream, first_time.name, shared)
                rest = min(2 * run.batch, len(rows)) - run.batch
                warm = _timed(first_time.name, again, min(run.batch, len(rows)), rest, progress)
                once += max(first_time.whole - warm.whole, 0.0)
                first_time = warm
            found.append(first_time)
    found[0] = found[0]._replace(fold_seconds=found[0].fold_seconds + loading + examined)
    return found, max(once - examined, 0.0)


def _timed(
    name: str,
    stream: Callable[[int], Iterator[AttributionMap]],
    count: int,
    more: int,
    progress: Progress,
) -> _Timed:
    """Time a first batch of a method and, where there are more scans, a second one."""
    with progress.step(f"{METHODS[name].info.label}, measured", 2) as advance:
        began = time.perf_counter()
        maps = stream(count + max(more, 0))
        example, *_ = [next(maps) for _ in range(count)]
        whole = time.perf_counter() - began
        advance(1)
        each, before = whole / count, 0.0
        if more > 0:
            began = time.perf_counter()
            for _ in maps:
                pass
            each = (time.perf_counter() - began) / more
            before = max(whole - each * count, 0.0)
        advance(2)
    return _Timed(name, before, each, example, whole)


def _writing(opened: Opened, map_: AttributionMap) -> _Written:
    """Write a map where maps will be, add it to a mean, read it, and take it away."""
    study, name, took, mean = opened.run.study, "measured", list[float](), RunningMean()
    for _ in range(3):
        began = time.perf_counter()
        mean.add(map_)
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


def _seconds_of_load(scans: Sequence[Volume]) -> float:
    """Time to load a scan, and to compare it with its hash."""
    took = []
    for scan in range(min(len(scans), 4)):
        began = time.perf_counter()
        scans[scan]
        took.append(time.perf_counter() - began)
    return min(took)


def _memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _start_seconds() -> float:
    """Time what every process does before it looks at a study."""
    began = time.perf_counter()
    loads = "import voxplain.cli, voxplain.pipeline.explain.study.run"
    subprocess.run([sys.executable, "-c", loads], check=False)
    return time.perf_counter() - began
