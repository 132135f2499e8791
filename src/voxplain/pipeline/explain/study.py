"""Every scan of a study, explained by the network of the fold that held it out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from voxplain import __version__
from voxplain.attribution import METHODS, Engine
from voxplain.attribution.network.numbers import Output
from voxplain.attribution.network.probe import layer_name
from voxplain.attribution.network.target import TargetLike
from voxplain.cohort.store.reader import open_store
from voxplain.errors import InputError, StudyError, unknown_name
from voxplain.fit import unit_of
from voxplain.group import mean_map
from voxplain.maps import AttributionMap
from voxplain.nets import build_network, load_into, read_weights
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.record import with_earlier_groups
from voxplain.pipeline.explain.regions import with_regions
from voxplain.pipeline.fit.kept import same_code
from voxplain.pipeline.fit.places import folder_of
from voxplain.pipeline.maps import Question, explain_and_write, identity_of
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
    networks = _networks(study, options.network, cohort)
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
                one.unit(options),
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
        "unit": networks[0].unit(options),
        "class_names": list(networks[0].class_names),
        "group": groups,
        "seed": options.seed,
        "seconds": time.perf_counter() - began,
        "versions": {"voxplain": __version__, "torch": torch.__version__},
    }
    study.write_json("explain.json", with_earlier_groups(study.read_json("explain.json"), result))
    return result


@dataclass(frozen=True, eq=False)
class _Fitted:
    """The network of one fold, what it was trained to tell, and the scans that it held out."""

    network: nn.Module
    identity: Mapping[str, Any]
    rows: list[int]
    outcome: str
    class_names: tuple[str, ...]
    scale: tuple[float, float]

    def unit(self, options: ScanOptions) -> str | None:
        if self.class_names:
            return None
        return options.unit or unit_of(self.outcome)


def _rule(options: ScanOptions, fitted: _Fitted) -> str:
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


def _target(options: ScanOptions, cohort: Cohort, fitted: _Fitted) -> TargetLike:
    if not fitted.class_names:
        return Output(fitted.outcome, *fitted.scale)
    if options.target == OWN:
        return [int(cohort.labels[i]) for i in fitted.rows]
    return options.target


def _held_out(study: Study) -> list[tuple[str, int]]:
    """Read each scan's fold in the first repeat of the last fit; nothing where there was none."""
    try:
        lines = (study.folder / "model/folds.tsv").read_text(encoding="utf-8").splitlines()[1:]
    except OSError:
        return []
    rows = [line.split("\t") for line in lines]
    return [(who.removeprefix("sub-"), int(fold)) for who, repeat, fold in rows if repeat == "1"]


def _networks(study: Study, name: str, cohort: Cohort) -> list[_Fitted]:
    """Load the network of each fold of the first repeat, with the scans that it held out."""
    position = {subject: i for i, subject in enumerate(cohort.subjects)}
    folds: dict[int, list[int]] = {}
    for subject, number in _held_out(study):
        folds.setdefault(number, []).append(position.get(subject, -1))
    found, missing = [], sorted(i for rows in folds.values() for i in rows) != [*position.values()]
    for number, rows in sorted(folds.items()):
        place = f"{folder_of(name)}/repeat-01/fold-{number:02d}"
        told = study.read_json(f"{place}/training.json")
        seen = {*told.get("train", ()), *told.get("validation", ())}
        missing = missing or not seen or any(cohort.subjects[i] in seen for i in rows)
        if not missing:
            found.append(_loaded(study, name, place, cohort, rows))
    if missing:
        raise StudyError(
            f"{study.folder} has no {name} for every fold of its cohort; run 'voxplain fit' on it "
            f"with --network {name} first, to the end."
        )
    return found


def _loaded(study: Study, name: str, place: str, cohort: Cohort, rows: list[int]) -> _Fitted:
    told = study.read_json(f"{place}/training.json")
    outcome, names = told["request"]["outcome"], tuple(told["request"]["class_names"])
    if outcome == "label" and names != cohort.class_names:
        raise StudyError(
            f"{study.folder / place} was trained on the classes {', '.join(names)}, and the cohort "
            f"has {', '.join(cohort.class_names)}; run 'voxplain fit' on it again."
        )
    network = build_network(name, cohort.grid.shape, len(names) or 1)
    load_into(network, read_weights(study.folder / place / "weights.safetensors"))
    identity = identity_of(network, cohort.grid.shape)
    if not same_code(told, identity):
        raise StudyError(
            f"{study.folder / place} was trained before the code of {name} was changed: with the "
            "same weights it gave other outputs; run 'voxplain fit' on it again, with --replace."
        )
    scale = (float(told["scale"][0]), float(told["scale"][1]))
    return _Fitted(network.eval(), identity, rows, outcome, names, scale)
