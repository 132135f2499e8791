"""The pattern of a network: which voxels, or regions, go with its logit over held-out scans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from voxplain.errors import GridError, InputError

__all__ = ["LogitPattern", "PatternMap", "RegionMeans", "critical_correlation"]

_FEWEST = 3


@dataclass(frozen=True, eq=False)
class LogitPattern:
    """How each voxel or region goes with the logit.

    Parameters
    ----------
    covariance : array (X, Y, Z) or (R,), float32, intensity × logit
        Divided by n - 1.
    correlation : array (X, Y, Z) or (R,), float32
        0 where nothing varies.
    per_logit : array (X, Y, Z) or (R,), float32, intensity per logit
        Covariance over the variance of the logit: the activation pattern of Haufe et al. 2014.
    scans : int
    correlation_95 : float
        Absolute correlation that 5 % of unrelated voxels exceed, each taken by itself.
    correlation_95_all : float
        That which any of them exceeds in 5 % of cohorts (Bonferroni's bound).
    """

    covariance: NDArray[np.float32]
    correlation: NDArray[np.float32]
    per_logit: NDArray[np.float32]
    scans: int
    correlation_95: float
    correlation_95_all: float


class PatternMap:
    """Covariance of each voxel with a network's logit, fed one scan at a time.

    A filter, as a gradient is, says how a network weighs voxels; it weighs also those that carry
    no class and cancel noise. The pattern says where the network's decision shows in the scans
    (Haufe et al. 2014, *NeuroImage* 87:96): for a linear network of noise-free class signal the
    two together are its forward model. Means and products are updated as Welford (1962,
    *Technometrics* 4:419) does, in float64; memory holds three images.

    The method ``"pattern"`` asks the same of one scan's gradient; this asks it of the logits
    themselves. Give held-out scans, each with the logit of the network that did not train on it.
    Where there are several networks, bring their logits to one centre and scale first.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean_logit = 0.0
        self._square_logit = 0.0
        self._mean = np.zeros(())
        self._square = np.zeros(())
        self._product = np.zeros(())

    def add(self, values: ArrayLike, logit: float) -> None:
        """Take in one scan, or the means of its regions.

        Parameters
        ----------
        values : array (X, Y, Z) or (R,)
        logit : float
            Logit margin of the class in question.

        Raises
        ------
        GridError
            If the shape differs from that before.
        InputError
            If a value or the logit is not finite.
        """
        image = np.asarray(values, dtype=np.float64)
        if not (np.isfinite(image).all() and np.isfinite(logit)):
            raise InputError("The scan or its logit has values that are not finite.")
        if not self._count:
            self._mean, self._square, self._product = (np.zeros(image.shape) for _ in range(3))
        if image.shape != self._mean.shape:
            raise GridError(
                f"The scan has shape {image.shape}, those before {self._mean.shape}; resample it "
                "first."
            )
        self._count += 1
        step, step_logit = image - self._mean, float(logit) - self._mean_logit
        self._mean += step / self._count
        self._mean_logit += step_logit / self._count
        self._square += step * (image - self._mean)
        self._square_logit += step_logit * (float(logit) - self._mean_logit)
        self._product += step * (float(logit) - self._mean_logit)

    def pattern(self) -> LogitPattern:
        """Return what was found.

        Returns
        -------
        LogitPattern

        Raises
        ------
        InputError
            If there are fewer than three scans, or all logits are the same.
        """
        if self._count < _FEWEST:
            raise InputError(f"A pattern needs {_FEWEST} scans or more; {self._count} were given.")
        if not self._square_logit > 0:
            raise InputError("All logits are the same: no voxel can go with them.")
        free = self._count - 1
        scale = np.sqrt(self._square * self._square_logit)
        varies = scale > 0
        correlation = np.zeros(self._mean.shape)
        np.divide(self._product, scale, out=correlation, where=varies)
        several = max(1, int(np.count_nonzero(varies)))
        return LogitPattern(
            covariance=(self._product / free).astype(np.float32),
            correlation=np.clip(correlation, -1, 1).astype(np.float32),
            per_logit=(self._product / self._square_logit).astype(np.float32),
            scans=self._count,
            correlation_95=critical_correlation(self._count, 0.05),
            correlation_95_all=critical_correlation(self._count, 0.05 / several),
        )


def critical_correlation(count: int, level: float) -> float:
    """Give the absolute correlation that unrelated numbers exceed at a stated rate.

    Parameters
    ----------
    count : int
        Pairs of numbers, three or more, independent of each other: no siblings, no sessions.
    level : float
        Rate, two-sided, above 0 and below 1.

    Returns
    -------
    float
        By Student's t with ``count - 2`` degrees of freedom.
    """
    t = float(student.isf(level / 2, count - 2))
    return float(t / np.sqrt(count - 2 + t**2))


class RegionMeans:
    """From a scan to the means of its regions, for the pattern by region.

    Parameters
    ----------
    labels : array (X, Y, Z) of int
        Label of each voxel, 0 for none: ``atlas.on(grid).labels``.

    Raises
    ------
    InputError
        If there is no region.
    """

    def __init__(self, labels: NDArray[np.integer]) -> None:
        names, number = np.unique(labels, return_inverse=True)
        self._number = number.reshape(np.shape(labels))
        self._regions = np.flatnonzero(names > 0)
        if not len(self._regions):
            raise InputError("The atlas has no region on this grid.")
        self._voxels = np.bincount(self._number.ravel())
        self.labels = tuple(int(n) for n in names[self._regions])

    def of(self, values: ArrayLike) -> NDArray[np.float64]:
        """Average a scan over each region.

        Parameters
        ----------
        values : array (X, Y, Z)

        Returns
        -------
        array (R,), float64
            In the order of `labels`.

        Raises
        ------
        GridError
            If the scan has another shape than the atlas.
        """
        self._require(np.shape(values))
        sums = np.bincount(
            self._number.ravel(), np.asarray(values, dtype=np.float64).ravel(), len(self._voxels)
        )
        return np.asarray((sums / self._voxels)[self._regions])

    def spread(self, values: ArrayLike) -> NDArray[np.float32]:
        """Give each voxel the value of its region; 0 where there is none.

        Parameters
        ----------
        values : array (R,)

        Returns
        -------
        array (X, Y, Z), float32
        """
        by_number = np.zeros(len(self._voxels))
        by_number[self._regions] = values
        return np.asarray(by_number[self._number], dtype=np.float32)

    def _require(self, shape: tuple[int, ...]) -> None:
        if shape != self._number.shape:
            raise GridError(
                f"The scan has shape {shape}, the atlas {self._number.shape}; call "
                "atlas.on(volume.grid) first."
            )
