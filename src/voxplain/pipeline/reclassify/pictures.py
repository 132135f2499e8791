"""The figures of masked scans, for their page and on their own."""

from __future__ import annotations

from collections.abc import Mapping

from numpy.typing import ArrayLike

from voxplain.pipeline.fit.setting import Setting
from voxplain.report.figures import gallery, model_scores
from voxplain.report.pages.reclassify import condition_rows
from voxplain.report.words.scores import chance_level
from voxplain.results.reclassify import ReclassifyResult

__all__ = ["reclassify_pictures"]


def reclassify_pictures(
    result: ReclassifyResult,
    setting: Setting,
    masks: Mapping[str, ArrayLike],
    truth: ArrayLike | None = None,
) -> dict[str, bytes]:
    """Draw what `voxplain.report.pages.reclassify.reclassify_page` shows.

    Parameters
    ----------
    result : ReclassifyResult
    setting : Setting
    masks : mapping of str to array (X, Y, Z)
        By the words that stand beside them, averaged over folds.
    truth : array (X, Y, Z), optional
        Outlined; known of a phantom alone.

    Returns
    -------
    dict of str to bytes
        PNG files by name.
    """
    cohort = setting.cohort
    mean = cohort.mean(range(len(cohort)))
    chance = chance_level(result.class_names, result.class_counts)
    return {
        "scores": model_scores(condition_rows(result), "accuracy", chance, result.ceiling),
        "masks": gallery(list(masks.items()), mean, cohort.grid, truth=truth, top=1.0),
    }
