"""Training and its scores."""

from voxplain.fit.metrics import Score, classification_scores
from voxplain.fit.splits import hold_out
from voxplain.fit.training import PAPER_SCHEDULE, Epoch, Schedule, predict, train

__all__ = [
    "Epoch",
    "PAPER_SCHEDULE",
    "Schedule",
    "Score",
    "classification_scores",
    "hold_out",
    "predict",
    "train",
]
