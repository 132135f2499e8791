"""The effect: what makes a case a case, in named regions, of a known strength."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MEDIAL_TEMPORAL", "Effect"]

MEDIAL_TEMPORAL = ("Hippocampus_L", "Hippocampus_R", "Amygdala_L", "Amygdala_R")
"""Both hippocampi and both amygdalae, in the names of AAL."""


@dataclass(frozen=True)
class Effect:
    """Darker tissue in named regions of one class.

    Parameters
    ----------
    regions : tuple of str
        Names in the atlas.
    strength : float
        Mean fraction of the signal that a case loses inside the regions.
    spread : float
        Standard deviation of the strength over cases: some are hardly affected, so that no
        observer can be right about everybody.
    """

    regions: tuple[str, ...] = MEDIAL_TEMPORAL
    strength: float = 0.42
    spread: float = 0.11

    def draw(self, rng: np.random.Generator) -> float:
        """Draw one case's strength, never below zero nor above one."""
        return float(np.clip(rng.normal(self.strength, self.spread), 0, 1))

    def apply(
        self, tissue: NDArray[np.float32], fraction: NDArray[np.float32], strength: float
    ) -> NDArray[np.float32]:
        """Darken the tissue.

        Parameters
        ----------
        tissue : array (X, Y, Z), in [0, 1]
        fraction : array (X, Y, Z), in [0, 1]
            Share of each voxel that lies in the regions.
        strength : float

        Returns
        -------
        array (X, Y, Z), float32
        """
        return (tissue * (1 - strength * fraction)).astype(np.float32)

    def describe(self) -> str:
        """Say in words what a case has that a control has not."""
        return (
            f"{100 * self.strength:.0f} ± {100 * self.spread:.0f} % darker tissue in "
            f"{', '.join(self.regions)}"
        )
