"""A known effect planted in scans that already exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.phantom.expansion import Flow
from voxplain.volume import Cohort

__all__ = ["Darkening", "Expansion", "Planted", "Spike", "background_of", "dprime_of"]

_LEAST, _MOST = 0.5, 6.0


def dprime_of(accuracy: float) -> float:
    """Find the effect at which the best observer of two equal groups is right so often.

    Parameters
    ----------
    accuracy : float
        Such as a study's own held-out accuracy.

    Returns
    -------
    float
        Distance of the groups' means in standard deviations, d', where the accuracy is
        Phi(d' / 2); held between 0.5 and 6.
    """
    if accuracy <= 0.5:
        return _LEAST
    return float(np.clip(2 * ndtri(min(accuracy, 0.9999)), _LEAST, _MOST))


class Planted(Protocol):
    """A change of a scan in known voxels, by an amount that differs between subjects."""

    @property
    def support(self) -> NDArray[np.bool_]:
        """Voxels that belong to the region that is changed, array (X, Y, Z)."""

    def apply(self, values: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
        """Change a scan by an amount; by 0, nothing."""


@dataclass(frozen=True, eq=False)
class Darkening:
    """Signal that is lost in a region.

    Parameters
    ----------
    fraction : array (X, Y, Z), in [0, 1]
        Share of each voxel that lies in the region.
    """

    fraction: NDArray[np.float32]

    @property
    def support(self) -> NDArray[np.bool_]:
        """Voxels that lie in the region for the most part, array (X, Y, Z)."""
        return self.fraction >= 0.5

    def apply(self, values: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
        """Take away a share of the signal above the scan's background.

        Parameters
        ----------
        values : array (X, Y, Z)
            Of any scale, standardised scans too.
        amount : float
            Share of the signal; negative brightens, more than all of it counts as all.

        Returns
        -------
        array (X, Y, Z), float32
        """
        floor = background_of(values)
        kept = 1 - min(amount, 1.0) * self.fraction
        return np.where(self.fraction > 0, floor + (values - floor) * kept, values).astype(
            np.float32
        )


@dataclass(frozen=True, eq=False)
class Expansion:
    """A region that is larger or smaller, its surroundings moved aside.

    Parameters
    ----------
    fraction : array (X, Y, Z), in [0, 1]
        Share of each voxel that lies in the region.
    grid : Grid
    """

    fraction: NDArray[np.float32]
    grid: Grid

    def __post_init__(self) -> None:
        object.__setattr__(self, "_flow", Flow.expanding(self.fraction, self.grid))

    @property
    def flow(self) -> Flow:
        """The deformation, whose logarithm of the Jacobian is known."""
        flow: Flow = self.__dict__["_flow"]
        return flow

    @property
    def support(self) -> NDArray[np.bool_]:
        """Voxels that lie in the region for the most part, array (X, Y, Z)."""
        return self.fraction >= 0.5

    def apply(self, values: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
        """Deform a scan.

        Parameters
        ----------
        values : array (X, Y, Z)
        amount : float
            Logarithm of the region's volume after over before.

        Returns
        -------
        array (X, Y, Z), float32
        """
        return values if amount == 0 else self.flow.warp(values, amount)


@dataclass(frozen=True, eq=False)
class Spike:
    """How much each scan is changed.

    Every scan is changed by an amount of its own, drawn alike in both groups; in the second group
    by a fixed amount more. So the change itself gives no scan away, and how right the best
    observer of the amount is, is known: `bayes_accuracy`.

    Parameters
    ----------
    planted : Planted
    dprime : float
        Difference of the groups' means of the amount, in its standard deviations.
    spread : float
        Standard deviation of the amount within a group.
    seed : int
    """

    planted: Planted
    dprime: float
    spread: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.dprime >= 0:
            raise InputError(f"dprime must be 0 or more; {self.dprime} was given.")
        if not self.spread > 0:
            raise InputError(f"spread must be above 0; {self.spread} was given.")

    @property
    def bayes_accuracy(self) -> float:
        """Accuracy of the best observer that sees the amount without error."""
        return float(ndtr(self.dprime / 2))

    @property
    def strength(self) -> float:
        """Amount by which the second group is changed beyond the first."""
        return self.dprime * self.spread

    def natural(self, participant: int) -> float:
        """Draw the amount by which a participant is changed in either group."""
        rng = np.random.default_rng([self.seed, participant])
        return float(rng.normal(0, self.spread))

    def natural_amounts(self, cohort: Cohort) -> NDArray[np.float64]:
        """Draw the amounts of all scans, array (N,); those of one participant are the same."""
        _, number = np.unique(
            cohort.participants["participant_id"].astype(str), return_inverse=True
        )
        return np.array([self.natural(int(i)) for i in number])


def background_of(values: NDArray[np.float32]) -> float:
    """Find the value that stands for no signal: the median of the outermost voxels.

    Parameters
    ----------
    values : array (X, Y, Z)

    Returns
    -------
    float
        0 for scans from 0 up; what was 0 before it was standardised for others.
    """
    faces = [np.take(values, side, axis).ravel() for axis in range(3) for side in (0, -1)]
    return float(np.median(np.concatenate(faces)))
