"""Every scan of a study, explained by the network of the fold that held it out."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from voxplain import __version__
from voxplain.attribution import METHODS, Engine
from voxplain.attribution.network.numbers import Output
from voxplain.attribution.network.probe import layer_name
from voxplain.attribution.network.target import TargetLike
from voxplain.cohort.store.reader import open_store
from voxplain.errors import InputError, unknown_name
from voxplain.fit import unit_of
from voxplain.group import mean_map
from voxplain.maps import AttributionMap
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.record import with_earlier_groups
from voxplain.pipeline.explain.regions import with_regions
from voxplain.pipeline.fit.fitted import Fitted, networks_of_folds
from voxplain.pipeline.maps import Question, explain_and_write
from voxplain.pipeline.truth import read_truth
from voxplain.progress import Progress
from voxplain.report.figures import overlay
from voxplain.study import Study
from voxplain.volume import Cohort

__all__ = ["explain_study"]

OWN = "own"


def explain_study(options: ScanOptions, progress: Progress) -> dict[str, Any]:
    """Explain what the networks of a fit saw in the scans that each had not seen.

    Writes a map of every scan and method, on the cohort's grid, the mean map of each target, a
    figure of each mean map, and ``explain.json`` last, which also holds what earlier calls wrote
    there. Of networks that predict a number, maps are in its own unit. On a phantom, mean maps are
    held against the truth.

    Parameters
    ----------
    options : ScanOptions
        Without weights and images; `out` is the study. The target may be ``"own"``, the scan's own
        class; of a number there is none to choose.
    progress : Progress

    Returns
    -------
    dict
        What ``explain.json`` holds of this call.

    Raises
    ------
    VoxplainError
        If the study has no such networks, or an option cannot be used.
    """
    began = time.perf_counter()
    cohort = open_store(options.out / "cohort")
    study = Study(options.out, "voxplain study", __version__)
    networks = networks_of_folds(study, options.network, cohort)
    rule = _rule(options, networks[0])
    if options.layer != "auto":
        layer_name(networks[0].network, options.layer)
    engine = Engine(device=options.device, precision=options.precision)  # type: ignore[arg-type]
    background, truth = cohort.mean(np.arange(len(cohort))), read_truth(options.out)
    groups: dict[str, list[dict[str, Any]]] = {}
    for name in options.methods:
        label = METHODS[name].info.label
        given = with_regions(options.options_of(name), [cohort[0]])
        by_target: dict[str, list[AttributionMap]] = {}
        for one in networks:
            question = Question(
                name,
                _target(options, cohort, one),
                options.layer,
                one.class_names or None,
                given,
                options.seed,
                one.identity,
                _unit(options, one),
                options.network,
            )
            volumes = [cohort[i] for i in one.rows]
            found = explain_and_write(study, one.network, volumes, question, engine, progress)
            for map_ in found.maps:
                by_target.setdefault(map_.target, []).append(map_)
        groups[name] = []
        for target, maps in sorted(by_target.items()):
            mean = mean_map(maps)
            path = study.write_group_map(mean, label, options.network, rule)
            title = f"{label} for {target}, mean of {mean.n_subjects} participants"
            picture = overlay(
                mean.values,
                background,
                mean.grid,
                truth=truth and truth.support,
                title=title,
                unit=mean.unit,
            )
            study.write_bytes(f"figures/{path.name.removesuffix('.nii.gz')}.png", picture)
            told = {"target": target, "scans": len(maps), "map": f"group/{path.name}"}
            told |= {"network": options.network, "rule": rule, "unit": mean.unit}
            groups[name].append(told | (truth.judge(mean, options.seed) if truth else {}))
    result = {
        "network": options.network,
        "folds": len(networks),
        "scans": len(cohort),
        "outcome": networks[0].outcome,
        "target": options.target,
        "unit": _unit(options, networks[0]),
        "class_names": list(networks[0].class_names),
        "group": groups,
        "seed": options.seed,
        "seconds": time.perf_counter() - began,
        "versions": {"voxplain": __version__, "torch": torch.__version__},
    }
    study.write_json("explain.json", with_earlier_groups(study.read_json("explain.json"), result))
    return result


def _unit(options: ScanOptions, fitted: Fitted) -> str | None:
    return None if fitted.class_names else options.unit or unit_of(fitted.outcome)


def _rule(options: ScanOptions, fitted: Fitted) -> str:
    """Say how each scan's target is chosen; refuse a target that is not there."""
    names, target = fitted.class_names, options.target
    if not names:
        if target != "predicted":
            raise InputError(
                f"{options.network} of this study predicts {fitted.outcome}, a number, which has "
                f"no classes; leave --target out ({target!r} was given)."
            )
        return fitted.outcome
    if options.unit is not None:
        raise InputError(
            f"{options.network} of this study tells classes apart ({', '.join(names)}), which have "
            "no unit; leave --unit out."
        )
    if isinstance(target, str) and target not in ("predicted", OWN, *names):
        raise unknown_name("target", target, ["predicted", OWN, *names])
    if isinstance(target, int) and not 0 <= target < len(names):
        raise InputError(
            f"Target class {target} is out of range: the cohort has {len(names)} classes, "
            f"numbered 0 to {len(names) - 1}."
        )
    return names[target] if isinstance(target, int) else target


def _target(options: ScanOptions, cohort: Cohort, fitted: Fitted) -> TargetLike:
    if not fitted.class_names:
        return Output(fitted.outcome, *fitted.scale)
    if options.target == OWN:
        return [int(cohort.labels[i]) for i in fitted.rows]
    return options.target
