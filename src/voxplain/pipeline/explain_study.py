"""Every scan of a study, explained by the network of the fold that held it out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from voxplain import __version__
from voxplain.cohort.store import open_store
from voxplain.errors import InputError, StudyError, unknown_name
from voxplain.explain import METHODS, Engine
from voxplain.explain.probe import layer_name
from voxplain.group import mean_map
from voxplain.maps import AttributionMap
from voxplain.nets import build_network, load_into, read_weights
from voxplain.pipeline.fold import folder_of
from voxplain.pipeline.maps import Question, explain_and_write
from voxplain.pipeline.scan_options import ScanOptions
from voxplain.pipeline.scan_regions import with_regions
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
    figure of each mean map, and ``explain.json`` last. On a phantom, mean maps are held against the
    truth.

    Parameters
    ----------
    options : ScanOptions
        Without weights and images; `out` is the study. The target may be ``"own"``, the scan's own
        class.
    progress : Progress

    Returns
    -------
    dict
        What ``explain.json`` holds.

    Raises
    ------
    VoxplainError
        If the study has no such networks, or an option cannot be used.
    """
    began = time.perf_counter()
    cohort = open_store(options.out / "cohort")
    study = Study(options.out, "voxplain study", __version__)
    networks = _networks(study, options.network, cohort)
    names = cohort.class_names
    if isinstance(options.target, str) and options.target not in ("predicted", OWN, *names):
        raise unknown_name("target", options.target, ["predicted", OWN, *names])
    if isinstance(options.target, int) and not 0 <= options.target < len(names):
        raise InputError(
            f"Target class {options.target} is out of range: the cohort has {len(names)} classes, "
            f"numbered 0 to {len(names) - 1}."
        )
    if options.layer != "auto":
        layer_name(networks[0][0], options.layer)
    engine = Engine(device=options.device, precision=options.precision)  # type: ignore[arg-type]
    background, truth = cohort.mean(np.arange(len(cohort))), read_truth(options.out)
    groups: dict[str, list[dict[str, Any]]] = {}
    for name in options.methods:
        label = METHODS[name].info.label
        given = with_regions(options.options_of(name), [cohort[0]])
        by_target: dict[str, list[AttributionMap]] = {}
        for network, rows in networks:
            question = Question(
                name, _target(options, cohort, rows), options.layer, names, given, options.seed
            )
            volumes = [cohort[i] for i in rows]
            found = explain_and_write(study, network, volumes, question, engine, progress)
            for one in found.maps:
                by_target.setdefault(one.target, []).append(one)
        groups[name] = []
        for target, maps in sorted(by_target.items()):
            mean = mean_map(maps)
            path = study.write_group_map(mean, label)
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
            groups[name].append(told | (truth.judge(mean, options.seed) if truth else {}))
    result = {
        "network": options.network,
        "folds": len(networks),
        "scans": len(cohort),
        "target": options.target,
        "class_names": list(names),
        "group": groups,
        "seed": options.seed,
        "seconds": time.perf_counter() - began,
        "versions": {"voxplain": __version__, "torch": torch.__version__},
    }
    study.write_json("explain.json", result)
    return result


def _target(
    options: ScanOptions, cohort: Cohort, rows: Sequence[int]
) -> int | str | Sequence[int | str]:
    return [int(cohort.labels[i]) for i in rows] if options.target == OWN else options.target


def _held_out(study: Study) -> list[tuple[str, int]]:
    """Read each scan's fold in the first repeat of the last fit; nothing where there was none."""
    try:
        lines = (study.folder / "model/folds.tsv").read_text(encoding="utf-8").splitlines()[1:]
    except OSError:
        return []
    rows = [line.split("\t") for line in lines]
    return [(who.removeprefix("sub-"), int(fold)) for who, repeat, fold in rows if repeat == "1"]


def _networks(study: Study, name: str, cohort: Cohort) -> list[tuple[nn.Module, list[int]]]:
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
            network = build_network(name, cohort.grid.shape, len(cohort.class_names))
            load_into(network, read_weights(study.folder / place / "weights.safetensors"))
            found.append((network.eval(), rows))
    if missing:
        raise StudyError(
            f"{study.folder} has no {name} for every fold of its cohort; run 'voxplain fit' on it "
            f"with --network {name} first, to the end."
        )
    return found
