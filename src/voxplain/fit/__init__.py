"""Splits, training, scores, and how sure they are."""

from voxplain.fit.groups import find_groups
from voxplain.fit.inference import (
    FEW_FOLDS,
    bootstrap,
    classification_scores,
    corrected_interval,
    moderated_interval,
    permutation_p,
)
from voxplain.fit.metrics import Score, calibration, measures
from voxplain.fit.outcome import Outcome, outcome_of, unit_of
from voxplain.fit.prediction import predict
from voxplain.fit.splits import Fold, hold_out, inner_split, make_folds
from voxplain.fit.training.loop import Training, train
from voxplain.fit.training.processes import Processes
from voxplain.fit.training.schedule import PAPER_SCHEDULE, Schedule
from voxplain.results.training import Epoch

__all__ = [
    "Epoch",
    "FEW_FOLDS",
    "Fold",
    "Outcome",
    "PAPER_SCHEDULE",
    "Processes",
    "Schedule",
    "Score",
    "Training",
    "bootstrap",
    "calibration",
    "classification_scores",
    "corrected_interval",
    "find_groups",
    "hold_out",
    "inner_split",
    "make_folds",
    "measures",
    "moderated_interval",
    "outcome_of",
    "permutation_p",
    "predict",
    "train",
    "unit_of",
]
