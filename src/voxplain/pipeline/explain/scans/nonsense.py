"""Predictions that cannot be meant: what is refused, and what is only remarked on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from voxplain.errors import InputError
from voxplain.pipeline.explain.scans.networks import Predicted
from voxplain.progress import Progress

__all__ = ["SATURATED", "YEARS", "require_sense"]

SATURATED: Final = 20.0
"""Logits that lie further apart are unlike those of a network at home on its scans."""

YEARS: Final = (0.0, 110.0)
"""Ages of people."""

# No network is so sure of every scan, and no person of such an age, even as a difference of ages.
_NEVER = 100.0
_NO_AGE = (-50.0, 130.0)


def require_sense(predicted: Predicted, progress: Progress, forced: bool = False) -> None:
    """Refuse scans none of whose predictions can be meant; remark on those that are doubtful.

    Of a few scans, one class for all is nothing odd. Where one prediction is possible, all scans
    are explained.

    Parameters
    ----------
    predicted : Predicted
    progress : Progress
    forced : bool, default=False
        Whether they are explained all the same.

    Raises
    ------
    InputError
        If the logits of every scan lie more than 100 apart, or every age is below -50 or above 130.
    """
    kind = predicted.outputs
    if kind.task == "classification":
        margins = np.array([_margin(one["logits"]) for one in predicted.of_scans])
        impossible, odd = margins > _NEVER, margins > SATURATED
        what = f"saturated logits, up to {margins.max():.0f} apart"
    elif kind.task == "regression" and kind.unit == "years":
        ages = np.array([float(one["prediction"]) for one in predicted.of_scans])
        impossible = (ages < _NO_AGE[0]) | (ages > _NO_AGE[1])
        odd = (ages < YEARS[0]) | (ages > YEARS[1])
        far = ages[np.abs(ages - sum(YEARS) / 2).argmax()]
        what = f"ages that nobody has, such as {far:.0f} years"
    else:
        return
    if impossible.all() and not forced:
        whom = "the scan" if len(impossible) == 1 else f"all {len(impossible)} scans"
        raise InputError(
            f"The network gives {whom} {what}, so that a map would explain nonsense; prepare scans "
            "as those of the training (see --preset), or give --force to have them explained all "
            "the same."
        )
    if odd.any():
        progress.say(
            f"{odd.sum()} of {len(odd)} scans have {what}: are they prepared as those of the "
            "training were?"
        )


def _margin(logits: Sequence[float]) -> float:
    """How far the largest logit is from the next, a single one from 0."""
    if len(logits) == 1:
        return abs(logits[0])
    first, second = sorted(logits)[:-3:-1]
    return first - second
