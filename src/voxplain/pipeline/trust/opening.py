"""A study opened for its verdict: networks, held-out predictions and maps, all found on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.attribution import METHODS, Engine
from voxplain.cohort.store.reader import open_store
from voxplain.errors import InputError, StudyError, unknown_name
from voxplain.fit import Outcome, find_groups, outcome_of
from voxplain.pipeline.fit.fitted import networks_of_folds
from voxplain.pipeline.fit.places import folder_of
from voxplain.pipeline.maps import of_several
from voxplain.pipeline.trust.case import Case, MethodMaps, StudyMap
from voxplain.study import Study
from voxplain.trust.rules import EDITION
from voxplain.volume import Cohort

__all__ = ["BUDGETS", "TrustOptions", "budget_seconds", "edition_of", "open_case"]

BUDGETS: Mapping[str, float] = {"10m": 600.0, "1h": 3600.0, "night": 36000.0}
"""Seconds of each budget."""


@dataclass(frozen=True)
class TrustOptions:
    """What ``voxplain trust`` was asked.

    Parameters
    ----------
    study : path
    network : str, optional
        By default the one that was explained last.
    methods : tuple of str
        By default all of which the study has maps.
    budget : str
        A key of `BUDGETS`, or minutes or hours: ``"30m"``, ``"2h"``.
    rules : mapping, optional
        What is to be judged otherwise; see `voxplain.trust.rules.read_rules`.
    rules_name : str
        Where that was read.
    power : tuple of int
        Numbers of scans for the power curve.
    seed : int
    device : str
    replace : bool
        Whether all is measured anew.
    """

    study: Path
    network: str | None = None
    methods: tuple[str, ...] = ()
    budget: str = "10m"
    rules: Mapping[str, Any] | None = None
    rules_name: str = "other rules"
    power: tuple[int, ...] = ()
    seed: int = 0
    device: str = "auto"
    replace: bool = False

    def __post_init__(self) -> None:
        budget_seconds(self.budget)
        if any(count < 4 for count in self.power):
            raise InputError(
                "--power takes numbers of scans of 4 or more, with commas between; "
                f"{', '.join(map(str, self.power))} was given."
            )


def edition_of(options: TrustOptions) -> str:
    """Name the edition of the rules, and what changed them."""
    return EDITION if options.rules is None else f"{EDITION}, changed by {options.rules_name}"


def budget_seconds(text: str) -> float:
    """Read a budget.

    Raises
    ------
    InputError
        If it is not one of the names, nor a number of minutes or hours.
    """
    if text in BUDGETS:
        return BUDGETS[text]
    unit = {"m": 60.0, "h": 3600.0}.get(text[-1:])
    try:
        amount = float(text[:-1])
    except ValueError:
        amount = 0.0
    if unit is None or not 0 < amount < 1000:
        raise InputError(
            f"--budget must be {', '.join(BUDGETS)}, or minutes or hours such as 30m or 2h; "
            f"{text!r} was given."
        )
    return amount * unit


def open_case(options: TrustOptions) -> Case:
    """Open a study that was fitted and explained.

    Raises
    ------
    VoxplainError
        If it has no cohort, no networks, or no maps of them by the methods that were asked for.
    """
    cohort = open_store(options.study / "cohort")
    study = Study(options.study, "voxplain study", __version__)
    fit = study.read_json("summary.json").get("fit", {})
    name = options.network or _network(study, fit)
    fits = networks_of_folds(study, name, cohort)
    outcome = outcome_of(cohort, fits[0].outcome)
    fold_of = np.zeros(len(cohort), np.int64)
    for number, one in enumerate(fits):
        fold_of[one.rows] = number
    case = Case(
        study=study,
        cohort=cohort,
        network=name,
        fits=fits,
        outcome=outcome,
        groups=find_groups(cohort.participants, outcome, len(fits))[0],
        outputs=_predictions(study, name, cohort, outcome),
        fit=fit,
        methods=_methods(study, name, cohort, fold_of, options.methods),
        engine=Engine(device=options.device),
        seed=options.seed,
        power=options.power,
    )
    if not case.methods:
        raise StudyError(
            f"{options.study} has no maps of {name}; run 'voxplain explain' on the study first."
        )
    return case


def _network(study: Study, fit: Mapping[str, Any]) -> str:
    explained: str = study.read_json("explain.json").get("network", "")
    trained = [name for name, told in fit.get("models", {}).items() if "class" in told]
    if not explained and not trained:
        raise StudyError(
            f"{study.folder} has no trained network; run 'voxplain fit' on it, then 'voxplain "
            "explain'."
        )
    return explained or trained[0]


def _predictions(
    study: Study, network: str, cohort: Cohort, outcome: Outcome
) -> NDArray[np.float64]:
    """Read the held-out outputs of the first repeat, array (N, K)."""
    name = f"{folder_of(network)}/predictions.tsv"
    lines = [line.split("\t") for line in (study.read_text(name) or "").splitlines()]
    head = lines[0] if lines else []
    columns = [f"logit_{one}" for one in outcome.class_names] or ["predicted"]
    found = {
        row[0].removeprefix("sub-"): [float(row[head.index(column)]) for column in columns]
        for row in lines[1:]
        if len(row) == len(head) and set(columns) <= set(head) and row[1] == "1"
    }
    if missing := [one for one in cohort.subjects if one not in found]:
        raise StudyError(
            f"{study.folder / name} has no prediction for {len(missing)} of {len(cohort)} scans, "
            f"such as {missing[0]}; run 'voxplain fit' on the study again."
        )
    return np.array([found[one] for one in cohort.subjects])


def _methods(
    study: Study,
    network: str,
    cohort: Cohort,
    fold_of: NDArray[np.int64],
    asked: Sequence[str],
) -> dict[str, MethodMaps]:
    """Find the maps of a network, by method, one a scan."""
    row_of = {subject: row for row, subject in enumerate(cohort.subjects)}
    by_method: dict[str, list[StudyMap]] = {}
    strangers: dict[str, list[StudyMap]] = {}
    study.require_whole_maps()
    for path, told in study.all_maps():
        if told.get("Network", "") != network:
            continue
        row = row_of.get(told["Subject"], -1)
        map_ = StudyMap(row, -1 if row < 0 else int(fold_of[row]), path, study)
        (strangers if row < 0 else by_method).setdefault(told["Method"], []).append(map_)
    for name in asked:
        if name not in by_method and name not in METHODS:
            raise unknown_name("method", name, METHODS)
        if name not in by_method:
            raise StudyError(
                f"{study.folder} has no maps of {network} by {name}; run 'voxplain explain' on it "
                f"with --method {name} first."
            )
    order = [*[name for name in METHODS if name in by_method], *sorted({*by_method} - {*METHODS})]
    chosen = [name for name in order if not asked or name in asked]
    return {
        name: _of_rule(name, by_method[name], strangers.get(name, []), cohort) for name in chosen
    }


def _of_rule(
    method: str, maps: Sequence[StudyMap], strangers: Sequence[StudyMap], cohort: Cohort
) -> MethodMaps:
    """Keep the maps whose targets were chosen alike: predicted ones first, then scans' own."""
    labels = cohort.labels
    sets: dict[int | str, list[StudyMap]] = {}
    for one in maps:
        wanted = one.sidecar["request"]["target"]
        sets.setdefault(wanted, []).append(one)
        if isinstance(wanted, int) and wanted == labels[one.row]:
            sets.setdefault("own", []).append(one)
    if "predicted" in sets:
        rule: int | str = "predicted"
    else:
        # Scans' own classes, where all were explained so; else the class of most maps.
        rule = max(sets, key=lambda name: (len(sets[name]), name == "own"))
    newest = {one.row: one for one in sorted(sets[rule], key=lambda one: one.path.name)}
    first = sets[rule][0].sidecar["request"]
    if of_several(first):
        raise StudyError(
            f"The maps of {method} in {maps[0].study.folder} are means over several networks, and "
            "the verdict is on maps of one network a scan; run 'voxplain explain' on the study "
            "without --repeats, which makes these maps anew, or leave the method out with --method."
        )
    kept = tuple(newest[row] for row in sorted(newest))
    return MethodMaps(
        method, first["options"], first["layer"], rule, int(first["seed"]), kept, tuple(strangers)
    )
