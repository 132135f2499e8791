"""A study opened for its verdict: networks, held-out predictions and maps, all found on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from voxplain import __version__
from voxplain.attribution import METHODS, Engine
from voxplain.cohort.store.reader import open_store
from voxplain.errors import InputError, StudyError, unknown_name
from voxplain.fit import Outcome, find_groups, outcome_of
from voxplain.pipeline.fit.fitted import networks_of_folds
from voxplain.pipeline.fit.places import folder_of
from voxplain.pipeline.maps import networks_of
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
    methods = _methods(study, name, cohort, options.methods)
    repeats = _repeats(study, methods, outcome)
    ensembles = networks_of_folds(study, name, cohort, repeats) if repeats > 1 else []
    case = Case(
        study=study,
        cohort=cohort,
        network=name,
        fits=fits,
        outcome=outcome,
        groups=find_groups(cohort.participants, outcome, len(fits))[0],
        outputs=_predictions(study, name, cohort, outcome, repeats),
        fit=fit,
        methods={},
        engine=Engine(device=options.device),
        seed=options.seed,
        power=options.power,
        ensembles=ensembles,
    )
    case = replace(case, methods=_with_makers(methods, case.explained_by))
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
    study: Study, network: str, cohort: Cohort, outcome: Outcome, repeats: int
) -> NDArray[np.float64]:
    """Read the held-out outputs, array (N, K): of several repeats, logarithms of mean chances."""
    name = f"{folder_of(network)}/predictions.tsv"
    lines = [line.split("\t") for line in (study.read_text(name) or "").splitlines()]
    head = lines[0] if lines else []
    columns = [f"logit_{one}" for one in outcome.class_names] or ["predicted"]
    asked = {str(one) for one in range(1, repeats + 1)}
    found: dict[str, list[list[float]]] = {}
    for row in lines[1:]:
        if len(row) == len(head) and set(columns) <= set(head) and row[1] in asked:
            values = [float(row[head.index(column)]) for column in columns]
            found.setdefault(row[0].removeprefix("sub-"), []).append(values)
    if missing := [one for one in cohort.subjects if len(found.get(one, ())) < repeats]:
        raise StudyError(
            f"{study.folder / name} has no prediction for {len(missing)} of {len(cohort)} scans, "
            f"such as {missing[0]}; run 'voxplain fit' on the study again."
        )
    each = np.array([found[one] for one in cohort.subjects])
    if repeats == 1:
        return each[:, 0]
    return np.asarray(logsumexp(log_softmax(each, axis=2), axis=1) - np.log(repeats))


def _methods(
    study: Study,
    network: str,
    cohort: Cohort,
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
        map_ = StudyMap(row, -1, path, study)
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


def _with_makers(
    methods: Mapping[str, MethodMaps], explained_by: NDArray[np.int64]
) -> dict[str, MethodMaps]:
    """Tell of each map which networks should have made it."""
    return {
        name: replace(
            told, maps=tuple(replace(one, fold=int(explained_by[one.row])) for one in told.maps)
        )
        for name, told in methods.items()
    }


def _repeats(study: Study, methods: Mapping[str, MethodMaps], outcome: Outcome) -> int:
    """Count the networks over which most maps are means; one number for all methods."""
    counts = {}
    for name, told in methods.items():
        each = Counter(networks_of(one.sidecar["request"]) for one in told.maps)
        counts[name] = each.most_common(1)[0][0]
    repeats = max(counts.values(), default=1)
    if len({*counts.values()}) > 1:
        words = ", ".join(f"{count} for {name}" for name, count in counts.items())
        raise StudyError(
            f"The maps in {study.folder} are of different numbers of networks a scan ({words}), "
            "and a verdict is on one; run 'voxplain explain' on the study with the same --repeats "
            "for all methods, or name methods that have it with --method."
        )
    if repeats > 1 and not outcome.class_names:
        raise StudyError(
            f"The maps in {study.folder} are means over {repeats} networks that predict "
            f"{outcome.name}, and the verdict on numbers is on maps of one network a scan; run "
            "'voxplain explain' on the study without --repeats."
        )
    return repeats


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
    kept = tuple(newest[row] for row in sorted(newest))
    return MethodMaps(
        method, first["options"], first["layer"], rule, int(first["seed"]), kept, tuple(strangers)
    )
