"""``voxplain explain STUDY`` in parts: one by one, or on workers."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.study.in_hand import NetworkInHand
from voxplain.pipeline.explain.study.parts import Opened, opened_run
from voxplain.pipeline.explain.study.run import StudyMeans, explain_study
from voxplain.pipeline.fit.fitted import Fitted
from voxplain.pipeline.shards.cluster import make_parts
from voxplain.pipeline.shards.parts import Part, Workers
from voxplain.progress import Progress, Silent
from voxplain.results.judgement import StudyExplained
from voxplain.study import StudyReader

__all__ = ["explain_on_workers", "explain_part"]

_IN_HAND = NetworkInHand()


def explain_part(
    options: ScanOptions, part: Part, progress: Progress, name: str | None = None
) -> str:
    """Make the maps of a part of the scans of a study, for `explain_study` to join.

    Parameters
    ----------
    options : ScanOptions
        See `explain_study`.
    part : Part
    progress : Progress
    name : str, optional
        Of the run, as part 0 returns it; by default the one that was asked the same.

    Returns
    -------
    str
        Name of the run.

    Raises
    ------
    StoppedError
        If the end was asked for by a signal.
    StudyError
        If what the run is about was changed since it was fixed.
    """
    with opened_run(options, part, name) as opened:
        _make_part(opened, progress, NetworkInHand())
        return opened.run.manifest.name


def _make_part(opened: Opened, progress: Progress, network: NetworkInHand) -> None:
    """Make the maps of the part that a run was opened for.

    Parameters
    ----------
    opened : Opened
    progress : Progress
    network : NetworkInHand
        Of this process.

    Raises
    ------
    VoxplainError
        As `explain_part`.
    """
    means = StudyMeans(opened.options, opened.run, network)
    with opened.run.told():
        for number, fold in enumerate(opened.folds, start=1):
            means.take_fold(number, fold, progress)


def explain_on_workers(
    options: ScanOptions, workers: Workers, progress: Progress
) -> StudyExplained:
    """Explain a study as `explain_study` does, with maps that workers make.

    A worker loads a network once, and keeps it until it goes on to the next fold.

    Parameters
    ----------
    options : ScanOptions
    workers : Workers
    progress : Progress

    Returns
    -------
    StudyExplained

    Raises
    ------
    VoxplainError
        As `explain_study` and `voxplain.pipeline.shards.cluster.make_parts`.
    """
    with opened_run(replace(options, out=options.out.absolute()), Part(0, 1)) as opened:
        # A study that is written to may hold open files, which cannot be sent.
        reader, run = StudyReader(opened.options.out), opened.run
        folds = [replace(fold, study=reader) for fold in opened.folds]
    make = partial(_make, opened.options, run.manifest.name, folds)
    make_parts(make, workers.parts(len(run.batches)), workers, progress)
    return explain_study(options, progress)


def _make(options: ScanOptions, name: str, folds: list[Fitted], part: Part) -> None:
    with opened_run(options, part, name, folds) as opened:
        _make_part(opened, Silent(), _IN_HAND)
