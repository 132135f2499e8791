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
from voxplain.study import LOGITS, StudyReader
from voxplain.volume import Cohort

__all__ = ["Fitted", "find_fitted", "folds_of", "held_out", "networks_of_folds", "repeats_of"]


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
    others : tuple of Fitted
        Networks of further repeats that have not seen these scans either.
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
    others: tuple[Fitted, ...] = ()

    @property
    def together(self) -> tuple[Fitted, ...]:
        """The network, and those of further repeats."""
        return (self, *self.others)

    @property
    def identities(self) -> dict[str, Any]:
        """Tell all networks from others; see `voxplain.pipeline.maps.identity_of`."""
        told = [one.identity for one in self.together]
        return {**self.identity, LOGITS: [logits for one in told for logits in one[LOGITS]]}

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


def networks_of_folds(
    study: StudyReader, name: str, cohort: Cohort, repeats: int = 1
) -> list[Fitted]:
    """Find the network of each fold, and try each, one after the other.

    Parameters
    ----------
    study : StudyReader
    name : str
        Of the network.
    cohort : Cohort
        The study's.
    repeats : int, default=1
        Of how many repeats of the folds. Of several, scans that the same networks have not seen
        are taken together: of five folds there are up to 25 such sets in two repeats.

    Returns
    -------
    list of Fitted
        Whose rows together are the whole cohort, each scan once.

    Raises
    ------
    StudyError
        If there are fewer repeats, a scan of the cohort was not held out by one network of each,
        or as `find_fitted`.
    """
    there = repeats_of(study)
    if repeats > there > 0:
        raise StudyError(
            f"{study.folder} has folds of {there} repeat{'s' * (there > 1)}, and networks of "
            f"{repeats} were asked for; run 'voxplain fit' on it with --repeats {repeats}, or give "
            f"--repeats {there}."
        )
    each = [_of_repeat(study, name, cohort, repeat) for repeat in range(1, repeats + 1)]
    return each[0] if repeats == 1 else _together(each)


def _together(repeats: Sequence[Sequence[Fitted]]) -> list[Fitted]:
    """Name, for each set of scans that the same networks have not seen, these networks."""
    holds = [{row: n for n, fold in enumerate(folds) for row in fold.rows} for folds in repeats]
    found: dict[tuple[int, ...], list[int]] = {}
    for row in sorted(holds[0]):
        found.setdefault(tuple(one[row] for one in holds), []).append(row)
    made = []
    for which, rows in sorted(found.items()):
        first, *others = (folds[n] for folds, n in zip(repeats, which, strict=True))
        made.append(replace(first, rows=rows, others=tuple(others)))
    return made


def _of_repeat(study: StudyReader, name: str, cohort: Cohort, repeat: int) -> list[Fitted]:
    position = {subject: i for i, subject in enumerate(cohort.subjects)}
    folds: dict[int, list[int]] = {}
    for subject, number in held_out(study, repeat):
        folds.setdefault(number, []).append(position.get(subject, -1))
    whole = sorted(i for rows in folds.values() for i in rows) == [*position.values()]
    records = {n: TrainingRecord.read(study, place_of(name, (repeat, n))) for n in sorted(folds)}
    for number, told in records.items():
        seen = {*told.train, *told.validation} if told else set()
        whole = whole and bool(seen) and not any(cohort.subjects[i] in seen for i in folds[number])
    if not whole:
        raise StudyError(
            f"{study.folder} has no {name} for every fold of its cohort; run 'voxplain fit' on it "
            f"with --network {name} first, to the end."
        )
    return [
        replace(find_fitted(study, name, (repeat, number), cohort), rows=folds[number])
        for number in records
    ]


def _load(
    study: StudyReader, name: str, place: str, shape: Sequence[int], classes: int
) -> nn.Module:
    network = build_network(name, shape, classes or 1)
    load_weights(study, place, network)
    return network.eval()


def held_out(study: StudyReader, repeat: int = 1) -> list[tuple[str, int]]:
    """Read each scan and its fold in one repeat of the last fit, if there was any."""
    return [
        (who.removeprefix("sub-"), int(fold))
        for who, number, fold in _fold_rows(study)
        if number == str(repeat)
    ]


def repeats_of(study: StudyReader) -> int:
    """Count the repeats of the last fit."""
    return max((int(number) for _, number, _ in _fold_rows(study)), default=0)


def _fold_rows(study: StudyReader) -> list[list[str]]:
    return [line.split("\t") for line in (study.read_text(FOLDS) or "").splitlines()[1:]]


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
