"""The figures of a fit, for its page and on their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from voxplain.pipeline.fit.setting import Setting
from voxplain.report.figures import (
    calibration_curves,
    importances,
    model_scores,
    predicted_numbers,
)
from voxplain.report.pages.fit import score_rows
from voxplain.report.words.scores import chance_level
from voxplain.results.fit import FitResult

__all__ = ["fit_pictures"]


def fit_pictures(
    fit: FitResult,
    setting: Setting,
    outputs: Mapping[str, Sequence[NDArray[np.floating]]],
) -> dict[str, bytes]:
    """Draw what `voxplain.report.pages.fit.fit_page` shows.

    Parameters
    ----------
    fit : FitResult
    setting : Setting
    outputs : mapping of str to list of array (n, K)
        Of the networks, for each fold's held-out scans.

    Returns
    -------
    dict of str to bytes
        PNG files by name.
    """
    name = setting.outcome.name
    classes = bool(fit.class_names)
    label = "accuracy" if classes else f"mean absolute error of {name} (less is better)"
    chance = chance_level(fit.class_names, fit.class_counts)
    pictures = {"scores": model_scores(score_rows(fit), label, chance, fit.ceiling)}
    if classes:
        judged = {name: model.judged for name, model in fit.models.items()}
        pictures["calibration"] = calibration_curves(judged)
    ranked = [
        row
        for row in fit.importances
        if row.permutation is not None and np.isfinite(row.permutation)
    ]
    if ranked:
        pictures["importances"] = importances(ranked, of="accuracy" if classes else "R²")
    if not classes:
        first = [i for i, fold in enumerate(setting.folds) if fold.repeat == 1]
        rows = np.concatenate([setting.folds[i].test for i in first])
        truth = setting.outcome.values[rows]
        for network, given in outputs.items():
            made = np.concatenate([given[i][:, 0] for i in first])
            pictures[f"predictions:{network}"] = predicted_numbers(truth, made, name)
    return pictures
