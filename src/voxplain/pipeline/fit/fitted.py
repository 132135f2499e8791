"""The networks of a fit, loaded, each with the scans that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from voxplain.errors import StudyError
from voxplain.fit import Fold
from voxplain.nets import build_network
from voxplain.pipeline.fit.kept import TrainingRecord, load_weights, same_identity
from voxplain.pipeline.fit.places import FOLDS, place_of
from voxplain.pipeline.maps import identity_of
from voxplain.study import StudyReader
from voxplain.volume import Cohort

__all__ = ["Fitted", "find_fitted", "folds_of", "held_out", "networks_of_folds"]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained network, what it was trained to tell, and the scans that it has not seen.

    Parameters
    ----------
    study : StudyReader
    name : str
        Of the network.
    place : str
        Its folder in the study.
    shape : tuple of 3 ints
        Of the volumes that it takes.
    identity : mapping
        See `voxplain.pipeline.maps.identity_of`.
    rows : list of int
        Positions of the scans in the cohort.
    outcome : str
        ``label``, or a column of numbers.
    class_names : tuple of str
        Empty for numbers.
    scale : tuple of 2 floats
        A number is the first plus so many times the second as the output says.
    """

    study: StudyReader
    name: str
    place: str
    shape: tuple[int, ...]
    identity: Mapping[str, Any]
    rows: list[int]
    outcome: str
    class_names: tuple[str, ...]
    scale: tuple[float, float]

    def load(self) -> nn.Module:
        """Return the network, in eval mode."""
        return _load(self.study, self.name, self.place, self.shape, len(self.class_names))


def find_fitted(
    study: StudyReader, name: str, which: tuple[int, int] | str, cohort: Cohort
) -> Fitted:
    """Find one trained network of a study, and try it.

    Parameters
    ----------
    study : StudyReader
    name : str
        Of the network.
    which : tuple of 2 ints, or str
        See `voxplain.pipeline.fit.places.place_of`.
    cohort : Cohort
        The study's.

    Raises
    ------
    StudyError
        If there is none, or it was trained on other classes or before its code was changed.
    """
    place = place_of(name, which)
    told = TrainingRecord.read(study, place)
    if told is None:
        raise StudyError(
            f"{study.folder / place} holds no trained network; run 'voxplain fit' on the study "
            "first, with this --network."
        )
    if told.outcome == "label" and told.class_names != cohort.class_names:
        raise StudyError(
            f"{study.folder / place} was trained on the classes {', '.join(told.class_names)}, and "
            f"the cohort has {', '.join(cohort.class_names)}; run 'voxplain fit' on it again."
        )
    shape = cohort.grid.shape
    identity = identity_of(_load(study, name, place, shape, len(told.class_names)), shape)
    if not same_identity(told.identity, identity):
        raise StudyError(
            f"{study.folder / place} was trained before the code of {name} was changed: with the "
            "same weights it gave other outputs; run 'voxplain fit' on it again, with --replace."
        )
    seen = {*told.train, *told.validation}
    rows = [i for i, subject in enumerate(cohort.subjects) if subject not in seen]
    return Fitted(
        study, name, place, shape, identity, rows, told.outcome, told.class_names, told.scale
    )


def networks_of_folds(study: StudyReader, name: str, cohort: Cohort) -> list[Fitted]:
    """Find the network of each fold of the first repeat, and try each, one after the other.

    Parameters
    ----------
    study : StudyReader
    name : str
        Of the network.
    cohort : Cohort
        The study's.

    Returns
    -------
    list of Fitted
        Whose rows together are the whole cohort, each scan once.

    Raises
    ------
    StudyError
        If a scan of the cohort was not held out by one of them, or as `find_fitted`.
    """
    position = {subject: i for i, subject in enumerate(cohort.subjects)}
    folds: dict[int, list[int]] = {}
    for subject, number in held_out(study):
        folds.setdefault(number, []).append(position.get(subject, -1))
    whole = sorted(i for rows in folds.values() for i in rows) == [*position.values()]
    records = {n: TrainingRecord.read(study, place_of(name, (1, n))) for n in sorted(folds)}
    for number, told in records.items():
        seen = {*told.train, *told.validation} if told else set()
        whole = whole and bool(seen) and not any(cohort.subjects[i] in seen for i in folds[number])
    if not whole:
        raise StudyError(
            f"{study.folder} has no {name} for every fold of its cohort; run 'voxplain fit' on it "
            f"with --network {name} first, to the end."
        )
    return [
        replace(find_fitted(study, name, (1, number), cohort), rows=folds[number])
        for number in records
    ]


def _load(
    study: StudyReader, name: str, place: str, shape: Sequence[int], classes: int
) -> nn.Module:
    network = build_network(name, shape, classes or 1)
    load_weights(study, place, network)
    return network.eval()


def held_out(study: StudyReader) -> list[tuple[str, int]]:
    """Read each scan and its fold in the first repeat of the last fit, if there was any."""
    lines = (study.read_text(FOLDS) or "").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return [(who.removeprefix("sub-"), int(fold)) for who, repeat, fold in rows if repeat == "1"]


def folds_of(study: StudyReader, cohort: Cohort) -> list[Fold]:
    """Read the folds of the first repeat of the last fit, whose scans are those of the cohort."""
    position = {subject: i for i, subject in enumerate(cohort.subjects)}
    tests: dict[int, list[int]] = {}
    for subject, number in held_out(study):
        tests.setdefault(number, []).append(position[subject])
    every = np.arange(len(cohort))
    return [
        Fold(1, number, np.setdiff1d(every, rows), np.array(sorted(rows)))
        for number, rows in sorted(tests.items())
    ]
