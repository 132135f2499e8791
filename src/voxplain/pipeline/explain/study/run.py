"""Every scan of a study, explained by the network of the fold that held it out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.attribution import METHODS, Engine
from voxplain.attribution.methods import make_method
from voxplain.group import RunningMean
from voxplain.maps import AttributionMap
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.record import with_earlier_groups
from voxplain.pipeline.explain.study.in_hand import NetworkInHand
from voxplain.pipeline.explain.study.judging import MadeMap, StudyJudge
from voxplain.pipeline.explain.study.own_grid import OwnGrids
from voxplain.pipeline.explain.study.parts import StudyRun, opened_run
from voxplain.pipeline.explain.study.tables import StudyRegions
from voxplain.pipeline.explain.study.targets import target_of, unit_for
from voxplain.pipeline.explain.study.untrained import untrained_maps
from voxplain.pipeline.fit.fitted import Fitted, repeats_of
from voxplain.pipeline.made import write_page
from voxplain.pipeline.maps import Question
from voxplain.pipeline.truth import Truth, read_truth
from voxplain.pipeline.writing import MapWriter
from voxplain.progress import Progress
from voxplain.report.figures import overlay
from voxplain.report.pages.explain import explain_page
from voxplain.results.judgement import JudgedMap, StudyExplained
from voxplain.results.summary import judged_maps_json
from voxplain.study import OWN_GRIDS

__all__ = ["StudyMeans", "explain_study"]


def explain_study(options: ScanOptions, progress: Progress) -> StudyExplained:
    """Explain what the networks of a fit saw in the scans that each had not seen.

    Writes a map of every scan and method, on the cohort's grid (and, where that is asked for, on
    the scan's own), the mean map of each target, a figure of each mean map, and ``explain.json``
    last, which also holds what earlier calls wrote there. Of networks that predict a number, maps
    are in its own unit. On a phantom or a spike-in, maps are held against the truth, mean maps and
    those of single scans; the page ``explain.html`` and ``summary.json`` show it.

    Parameters
    ----------
    options : ScanOptions
        Without weights and images; `out` is the study. Where it names no method, the default one is
        taken, and the one for groups where there are scans enough. The target may be ``"own"``, the
        scan's own class; of a number there is none to choose.
    progress : Progress

    Returns
    -------
    StudyExplained

    Raises
    ------
    VoxplainError
        If the study has no such networks, or an option cannot be used.
    """
    began = time.perf_counter()
    with opened_run(options) as (options, run, folds, rule):
        study = run.study
        # An atlas of another space is refused before a map is written.
        regions = _regions(options, run, progress)
        means = StudyMeans(options, run)
        for number, fold in enumerate(folds, start=1):
            # One network is held at a time.
            means.take_fold(number, fold, progress)
        study.tidy_maps()
        groups = means.write(rule, regions, progress)
        if means.own_grids:
            count = means.own_grids.count
            progress.say(f"{count} maps lie on the grids of their scans too: {OWN_GRIDS}/.")
        result = {
            "network": options.network,
            "folds": len({fold.place for fold in folds}),
            "scans": sum(len(rows) for rows in run.rows),
            "outcome": folds[0].outcome,
            "target": options.target,
            "unit": unit_for(options, folds[0]),
            "class_names": list(folds[0].class_names),
            "group": groups,
            "input_grid": OWN_GRIDS if means.own_grids else None,
            "seed": options.seed,
            "options": {
                "layer": options.layer,
                "option": list(options.options),
                "sample": options.sample,
                "repeats": options.repeats,
                "atlas": list(options.atlases),
                "move_atlas": options.move_atlas,
                "latex": options.latex,
                **({"maps": options.maps} if options.maps else {}),
                "grid": options.grid,
                "precision": options.precision,
            },
            "seconds": time.perf_counter() - began,
            "versions": {"voxplain": __version__, "torch": torch.__version__},
        }
        if means.judged:
            page = explain_page(options.network, means.judged, means.pictures)
            write_page(study, "explain.html", page)
            told = {"explain": judged_maps_json(options.network, means.judged)}
            study.write_json("summary.json", study.read_json("summary.json") | told)
        before = study.read_json("explain.json")
        study.write_json("explain.json", with_earlier_groups(before, result))
        run.join()
        if (there := repeats_of(study)) > options.repeats:
            progress.say(
                f"The study has networks of {there} repeats. With --repeats {there} each scan is "
                f"explained by {there} of them, and the mean of their maps is steadier."
            )
    return StudyExplained(result, tuple(means.judged))


class StudyMeans:
    """The mean maps of a study, by method and target, summed up as maps are written."""

    def __init__(
        self, options: ScanOptions, run: StudyRun, network: NetworkInHand | None = None
    ) -> None:
        self.options, self.run, self.study, self.cohort = options, run, run.study, run.cohort
        self.network = network or NetworkInHand()
        self.engine = Engine(
            device=options.device,
            precision=options.precision,  # type: ignore[arg-type]
            batch_size=run.batch,
        )
        self.given = run.given
        self.found: dict[str, dict[str, RunningMean]] = {name: {} for name in options.methods}
        self.made: dict[tuple[str, str], list[MadeMap]] = {}
        self.fold_of = [0] * len(self.cohort)
        self.first: dict[str, int] = {}
        self.folds: dict[int, Fitted] = {}
        self.own_grids = OwnGrids(self.study, self.cohort) if options.grid == "input" else None
        self.judged: list[JudgedMap] = []
        self.pictures: dict[str, bytes] = {}

    def take_fold(self, number: int, fold: Fitted, progress: Progress) -> None:
        """Write the maps of the scans that a fold held out, and add them to the means."""
        options, run = self.options, self.run
        first = self.first.setdefault(fold.place, number)
        self.folds[first] = fold
        for row in fold.rows:
            self.fold_of[row] = first
        fold = replace(fold, rows=run.rows[number - 1])
        wanted = {name: run.wanted(number, name) for name in options.methods}
        if not any(wanted.values()):
            return
        with self.network.of(run, number, fold, self.engine) as (networks, shared):
            for name in options.methods:
                question = Question(
                    name,
                    target_of(options, self.cohort, fold),
                    options.layer,
                    fold.class_names or None,
                    self.given[name],
                    options.seed,
                    fold.identities,
                    unit_for(options, fold),
                    options.network,
                )
                writer = MapWriter(
                    self.study,
                    networks,
                    run.scans(number),
                    question,
                    shared,
                    progress,
                    wanted=wanted[name],
                    known=run.known(number),
                    between=run.after_batch,
                    stored=options.stored(len(self.cohort)),
                )
                writer.write(partial(self._add, name, first, fold.rows))

    def _add(
        self,
        method: str,
        fold: int,
        rows: Sequence[int],
        position: int,
        map_: AttributionMap,
        path: Path,
    ) -> None:
        self.run.took()
        self.found[method].setdefault(map_.target, RunningMean()).add(map_)
        made = MadeMap(rows[position], fold, path)
        self.made.setdefault((method, map_.target), []).append(made)
        if self.own_grids:
            self.own_grids.write(made.row, map_, path)

    def write(
        self, rule: str, regions: StudyRegions | None, progress: Progress
    ) -> dict[str, list[dict[str, Any]]]:
        """Write and draw all mean maps, judge them where the truth is known, and list them."""
        background = self.cohort.mean(np.arange(len(self.cohort)))
        truth = read_truth(self.study.folder)
        judge = truth and StudyJudge(
            self.study, self.cohort, truth, self.fold_of, self.options.seed
        )
        groups: dict[str, list[dict[str, Any]]] = {}
        for method, by_target in self.found.items():
            for _, of_target in sorted(by_target.items()):
                told = self._write_one(method, of_target, rule, background, truth)
                if regions:
                    told["regions"] = regions.write(told, self.made[method, told["target"]])
                if judge:
                    told |= self._judge(judge, method, told, progress)
                groups.setdefault(method, []).append(told)
        return groups

    def _write_one(
        self,
        method: str,
        of_target: RunningMean,
        rule: str,
        background: NDArray[np.float32],
        truth: Truth | None,
    ) -> dict[str, Any]:
        options, mean, label = self.options, of_target.map(), METHODS[method].info.label
        path = self.study.write_group_map(mean, label, options.network, rule)
        picture = overlay(
            mean.values,
            background,
            mean.grid,
            truth=truth and truth.support,
            title=f"{label} for {mean.target}, mean of {mean.n_subjects} participants",
            unit=mean.unit,
        )
        self.study.write_bytes(f"figures/{path.name.removesuffix('.nii.gz')}.png", picture)
        self.pictures[f"group/{path.name}"] = picture
        return {
            "target": mean.target,
            "scans": of_target.count,
            "map": f"group/{path.name}",
            "network": options.network,
            "rule": rule,
            "unit": mean.unit,
        }

    def _judge(
        self, judge: StudyJudge, method: str, told: dict[str, Any], progress: Progress
    ) -> dict[str, Any]:
        label, target = METHODS[method].info.label, told["target"]
        smooth_mm = make_method(method, self.given[method]).smooth_mm
        made = self.made[method, target]
        of_method, of_target = (method, self.given[method]), (target, made)
        untrained = untrained_maps(
            self.options, self.cohort, of_method, of_target, self.folds, self.engine, progress
        )
        found = judge.judge(made, f"{label} for {target}", smooth_mm, untrained, progress)
        found = found.of_several(self.options.repeats)
        self.judged.append(JudgedMap(label, target, told["map"], told["scans"], found))
        return {
            "average_precision": found.group.found.average_precision.value,
            "chance_ap": found.group.chance_ap,
            "chance_ap_95": found.group.chance_ap_95,
            "judgement": asdict(found),
        }


def _regions(options: ScanOptions, run: StudyRun, progress: Progress) -> StudyRegions | None:
    if not options.atlases:
        return None
    return StudyRegions(
        run.study,
        run.cohort,
        options.atlases,
        latex=options.latex,
        move=options.move_atlas,
        seed=options.seed,
        progress=progress,
    )
