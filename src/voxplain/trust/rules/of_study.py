"""The rules of a whole study; `voxplain.trust.rules.table` joins them."""

from __future__ import annotations

from typing import Final

from voxplain.results.trust import Rule
from voxplain.trust.rules.level import LEVEL

__all__ = ["STUDY_RULES"]

STUDY_RULES: Final = (
    Rule(
        "knowledge-chance",
        "study",
        "The network knows the outcome",
        "p of the held-out score against shuffled outcomes",
        "at most",
        LEVEL,
        "The network predicts held-out scans no better than by chance.",
        "Do not explain it: train on more scans, or ask an easier question.",
        "decisive",
    ),
    Rule(
        "knowledge-confounds",
        "study",
        "The network knows more than the confounds",
        "p of what the predictions tell of the outcome once the confounds are taken out",
        "at most",
        LEVEL,
        "What the network knows of the outcome is what head size, age or site tell too.",
        "Match or balance the cohort for them and fit it again.",
        "decisive",
    ),
    Rule(
        "class-confounds",
        "study",
        "The outcome is not a confound",
        "held-out share of the outcome that one confound alone foretells "
        "(2 AUC - 1 of classes, r of a number)",
        "at most",
        0.6,
        "One confound alone foretells the outcome, so no network can show that it used more.",
        "Match or balance the cohort for it; look at the maps at matched size.",
        "care",
    ),
    Rule(
        "plausibility",
        "study",
        "Predictions and scans are like those of the training",
        "share of the scans whose prediction is like what the network was trained for",
        "at least",
        0.9,
        "Predictions cannot be right: saturated, one class for all, or numbers out of range.",
        "Prepare the scans as those that the network was trained on.",
        "decisive",
    ),
    Rule(
        "split",
        "study",
        "Nobody is on both sides of a split",
        "scans of participants or families who were in training and held out",
        "at most",
        0,
        "Scans of one participant or family were both trained on and held out: the score is too "
        "good.",
        "Fit again with --group and the column that says who belongs together.",
        "decisive",
    ),
    Rule(
        "duplicates",
        "study",
        "No brain is there twice",
        "scans that are copies of another participant's",
        "at most",
        0,
        "The same brain goes by two names, and may be trained on and held out at once.",
        "Leave one of each pair out of the cohort and fit again.",
        "decisive",
    ),
    Rule(
        "intensities",
        "study",
        "Intensities are whole",
        "scans whose intensities jump as those that were stored in too few bits",
        "at most",
        0,
        "Intensities wrapped around where they were stored, so that bright tissue is dark.",
        "Convert the images again, and build the cohort from them.",
        "decisive",
    ),
    Rule(
        "left-right",
        "study",
        "All scans have the same sides",
        "scans more like the others once they are mirrored",
        "at most",
        0,
        "Some scans have left and right swapped.",
        "Look at the orientation of these files, see --orientation, and build the cohort again.",
        "care",
    ),
    Rule(
        "masks",
        "study",
        "Masks were made without the scans that they judge",
        "masks that were made from held-out scans",
        "at most",
        0,
        "Masks were made from the scans that they were then tested on: the accuracy is too good.",
        "Run 'voxplain reclassify' without --paper.",
        "care",
    ),
    Rule(
        "atlas",
        "study",
        "The atlas lies on the brains",
        "distance in mm by which the atlas would have to be moved to lie on the mean brain as on "
        "its template",
        "at most",
        5,
        "Regions of the atlas lie beside the places that they name.",
        "Align the cohort to the atlas's template (--align affine), or take an atlas that lies on "
        "these scans.",
        "care",
    ),
)
