"""The scores of one model over all folds, and its table of held-out predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxplain.fit import (
    FEW_FOLDS,
    Fold,
    Outcome,
    Score,
    bootstrap,
    calibration,
    corrected_interval,
    measures,
    moderated_interval,
    permutation_p,
)
from voxplain.fit.metrics import Calibration, probabilities_of
from voxplain.pipeline.fit.setting import Setting
from voxplain.results.scores import Calibrated, HeldOut, Interval, Judged, Permutation
from voxplain.tables.formulas import plain_lines
from voxplain.volume import Cohort

__all__ = ["predictions_table", "score_model", "widest_intervals"]

_RANGES = {"r": (-1.0, 1.0), "r2": (-np.inf, 1.0), "mae": (0.0, np.inf), "rmse": (0.0, np.inf)}
_TESTED = {True: "accuracy", False: "mae"}


class Intervals(NamedTuple):
    """Intervals of a score; see `voxplain.results.scores.HeldOut`."""

    ci: Interval
    folds_ci: Interval | None
    moderated_ci: Interval | None
    pooled_ci: Interval | None


def score_model(
    setting: Setting, outputs: Sequence[NDArray[np.floating]], likely: bool = True
) -> Judged:
    """Score held-out predictions, fold by fold and pooled.

    Parameters
    ----------
    setting : Setting
    outputs : sequence of array (n, K)
        Of each fold's held-out scans.
    likely : bool, default=True
        Whether the outputs are logits or logarithms of probabilities; the margins of a support
        vector machine are neither, and get no Brier score and no calibration.

    Returns
    -------
    Judged
        With the permutation test of accuracy or mean error.
    """
    outcome, folds, groups, seed = setting.outcome, setting.folds, setting.groups, setting.seed
    classes = bool(outcome.class_names)
    one_out = all(len(np.unique(outcome.strata[fold.test])) == 1 for fold in folds) and classes
    each = [
        measures(_part(outcome, fold.test), out) for fold, out in zip(folds, outputs, strict=True)
    ]
    first = [(f, o) for f, o in zip(folds, outputs, strict=True) if f.repeat == 1]
    rows = np.concatenate([fold.test for fold, _ in first])
    pooled_output = np.concatenate([out for _, out in first])
    pooled = _part(outcome, rows)
    own = None if groups is None else groups[rows]
    intervals = bootstrap(pooled, pooled_output, own, seed=seed)
    scores: dict[str, HeldOut] = {}
    for name, score in intervals.items():
        if name == "brier" and not likely:
            continue
        values = [one[name] for one in each]
        known = np.array([v for v in values if np.isfinite(v)])
        scores[name] = HeldOut(
            float(known.mean()) if len(known) else None,
            float(known.std(ddof=1)) if len(known) > 1 else None,
            tuple(values),
            score.value,
            *widest_intervals(name, values, folds, score, one_out),
        )
    tested = _TESTED[classes]
    p = permutation_p(pooled, pooled_output, tested, own, seed=seed)
    told = calibration(pooled, pooled_output) if classes and likely else None
    return Judged(scores, Permutation(tested, p), _calibrated(told) if told else None)


def _calibrated(told: Calibration) -> Calibrated:
    confidence, accuracy, count = (
        tuple(values.tolist()) for values in (told.confidence, told.accuracy, told.count)
    )
    return Calibrated(confidence, accuracy, count, told.error)


def widest_intervals(
    name: str, values: Sequence[float], folds: Sequence[Fold], pooled: Score, one_out: bool
) -> Intervals:
    """Join what folds and participants say of the uncertainty of a score.

    Parameters
    ----------
    name : str
        The measure.
    values : sequence of float
        One a fold.
    folds : sequence of Fold
    pooled : Score
        Of the predictions of the first repeat together, with its standard error.
    one_out : bool
        Whether folds are single scans, whose scores say nothing by themselves.
    """
    sizes = [len(fold.train) for fold in folds], [len(fold.test) for fold in folds]
    given = [np.nan] * len(values) if one_out else values
    apart = corrected_interval(given, *sizes)
    moderated = moderated_interval(given, *sizes, pooled)
    usable = apart if np.isfinite(given).sum() >= FEW_FOLDS else None
    low, high = _RANGES.get(name, (0.0, 1.0))
    known = [score for score in (pooled, usable, moderated) if score is not None]
    widest = max(low, min(s.low for s in known)), min(high, max(s.high for s in known))
    return Intervals(widest, _bounds(apart), _bounds(moderated), _bounds(pooled))


def _bounds(score: Score | None) -> Interval | None:
    return None if score is None else (score.low, score.high)


def predictions_table(
    cohort: Cohort,
    outcome: Outcome,
    folds: Sequence[Fold],
    outputs: Sequence[NDArray[np.floating]],
) -> str:
    """Lay out held-out predictions, a scan and repeat a row, as TSV."""
    names = outcome.class_names
    columns = ["scan", "repeat", "fold", "truth", "predicted"]
    columns += [f"{what}_{name}" for what in ("logit", "p") for name in names]
    rows = [columns]
    for fold, output in zip(folds, outputs, strict=True):
        chances = probabilities_of(output) if names else None
        for row, index in enumerate(fold.test):
            cells = [f"sub-{cohort.subjects[index]}", str(fold.repeat), str(fold.number)]
            if chances is None:
                cells += [f"{outcome.values[index]:g}", f"{output[row, 0]:.6g}"]
            else:
                cells += [names[int(outcome.values[index])], names[int(chances[row].argmax())]]
                cells += [f"{value:.6g}" for value in (*output[row], *chances[row])]
            rows.append(cells)
    return plain_lines(rows)


def _part(outcome: Outcome, rows: NDArray[np.int64]) -> Outcome:
    return Outcome(outcome.name, outcome.values[rows], outcome.class_names)
