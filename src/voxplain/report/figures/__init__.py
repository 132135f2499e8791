"""Figures as PNG bytes; nothing here is written to disk."""

from voxplain.report.figures.bars import localisation_bars, region_bars
from voxplain.report.figures.cohort import cohort_strip
from voxplain.report.figures.features import feature_contrasts
from voxplain.report.figures.fit import (
    calibration_curves,
    importances,
    model_scores,
    predicted_numbers,
)
from voxplain.report.figures.gallery import gallery
from voxplain.report.figures.maps import mosaic, overlay
from voxplain.report.figures.matrix import agreement_matrix
from voxplain.report.figures.quality import contact_sheet, covariates, intensities
from voxplain.report.figures.scores import predictions, training_curve

__all__ = [
    "agreement_matrix",
    "calibration_curves",
    "cohort_strip",
    "contact_sheet",
    "covariates",
    "feature_contrasts",
    "gallery",
    "importances",
    "intensities",
    "localisation_bars",
    "model_scores",
    "mosaic",
    "overlay",
    "predicted_numbers",
    "predictions",
    "region_bars",
    "training_curve",
]
