"""Regions that are larger or smaller in cases, each on top of a natural variation of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.special import ndtr

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.phantom.anatomy import sample
from voxplain.phantom.bases import Seen
from voxplain.phantom.effects import Amounts, Effect
from voxplain.phantom.expansion import Flow

__all__ = ["Growth"]

_PLACES = (
    ("Amygdala_L", "Amygdala_R"),
    ("Putamen_L", "Putamen_R"),
    ("Hippocampus_L", "Hippocampus_R"),
    ("Caudate_L", "Caudate_R"),
    ("Insula_L", "Insula_R"),
    ("Precuneus_L", "Precuneus_R"),
)
_CHANGES = (0.05, 0.04, -0.03, -0.04, 0.03, -0.02)
_STEP, _LARGEST = 0.1, 0.8


@dataclass(frozen=True)
class Growth(Effect):
    """Parts that are larger or smaller, their surroundings moved aside.

    Parameters
    ----------
    places : tuple of tuple of str
        Names in the atlas, of each part.
    changes : tuple of float
        Logarithm of each part's volume in cases over that in controls.
    strength : float
        Factor of all changes.
    spread : float
        Standard deviation of the natural variation of each part within a class, in units of its
        change: one part by itself has a d' of ``strength / spread``.
    """

    places: tuple[tuple[str, ...], ...] = _PLACES
    changes: tuple[float, ...] = _CHANGES
    regions: tuple[str, ...] = ()
    strength: float = 1.0
    spread: float = 1 / 0.3

    measure: ClassVar[str] = "log_volume"

    def __post_init__(self) -> None:
        if len(self.places) != len(self.changes):
            raise InputError(
                f"Growth needs a change for each place; {len(self.places)} places and "
                f"{len(self.changes)} changes were given."
            )
        object.__setattr__(self, "regions", tuple(name for part in self.places for name in part))

    @property
    def parts(self) -> tuple[tuple[str, ...], ...]:
        """Names of the regions of each part."""
        return self.places

    @property
    def telling(self) -> tuple[bool, ...]:
        """Every part that changes carries the class."""
        return tuple(change != 0 for change in self.changes)

    @property
    def dprime(self) -> float:
        """Of the best observer, who takes all parts together."""
        return self.strength / self.spread * float(np.sqrt(sum(self.telling)))

    @property
    def bayes_accuracy(self) -> float:
        """Accuracy of that observer."""
        return float(ndtr(self.dprime / 2))

    def draw(self, rng: np.random.Generator, case: bool) -> Amounts:
        """Draw the logarithm of each part's volume over that of the brain at rest.

        Parameters
        ----------
        rng : numpy.random.Generator
        case : bool

        Returns
        -------
        Amounts
        """
        bare = tuple(float(rng.normal(0, self.spread * abs(change))) for change in self.changes)
        added = [self.strength * change * case for change in self.changes]
        return Amounts(bare, tuple(a + b for a, b in zip(bare, added, strict=True)))

    def rendering(self, fractions: Sequence[NDArray[np.float32]], grid: Grid) -> Grown:
        """Prepare the deformation of each part; see `Effect.rendering`."""
        flows = tuple(Flow.expanding(one, grid, _STEP, _LARGEST) for one in fractions)
        told = [one for one, tells in zip(fractions, self.telling, strict=True) if tells]
        return Grown(flows, np.sum(told, axis=0), grid)

    def describe(self) -> str:
        """Say in words what a case has that a control has not."""
        told = [
            f"{', '.join(part)} {100 * abs(np.expm1(self.strength * change)):.0f} % "
            f"{'larger' if change > 0 else 'smaller'}"
            for part, change in zip(self.places, self.changes, strict=True)
        ]
        return (
            f"{'; '.join(told)}, on top of a natural variation, so that the best observer of these "
            f"is right {100 * self.bayes_accuracy:.1f} % of the time"
        )


@dataclass(frozen=True, eq=False)
class Grown:
    """The deformations of all parts.

    Parameters
    ----------
    flows : tuple of Flow
        Parts do not overlap, and what one grows by is small beside the way to the next: their
        displacements are added.
    region : array (X, Y, Z), in [0, 1]
        Share of each voxel that lies in parts which carry the class, at rest.
    grid : Grid
    """

    flows: tuple[Flow, ...]
    region: NDArray[np.float32]
    grid: Grid

    def tissue(self, seen: Seen, amounts: Sequence[float]) -> NDArray[np.float32]:
        """See a brain whose parts are larger by their amounts."""
        return self._grown(seen, amounts).tissue

    def support(self, seen: Seen, amounts: Sequence[float]) -> NDArray[np.bool_]:
        """Return the voxels of all parts, as large as they are."""
        return sample(self.region, self.grid, self._grown(seen, amounts).points) >= 0.5

    def _grown(self, seen: Seen, amounts: Sequence[float]) -> Seen:
        return seen.moved(tuple(amounts), lambda: self.displacement(seen.points, amounts))

    def displacement(
        self, points: NDArray[np.float32], amounts: Sequence[float]
    ) -> NDArray[np.float32]:
        """Find where the brain at rest is read from points of the grown one.

        Parameters
        ----------
        points : array (3, X, Y, Z), mm
        amounts : sequence of float

        Returns
        -------
        array (3, X, Y, Z), float32, mm
        """
        both = zip(self.flows, amounts, strict=True)
        voxels = np.sum([flow.displacement(a / _share(flow.fraction)) for flow, a in both], axis=0)
        world = np.einsum("ij,jxyz->ixyz", self.grid.affine[:3, :3], voxels).astype(np.float32)
        place = self.grid.to_voxel(points.reshape(3, -1).T).T.reshape(points.shape)
        return np.stack(
            [map_coordinates(one, place, order=1, mode="nearest") for one in world]
        ).astype(np.float32)


def _share(fraction: NDArray[np.float32]) -> float:
    """Find the share of a region's growth that is its own: voxels at its rim grow by their part."""
    return float((fraction**2).sum() / fraction.sum())
