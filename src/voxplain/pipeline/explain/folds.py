"""The networks of a fit, each with the scans that it held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from voxplain.errors import StudyError
from voxplain.nets import build_network, load_into, read_weights
from voxplain.pipeline.fit.kept import same_code
from voxplain.pipeline.fit.learner import folder_of
from voxplain.pipeline.maps import identity_of
from voxplain.study import Study
from voxplain.volume import Cohort

__all__ = ["Fitted", "fitted_folds"]


@dataclass(frozen=True, eq=False)
class Fitted:
    """The network of one fold, what it was trained to tell, and the scans that it held out.

    Parameters
    ----------
    study : Study
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

    study: Study
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


def fitted_folds(study: Study, name: str, cohort: Cohort) -> list[Fitted]:
    """Find the network of each fold of the first repeat, and try each, one after the other.

    Parameters
    ----------
    study : Study
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
        If a scan was not held out by one of them, or a network was trained on other classes or
        before its code was changed.
    """
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
            found.append(_found(study, name, place, cohort, rows))
    if missing:
        raise StudyError(
            f"{study.folder} has no {name} for every fold of its cohort; run 'voxplain fit' on it "
            f"with --network {name} first, to the end."
        )
    return found


def _found(study: Study, name: str, place: str, cohort: Cohort, rows: list[int]) -> Fitted:
    told = study.read_json(f"{place}/training.json")
    outcome, names = told["request"]["outcome"], tuple(told["request"]["class_names"])
    if outcome == "label" and names != cohort.class_names:
        raise StudyError(
            f"{study.folder / place} was trained on the classes {', '.join(names)}, and the cohort "
            f"has {', '.join(cohort.class_names)}; run 'voxplain fit' on it again."
        )
    shape = cohort.grid.shape
    identity = identity_of(_load(study, name, place, shape, len(names)), shape)
    if not same_code(told, identity):
        raise StudyError(
            f"{study.folder / place} was trained before the code of {name} was changed: with the "
            "same weights it gave other outputs; run 'voxplain fit' on it again, with --replace."
        )
    scale = (float(told["scale"][0]), float(told["scale"][1]))
    return Fitted(study, name, place, shape, identity, rows, outcome, names, scale)


def _load(study: Study, name: str, place: str, shape: Sequence[int], classes: int) -> nn.Module:
    network = build_network(name, shape, classes or 1)
    load_into(network, read_weights(study.folder / place / "weights.safetensors"))
    return network.eval()


def _held_out(study: Study) -> list[tuple[str, int]]:
    """Read each scan's fold in the first repeat of the last fit; nothing where there was none."""
    try:
        lines = (study.folder / "model/folds.tsv").read_text(encoding="utf-8").splitlines()[1:]
    except OSError:
        return []
    rows = [line.split("\t") for line in lines]
    return [(who.removeprefix("sub-"), int(fold)) for who, repeat, fold in rows if repeat == "1"]
