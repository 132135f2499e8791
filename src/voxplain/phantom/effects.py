"""The effect: what makes a case a case, in named regions, of a known strength."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from voxplain.grid import Grid
from voxplain.phantom.bases import Seen

__all__ = ["MEDIAL_TEMPORAL", "Amounts", "Darkened", "Effect", "Rendering", "darken"]

MEDIAL_TEMPORAL = ("Hippocampus_L", "Hippocampus_R", "Amygdala_L", "Amygdala_R")
"""Both hippocampi and both amygdalae, in the names of AAL."""


class Amounts(NamedTuple):
    """How much darker, or larger, a subject's parts are, a number for each part.

    Parameters
    ----------
    bare : tuple of float
        As the same subject would be without the effect.
    whole : tuple of float
    """

    bare: tuple[float, ...]
    whole: tuple[float, ...]


class Rendering(Protocol):
    """Changes the parts of a brain by their amounts."""

    def tissue(self, seen: Seen, amounts: Sequence[float]) -> NDArray[np.float32]:
        """Return the signal of the changed brain, array (X, Y, Z), in [0, 1]."""

    def support(self, seen: Seen, amounts: Sequence[float]) -> NDArray[np.bool_]:
        """Return the voxels that lie in parts which carry the class, array (X, Y, Z)."""


@dataclass(frozen=True)
class Darkened:
    """Signal that is lost in each part.

    Parameters
    ----------
    telling : tuple of bool
        Whether each part carries the class.
    """

    telling: tuple[bool, ...]

    def tissue(self, seen: Seen, amounts: Sequence[float]) -> NDArray[np.float32]:
        """Darken each part of a brain by its amount."""
        tissue = seen.tissue
        for fraction, amount in zip(seen.fractions, amounts, strict=True):
            tissue = darken(tissue, fraction, amount)
        return tissue

    def support(self, seen: Seen, amounts: Sequence[float]) -> NDArray[np.bool_]:
        """Return the voxels that lie in parts which carry the class, by whatever amount."""
        both = zip(seen.fractions, self.telling, strict=True)
        inside: NDArray[np.bool_] = np.logical_or.reduce([one >= 0.5 for one, told in both if told])
        return inside


@dataclass(frozen=True)
class Effect:
    """Darker tissue in named regions of one class.

    The regions' darkness varies naturally from subject to subject, in both classes alike; a case
    is darker by a fixed amount on top of it. As the two classes overlap, no observer can be right
    about everybody, and how right the best one is, is known: `bayes_accuracy`.

    Parameters
    ----------
    regions : tuple of str
        Names in the atlas.
    strength : float
        Fraction of the signal that a case loses inside the regions.
    spread : float
        Standard deviation, over the subjects of either class, of the natural variation of that
        fraction.
    """

    regions: tuple[str, ...] = MEDIAL_TEMPORAL
    strength: float = 0.42
    spread: float = 0.13

    measure: ClassVar[str] = "darkening"
    """What the amounts are called in the participants table."""

    @property
    def dprime(self) -> float | None:
        """Difference of the classes in standard deviations; None where it is none of means."""
        return self.strength / self.spread

    @property
    def bayes_accuracy(self) -> float:
        """Accuracy of the best observer that sees the regions' darkness without error."""
        if self.spread == 0:
            return 1.0 if self.strength else 0.5
        return float(ndtr(abs(self.strength) / (2 * self.spread)))

    @property
    def parts(self) -> tuple[tuple[str, ...], ...]:
        """Names of the regions of each part that varies by itself."""
        return (self.regions,)

    @property
    def telling(self) -> tuple[bool, ...]:
        """Whether each part carries the class."""
        return (True,)

    def draw(self, rng: np.random.Generator, case: bool) -> Amounts:
        """Draw how much darker a subject's regions are, nature included.

        Parameters
        ----------
        rng : numpy.random.Generator
        case : bool

        Returns
        -------
        Amounts
        """
        natural = self.draw_natural(rng)
        return Amounts((natural,), (natural + self.strength * case,))

    def draw_natural(self, rng: np.random.Generator) -> float:
        """Draw how much darker a subject's regions are by nature; negative is brighter."""
        return float(rng.normal(0, self.spread))

    def shown(self, amounts: Amounts) -> tuple[float, ...]:
        """Give the amounts of a case that shows the effect wherever it acts."""
        return amounts.whole

    def rendering(self, fractions: Sequence[NDArray[np.float32]], grid: Grid) -> Rendering:
        """Prepare to change brains.

        Parameters
        ----------
        fractions : sequence of array (X, Y, Z), in [0, 1]
            The parts as they are at rest.
        grid : Grid

        Returns
        -------
        Rendering
        """
        return Darkened(self.telling)

    def describe(self) -> str:
        """Say in words what a case has that a control has not."""
        return (
            f"{100 * self.strength:.0f} % darker tissue in {', '.join(self.regions)}, on top of a "
            f"natural variation of {100 * self.spread:.0f} % (standard deviation) in both classes, "
            f"so that the best observer is right {100 * self.bayes_accuracy:.1f} % of the time"
        )


def darken(
    tissue: NDArray[np.float32], fraction: NDArray[np.float32], darkening: float
) -> NDArray[np.float32]:
    """Darken the tissue of one part.

    Parameters
    ----------
    tissue : array (X, Y, Z), in [0, 1]
    fraction : array (X, Y, Z), in [0, 1]
        Share of each voxel that lies in the part.
    darkening : float
        Fraction of the signal that is lost where `fraction` is 1; more than all of it counts
        as all.

    Returns
    -------
    array (X, Y, Z), float32
    """
    return (tissue * (1 - min(darkening, 1.0) * fraction)).astype(np.float32)
