"""How much of what a network tells of two classes is the size of the brain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes
from scipy.stats import mannwhitneyu, rankdata

from voxplain.phantom import background_of
from voxplain.report.words.numbers import share
from voxplain.volume import Cohort

__all__ = ["HeadSize", "mask_scans", "reads_head_size"]

_DRAWS = 1000
_CHANCE = 0.5
_FOLLOWS = 0.5
_TOP, _EDGE = 95, 0.1
_TWO = 2


@dataclass(frozen=True)
class HeadSize:
    """How much of what tells two classes apart is the size of the brain.

    All are areas under the ROC curve, in the sense in which they are .5 or more.

    Parameters
    ----------
    names : tuple of 2 str
        Of the classes.
    network : float
    low, high : float
        95 % interval, by a bootstrap within the classes.
    size : float
        Of the brain's volume alone.
    removed : float
        Of the network's output once the volume is regressed out.
    masks : float or None
        Of the network shown nothing but brain masks; None where it was not asked.
    r, r_within : float
        Correlation of the network's output with the volume, over all scans, and within the classes.
    p, p_removed : float
        How often shuffled labels would tell as much of the output, as it is and once the volume is
        regressed out (Mann and Whitney, two-sided).
    scans : int
    """

    names: tuple[str, str]
    network: float
    low: float
    high: float
    size: float
    removed: float
    masks: float | None
    r: float
    r_within: float
    p: float
    p_removed: float
    scans: int

    @property
    def reads_size(self) -> bool:
        """Whether the network follows the volume, and what it knows goes with it.

        Its output follows the volume within the classes too, and more than half of what it knows is
        gone once the volume is regressed out. Where size all but tells the class, the second alone
        would be true of any network. One that is no better than chance has nothing to be explained.
        """
        knows, follows = self.low > _CHANCE, abs(self.r_within) > _FOLLOWS
        return (
            knows and follows and (self.network - self.removed) > _CHANCE * (self.network - _CHANCE)
        )

    @property
    def sentence(self) -> str:
        """What was found, with its figures."""
        masks = (
            ""
            if self.masks is None
            else f", the network shown nothing but brain masks {share(self.masks)}"
        )
        figures = (
            f"the network tells {' from '.join(self.names)} with AUC {share(self.network)} "
            f"({share(self.low)} to {share(self.high)}, {self.scans} scans), brain volume alone "
            f"{share(self.size)}, the network once volume is regressed out "
            f"{share(self.removed)}{masks}"
        )
        if self.reads_size:
            return f"This network reads head size: {figures}. Its maps explain head size."
        if self.low <= _CHANCE:
            return f"This network does not tell these scans apart: {figures}."
        return f"This network reads more than head size: {figures}."


def mask_scans(cohort: Cohort) -> Iterable[NDArray[np.float32]]:
    """Show every brain as its mask, in one grey level: size and outline are all that is left.

    The mask holds what is above a tenth of the brain's 95th percentile, with its holes filled, as
    smoothing leaves tails around a brain; the grey level is the cohort's mean of that percentile.

    Parameters
    ----------
    cohort : Cohort

    Yields
    ------
    array (X, Y, Z), float32
    """
    tops = []
    for i in range(len(cohort)):
        values = cohort.load(i)
        signal = values - background_of(values)
        tops.append(float(np.percentile(signal[signal != 0], _TOP)) if signal.any() else 0.0)
    level = float(np.mean(tops))
    for i, top in enumerate(tops):
        values = cohort.load(i)
        floor = background_of(values)
        brain = binary_fill_holes(values - floor > _EDGE * top)
        yield np.where(brain, floor + level, floor).astype(np.float32)


def reads_head_size(
    score: NDArray[np.floating],
    cohort: Cohort,
    masks: NDArray[np.floating] | None = None,
    seed: int = 0,
) -> HeadSize | None:
    """Say how much of what a network tells of two classes goes with the brain's volume.

    Parameters
    ----------
    score : array (N,)
        The network's output for each scan, such as the logit of one class less that of the other.
    cohort : Cohort
        Of two classes, with ``brain_ml``.
    masks : array (N,), optional
        The same for its brain masks.
    seed : int, default=0

    Returns
    -------
    HeadSize or None
        None where volumes are missing or a class has fewer than two scans.
    """
    table, labels = cohort.participants, cohort.labels
    if len(cohort.class_names) != 2 or "brain_ml" not in table or min(np.bincount(labels)) < 2:
        return None
    size = table["brain_ml"].to_numpy(dtype=np.float64)
    if not np.isfinite(size).all() or np.ptp(size) == 0:
        return None
    output = np.asarray(score, dtype=np.float64)
    second = labels == 1
    line = np.polyfit(size, output, 1)
    left = output - np.polyval(line, size)
    network = _auc(output, second)
    rng = np.random.default_rng(seed)
    parts = np.flatnonzero(second), np.flatnonzero(~second)
    turn = 1.0 if _signed_auc(output, second) >= 0.5 else -1.0
    drawn = [np.concatenate([rng.choice(part, len(part)) for part in parts]) for _ in range(_DRAWS)]
    low, high = np.quantile(
        [_signed_auc(turn * output[d], second[d]) for d in drawn], [0.025, 0.975]
    )
    return HeadSize(
        names=(cohort.class_names[0], cohort.class_names[1]),
        network=network,
        low=float(low),
        high=float(high),
        size=_auc(size, second),
        removed=_auc(left, second),
        masks=None if masks is None else _auc(np.asarray(masks, dtype=np.float64), second),
        r=_correlation(output, size),
        r_within=_correlation(_within(output, second), _within(size, second)),
        p=_p(output, second),
        p_removed=_p(left, second),
        scans=len(output),
    )


def _within(values: NDArray[np.float64], second: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Take the mean of each class out."""
    means = values[~second].mean(), values[second].mean()
    return np.asarray(values - np.where(second, means[1], means[0]))


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) and np.ptp(b) else 0.0


def _signed_auc(score: NDArray[np.float64], second: NDArray[np.bool_]) -> float:
    """Area under the ROC curve, by the ranks (Mann and Whitney)."""
    count = int(second.sum())
    above = rankdata(score)[second].sum() - count * (count + 1) / 2
    return float(above / (count * (len(score) - count)))


def _p(score: NDArray[np.float64], second: NDArray[np.bool_]) -> float:
    return float(mannwhitneyu(score[second], score[~second]).pvalue)


def _auc(score: NDArray[np.float64], second: NDArray[np.bool_]) -> float:
    found = _signed_auc(score, second)
    return max(found, 1 - found)
