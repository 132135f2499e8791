"""All that defines a phantom cohort but its brains, its size and its seed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr

from voxplain.errors import InputError
from voxplain.grid import KAN2020_GRID, Grid
from voxplain.phantom.anatomy import Anatomy
from voxplain.phantom.effects import Effect
from voxplain.phantom.scanner import Scanner

__all__ = ["CLASS_NAMES", "Scenario"]

CLASS_NAMES = ("control", "case")
"""Of every phantom cohort, in the order of the labels."""


@dataclass(frozen=True)
class Scenario:
    """All that defines a phantom cohort but its size and seed.

    Parameters
    ----------
    effect : Effect
    anatomy : Anatomy
    scanner : Scanner
    grid : Grid
        The grid of the images; the paper's by default.
    family_size : int, default=1
        Members of a family, who are of one class and of like anatomy, as twins are of one sex.
    head_size : float, default=0.0
        How much larger the heads of cases are, in standard deviations of the logarithm of a head's
        linear size, `Anatomy.size_sd`.
    mark : float, optional
        A bright mark in a corner of every scan, outside the brain, whose brightness in cases is
        greater by so many of its standard deviations; no mark by default.
    """

    effect: Effect = field(default_factory=Effect)
    anatomy: Anatomy = field(default_factory=Anatomy)
    scanner: Scanner = field(default_factory=Scanner)
    grid: Grid = KAN2020_GRID
    family_size: int = 1
    head_size: float = 0.0
    mark: float | None = None

    @property
    def bayes_accuracy(self) -> float:
        """Accuracy of the best observer of the effect, the head's size and the mark.

        Raises
        ------
        InputError
            If another effect than a difference of means is mixed with others.
        """
        others = float(np.hypot(self.head_size, self.mark or 0.0))
        if not others:
            return self.effect.bayes_accuracy
        if self.effect.strength == 0:
            return float(ndtr(others / 2))
        own = self.effect.dprime
        if own is None:
            raise InputError(
                f"{type(self.effect).__name__} beside head size or a mark has no accuracy in "
                "closed form; plant one of them."
            )
        return float(ndtr(np.hypot(own, others) / 2))
