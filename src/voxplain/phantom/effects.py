"""The effect: what makes a case a case, in named regions, of a known strength."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

__all__ = ["MEDIAL_TEMPORAL", "Effect"]

MEDIAL_TEMPORAL = ("Hippocampus_L", "Hippocampus_R", "Amygdala_L", "Amygdala_R")
"""Both hippocampi and both amygdalae, in the names of AAL."""


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

    @property
    def bayes_accuracy(self) -> float:
        """Accuracy of the best observer that sees the regions' darkness without error."""
        if self.spread == 0:
            return 1.0 if self.strength else 0.5
        return float(ndtr(abs(self.strength) / (2 * self.spread)))

    def draw_natural(self, rng: np.random.Generator) -> float:
        """Draw how much darker a subject's regions are by nature; negative is brighter."""
        return float(rng.normal(0, self.spread))

    def apply(
        self, tissue: NDArray[np.float32], fraction: NDArray[np.float32], darkening: float
    ) -> NDArray[np.float32]:
        """Darken the tissue.

        Parameters
        ----------
        tissue : array (X, Y, Z), in [0, 1]
        fraction : array (X, Y, Z), in [0, 1]
            Share of each voxel that lies in the regions.
        darkening : float
            Fraction of the signal that is lost where `fraction` is 1; more than all of it counts
            as all.

        Returns
        -------
        array (X, Y, Z), float32
        """
        return (tissue * (1 - min(darkening, 1.0) * fraction)).astype(np.float32)

    def describe(self) -> str:
        """Say in words what a case has that a control has not."""
        return (
            f"{100 * self.strength:.0f} % darker tissue in {', '.join(self.regions)}, on top of a "
            f"natural variation of {100 * self.spread:.0f} % (standard deviation) in both classes, "
            f"so that the best observer is right {100 * self.bayes_accuracy:.1f} % of the time"
        )
