"""What a fit found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voxplain.results.scores import Judged

__all__ = ["Confounds", "FitResult", "Importance", "Matched", "ModelResult", "TrainedNetwork"]

Measures = Mapping[str, float | None]


@dataclass(frozen=True)
class TrainedNetwork:
    """What a network is, and what its training took.

    Parameters
    ----------
    kind : str
        Name of its class.
    parameters : int
        Numbers in it that are trained.
    training_seconds : float
        Of all trainings, in this run or in those that they are kept from.
    arithmetic : mapping or None
        The fields of `voxplain.fit.training.arithmetic.Arithmetic`; None where it is not known.
    arithmetic_words : str
        The same in words.
    """

    kind: str
    parameters: int
    training_seconds: float
    arithmetic: Mapping[str, Any] | None = None
    arithmetic_words: str = ""


@dataclass(frozen=True)
class ModelResult:
    """A network or a baseline, and how good it is.

    Parameters
    ----------
    name : str
    judged : Judged
    network : TrainedNetwork or None
        None for a baseline.
    """

    name: str
    judged: Judged
    network: TrainedNetwork | None = None


@dataclass(frozen=True)
class Importance:
    """What a measure of the table is worth.

    Parameters
    ----------
    measure : str
    permutation : float or None
        What models lose on held-out scans when it is shuffled, mean over the models; NaN or None
        where no fold tells.
    own : mapping of str to float
        By model, its own importance where it has one.
    """

    measure: str
    permutation: float | None
    own: Mapping[str, float]


@dataclass(frozen=True)
class Matched:
    """Scores on pairs of two classes with like brain volume.

    Parameters
    ----------
    scans : int
        0 where there are no such pairs.
    scores : mapping of str to mapping
        Pooled measures of each model.
    """

    scans: int
    scores: Mapping[str, Measures]


@dataclass(frozen=True)
class Confounds:
    """What confounds do alone, and what each model does without them.

    Parameters
    ----------
    columns : tuple of str
        Of the participants' table.
    alone : mapping of str to mapping
        Pooled measures of a linear model on each column, and on all together.
    removed : mapping of str to mapping
        Pooled measures of each model once the columns are regressed out, within the training parts
        (voxels) or from the outputs by the other folds.
    matched : Matched or None
        None where brain volume is not known, or there are not two classes.
    """

    columns: tuple[str, ...]
    alone: Mapping[str, Measures]
    removed: Mapping[str, Measures]
    matched: Matched | None = None


@dataclass(frozen=True)
class FitResult:
    """What a fit found.

    Parameters
    ----------
    outcome : str
        ``label``, or the column of numbers that was predicted.
    class_names : tuple of str
        Empty for numbers.
    class_counts : tuple of int
        Scans of each class; empty for numbers, or where they are not known.
    ceiling : float or None
        Accuracy of the best possible observer, known of a phantom alone.
    scans, folds, repeats : int
        Scans in all, and folds in each repeat.
    grouping : str
        What stayed together, in a sentence.
    schedule : str
        How networks were trained, in words.
    options : mapping
        What the command was run with.
    models : mapping of str to ModelResult
        Networks first.
    confounds : Confounds or None
        None where there are none.
    importances : tuple of Importance
        Of the table's measures, best first.
    failed : mapping of str to str
        Networks that could not be trained, and why.
    seconds : float
    versions : mapping of str to str
    """

    outcome: str
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    ceiling: float | None
    scans: int
    folds: int
    repeats: int
    grouping: str
    schedule: str
    options: Mapping[str, Any]
    models: Mapping[str, ModelResult]
    confounds: Confounds | None
    importances: tuple[Importance, ...]
    failed: Mapping[str, str]
    seconds: float
    versions: Mapping[str, str]

    @property
    def first(self) -> ModelResult:
        """The first network."""
        return next(iter(self.models.values()))

    @property
    def main(self) -> str:
        """The measure that is told first."""
        return "accuracy" if self.class_names else "mae"
