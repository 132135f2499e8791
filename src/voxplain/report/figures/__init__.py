"""Figures as PNG bytes; nothing here is written to disk."""

from voxplain.report.figures.brain.cohort import cohort_strip
from voxplain.report.figures.brain.gallery import gallery
from voxplain.report.figures.brain.glass import glass_brains
from voxplain.report.figures.brain.maps import mosaic, overlay
from voxplain.report.figures.brain.quality import contact_sheet, covariates, intensities
from voxplain.report.figures.brain.surface import surfaces
from voxplain.report.figures.charts.bars import localisation_bars, region_bars
from voxplain.report.figures.charts.design import design_picture
from voxplain.report.figures.charts.features import feature_contrasts
from voxplain.report.figures.charts.fit import (
    calibration_curves,
    importances,
    model_scores,
    predicted_numbers,
)
from voxplain.report.figures.charts.intervals import region_intervals
from voxplain.report.figures.charts.matrix import agreement_matrix
from voxplain.report.figures.charts.power import power_curves
from voxplain.report.figures.charts.ranks import rank_matrix
from voxplain.report.figures.charts.removal import removal_curves
from voxplain.report.figures.charts.scores import predictions, training_curve
from voxplain.report.figures.style import Printed, fewer_colours, for_print

__all__ = [
    "Printed",
    "agreement_matrix",
    "calibration_curves",
    "cohort_strip",
    "contact_sheet",
    "covariates",
    "design_picture",
    "feature_contrasts",
    "fewer_colours",
    "for_print",
    "gallery",
    "glass_brains",
    "importances",
    "intensities",
    "localisation_bars",
    "model_scores",
    "mosaic",
    "overlay",
    "power_curves",
    "predicted_numbers",
    "predictions",
    "rank_matrix",
    "region_bars",
    "region_intervals",
    "removal_curves",
    "surfaces",
    "training_curve",
]
