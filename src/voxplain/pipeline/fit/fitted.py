"""The networks of a fit, loaded, each with the scans that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from voxplain.errors import StudyError
from voxplain.nets import build_network
from voxplain.pipeline.fit.kept import TrainingRecord, load_weights, same_identity
from voxplain.pipeline.fit.places import FOLDS, place_of
from voxplain.pipeline.maps import identity_of
from voxplain.study import StudyReader
from voxplain.volume import Cohort

__all__ = ["Fitted", "load_fitted", "networks_of_folds"]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained network, what it was trained to tell, and on which scans of a cohort.

    Parameters
    ----------
    network : torch.nn.Module
        In eval mode.
    identity : mapping
        See `voxplain.pipeline.maps.identity_of`.
    rows : list of int
        Positions of the scans that it has not seen.
    outcome : str
        ``label``, or a column of numbers.
    class_names : tuple of str
        Empty for numbers.
    scale : tuple of 2 floats
        A number is the first plus so many times the second as the output says.
    """

    network: nn.Module
    identity: Mapping[str, Any]
    rows: list[int]
    outcome: str
    class_names: tuple[str, ...]
    scale: tuple[float, float]


def load_fitted(
    study: StudyReader, name: str, which: tuple[int, int] | str, cohort: Cohort
) -> Fitted:
    """Load one trained network of a study.

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
    network = build_network(name, cohort.grid.shape, len(told.class_names) or 1)
    load_weights(study, place, network)
    identity = identity_of(network, cohort.grid.shape)
    if not same_identity(told.identity, identity):
        raise StudyError(
            f"{study.folder / place} was trained before the code of {name} was changed: with the "
            "same weights it gave other outputs; run 'voxplain fit' on it again, with --replace."
        )
    seen = {*told.train, *told.validation}
    rows = [i for i, subject in enumerate(cohort.subjects) if subject not in seen]
    return Fitted(network.eval(), identity, rows, told.outcome, told.class_names, told.scale)


def networks_of_folds(study: StudyReader, name: str, cohort: Cohort) -> list[Fitted]:
    """Load the network of each fold of the first repeat, with the scans that it held out.

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
        If a scan of the cohort was not held out by one of them, or as `load_fitted`.
    """
    position = {subject: i for i, subject in enumerate(cohort.subjects)}
    folds: dict[int, list[int]] = {}
    for subject, number in _held_out(study):
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
        replace(load_fitted(study, name, (1, number), cohort), rows=folds[number])
        for number in records
    ]


def _held_out(study: StudyReader) -> list[tuple[str, int]]:
    """Read each scan's fold in the first repeat of the last fit; nothing where there was none."""
    lines = (study.read_text(FOLDS) or "").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return [(who.removeprefix("sub-"), int(fold)) for who, repeat, fold in rows if repeat == "1"]
