"""Who trains and who is held out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from voxplain.errors import InputError
from voxplain.fit.outcome import Outcome
from voxplain.volume import Cohort

__all__ = ["Fold", "hold_out", "inner_split", "make_folds", "most_folds"]

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fold:
    """One split into those who train and those who are held out.

    Parameters
    ----------
    repeat, number : int
        From 1.
    train, test : array (n,), positions in the cohort, ascending
    """

    repeat: int
    number: int
    train: Indices
    test: Indices


def make_folds(
    outcome: Outcome,
    folds: int,
    repeats: int = 1,
    groups: Indices | None = None,
    seed: int = 0,
) -> list[Fold]:
    """Split a cohort so that each scan is held out once in each repeat.

    Classes, or fifths of a number's range, are in like proportion in all folds.

    Parameters
    ----------
    outcome : Outcome
    folds : int
        As many as there are scans, or groups, for leave-one-out.
    repeats : int, default=1
        Each with another random split.
    groups : array (N,), optional
        Scans with the same number stay on one side; see `voxplain.fit.groups`.
    seed : int, default=0

    Returns
    -------
    list of Fold

    Raises
    ------
    InputError
        If a class has fewer scans or groups than there are folds, or a fold would lack a class.
    """
    units = len(outcome) if groups is None else len(np.unique(groups))
    what = "scans" if groups is None else "groups of scans that belong together"
    if not 2 <= folds <= units:
        raise InputError(
            f"The number of folds must lie between 2 and {units}, the number of {what}; {folds} "
            "was given."
        )
    if repeats < 1:
        raise InputError(f"At least one repeat is needed; {repeats} was given.")
    one_out = folds == units
    if one_out and repeats > 1:
        raise InputError("Leave-one-out is the same in each repeat; leave --repeats out.")
    if not one_out:
        _require_enough(outcome, folds, groups)
    made = []
    for repeat in range(repeats):
        tests = (
            [np.flatnonzero(groups == g) for g in np.unique(groups)]
            if one_out and groups is not None
            else [np.array([i]) for i in range(units)]
            if one_out
            else _tests(outcome, folds, groups, seed + repeat)
        )
        for number, test in enumerate(tests, 1):
            train = np.setdiff1d(np.arange(len(outcome)), test)
            made.append(Fold(repeat + 1, number, train.astype(np.int64), test.astype(np.int64)))
    for fold in made:
        _require_classes(outcome, fold, one_out)
    return made


def _tests(outcome: Outcome, folds: int, groups: Indices | None, seed: int) -> list[Indices]:
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # Of strata smaller than the number of folds, which `_require_enough` allows for numbers.
        warnings.simplefilter("ignore", UserWarning)
        return [np.sort(test) for _, test in splitter.split(outcome.strata, outcome.strata, groups)]


def _require_enough(outcome: Outcome, folds: int, groups: Indices | None) -> None:
    for index, name in enumerate(outcome.class_names):
        members = outcome.values == index
        count = int(members.sum() if groups is None else len(np.unique(groups[members])))
        if count < folds:
            what = "scans" if groups is None else "groups (families, participants or sites)"
            raise InputError(
                f"Class {name!r} has {count} {what}, fewer than the {folds} folds; take at most "
                f"--cv {count}{'' if groups is None else ', or another --group'}."
            )


def _require_classes(outcome: Outcome, fold: Fold, one_out: bool) -> None:
    sides = {"training part": fold.train} if one_out else {
        "training part": fold.train, "held-out part": fold.test,
    }  # fmt: skip
    for side, members in sides.items():
        present = set(outcome.values[members].tolist())
        for index, name in enumerate(outcome.class_names):
            if index not in present:
                raise InputError(
                    f"The {side} of fold {fold.number} would have no scan of class {name!r}, "
                    "because scans that belong together stay together; take fewer folds, or "
                    "another --group."
                )


def most_folds(outcome: Outcome, groups: Indices | None = None) -> int:
    """Count the folds that can all hold a scan, or group, of every class or fifth."""
    strata = outcome.strata
    own = np.arange(len(strata)) if groups is None else groups
    return min(len(np.unique(own[strata == s])) for s in np.unique(strata))


def inner_split(
    outcome: Outcome,
    train: Indices,
    fraction: float,
    groups: Indices | None = None,
    seed: int = 0,
) -> tuple[Indices, Indices]:
    """Split the training part of a fold again, to choose when to stop.

    Parameters
    ----------
    outcome : Outcome
    train : array (n,)
        Positions in the cohort.
    fraction : float
        Share that validates, about.
    groups : array (N,), optional
    seed : int, default=0

    Returns
    -------
    learn : array
        Positions in the cohort, ascending.
    validate : array
        The same, of those who are set aside.
    """
    part = Outcome(outcome.name, outcome.values[train], outcome.class_names)
    own = None if groups is None else groups[train]
    folds = min(round(1 / fraction), most_folds(part, own))
    first = make_folds(part, max(2, folds), 1, own, seed)[0]
    return train[first.train], train[first.test]


def hold_out(cohort: Cohort, fraction: float, seed: int = 0) -> tuple[Indices, Indices]:
    """Split a cohort once, with the classes in equal proportion on both sides.

    Parameters
    ----------
    cohort : Cohort
    fraction : float
        Share of the subjects that is held out.
    seed : int, default=0

    Returns
    -------
    train : array (N,)
        Positions in the cohort, ascending.
    held_out : array (N,)
        The same, of those who are held out.

    Raises
    ------
    InputError
        If a side would lack a class.
    """
    labels = cohort.labels
    try:
        train, test = train_test_split(
            np.arange(len(cohort)), test_size=fraction, stratify=labels, random_state=seed
        )
    except ValueError as error:
        counts = ", ".join(
            f"{(labels == c).sum()} {name}" for c, name in enumerate(cohort.class_names)
        )
        raise InputError(
            f"{len(cohort)} subjects ({counts}) are too few to hold out {fraction:.0%} with every "
            "class on both sides; take more subjects."
        ) from error
    return np.sort(train).astype(np.int64), np.sort(test).astype(np.int64)
