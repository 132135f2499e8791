"""Effects that a plain difference of means does not tell: interaction and suppression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from voxplain.phantom.effects import Amounts, Effect

__all__ = ["Interaction", "Suppression"]

HIPPOCAMPI = ("Hippocampus_L", "Hippocampus_R")
PUTAMINA = ("Putamen_L", "Putamen_R")


@dataclass(frozen=True)
class Interaction(Effect):
    """Two parts that are darker and brighter together in controls, and against each other in cases.

    Neither part alone tells anything: the mean and the spread of each are the same in both classes,
    so that a test of one voxel at a time finds nothing (exclusive or).

    Parameters
    ----------
    regions, second : tuple of str
        Names in the atlas.
    strength : float
        Difference between the dark and the bright state of a part, as a fraction of the signal.
    spread : float
        Standard deviation of each part's darkness around its state.
    """

    regions: tuple[str, ...] = HIPPOCAMPI
    strength: float = 0.5
    spread: float = 0.1
    second: tuple[str, ...] = PUTAMINA

    @property
    def parts(self) -> tuple[tuple[str, ...], ...]:
        """Names of the regions of each part."""
        return (self.regions, self.second)

    @property
    def telling(self) -> tuple[bool, ...]:
        """Both parts carry the class, together."""
        return (True, True)

    @property
    def dprime(self) -> None:
        """The classes do not differ in their means."""

    @property
    def bayes_accuracy(self) -> float:
        """Accuracy of the observer that asks whether both parts are on the same side."""
        right = float(ndtr(self.strength / (2 * self.spread)))
        return right**2 + (1 - right) ** 2

    def draw(self, rng: np.random.Generator, case: bool) -> Amounts:
        """Draw a subject's darkness; without the effect it is as a control of the same state.

        Parameters
        ----------
        rng : numpy.random.Generator
        case : bool

        Returns
        -------
        Amounts
        """
        state = float(rng.choice([-0.5, 0.5])) * self.strength
        one, two = (float(rng.normal(0, self.spread)) for _ in range(2))
        turned = -state if case else state
        return Amounts((state + one, state + two), (state + one, turned + two))

    def shown(self, amounts: Amounts) -> tuple[float, ...]:
        """Turn both parts, either of which makes a case of a control."""
        return tuple(amount + self.strength for amount in amounts.bare)

    def describe(self) -> str:
        """Say in words what a case has that a control has not."""
        return (
            f"{', '.join(self.regions)} and {', '.join(self.second)} are darker or brighter by "
            f"{50 * self.strength:.0f} %, together in controls and against each other in cases, so "
            f"that the best observer is right {100 * self.bayes_accuracy:.1f} % of the time"
        )


@dataclass(frozen=True)
class Suppression(Effect):
    """A part that carries the class under noise, and one that carries the same noise alone.

    The best observer takes the second part from the first, although the second has nothing to do
    with the class (a suppressor; Haufe et al. 2014, *NeuroImage* 87:96).

    Parameters
    ----------
    regions : tuple of str
        Where the class shows.
    suppressor : tuple of str
        Where the noise alone shows.
    strength : float
        Fraction of the signal that a case loses inside `regions`.
    noise : float
        Standard deviation of the darkness that both parts share.
    spread : float
        Standard deviation of the darkness of each part by itself.
    """

    regions: tuple[str, ...] = HIPPOCAMPI
    strength: float = 0.3
    spread: float = 0.07
    suppressor: tuple[str, ...] = PUTAMINA
    noise: float = 0.2

    @property
    def parts(self) -> tuple[tuple[str, ...], ...]:
        """Names of the regions of each part, the suppressor last."""
        return (self.regions, self.suppressor)

    @property
    def telling(self) -> tuple[bool, ...]:
        """The suppressor does not carry the class."""
        return (True, False)

    @property
    def dprime(self) -> float:
        """Of the best observer, who weighs one part against the other."""
        own, shared = self.noise**2 + self.spread**2, self.noise**2
        return self.strength * float(np.sqrt(own / (own**2 - shared**2)))

    @property
    def bayes_accuracy(self) -> float:
        """Accuracy of that observer."""
        return float(ndtr(self.dprime / 2))

    def draw(self, rng: np.random.Generator, case: bool) -> Amounts:
        """Draw a subject's darkness.

        Parameters
        ----------
        rng : numpy.random.Generator
        case : bool

        Returns
        -------
        Amounts
        """
        noise = float(rng.normal(0, self.noise))
        one, two = (float(rng.normal(0, self.spread)) for _ in range(2))
        bare = noise + one
        return Amounts((bare, noise + two), (bare + self.strength * case, noise + two))

    def describe(self) -> str:
        """Say in words what a case has that a control has not."""
        return (
            f"{100 * self.strength:.0f} % darker tissue in {', '.join(self.regions)} under noise "
            f"that {', '.join(self.suppressor)} shares without the class, so that the best "
            f"observer is right {100 * self.bayes_accuracy:.1f} % of the time"
        )
