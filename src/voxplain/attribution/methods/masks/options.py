"""Groups of the options of meaningful perturbation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from voxplain.attribution.options import OptionGroup
from voxplain.errors import InputError

__all__ = ["RENAMED", "JitterOptions", "ObjectiveOptions", "OptimiserOptions", "SharingOptions"]


@dataclass(frozen=True)
class ObjectiveOptions(OptionGroup):
    """What a mask costs.

    Parameters
    ----------
    loss : {"margin", "probability"}, default="margin"
        The class term. ``margin``: the share of the target's log-odds that is left, from 1 for
        the image to 0 where the probability has come down to `tau` or to the reference's,
        whichever is higher. It never saturates, and it also serves a callable target.
        ``probability``: ``relu(p - tau)``, as in the paper.
    tau : float, default=0.05
        Probability at which the target counts as lost.
    l1 : float, default=3.0
        Price of deletion. With the margin loss on a linear network, a cell is worth deleting
        when it carries more than `l1` times its fair share of the evidence.
    tv, tv_beta : float, default=1.0 and 2.0
        Price of roughness: mean over the cells of the sum of ``|difference| ** tv_beta``.
    ramp : int, default=0
        Iterations over which both prices rise to their full value.
    """

    loss: Literal["margin", "probability"] = "margin"
    tau: float = 0.05
    l1: float = 3.0
    tv: float = 1.0
    tv_beta: float = 2.0
    ramp: int = 0

    def __post_init__(self) -> None:
        if self.loss not in ("margin", "probability"):
            raise InputError(f"loss must be 'margin' or 'probability'; {self.loss!r} was given.")
        if not 0 < self.tau < 1:
            raise InputError(f"tau must lie between 0 and 1; {self.tau} was given.")
        self.require_not_negative("l1", "tv", "ramp")


@dataclass(frozen=True)
class OptimiserOptions(OptionGroup):
    """How the cost is minimised.

    Parameters
    ----------
    iterations : int, default=40
        Adam steps.
    lr, lr_factor, lr_every : float, float and int, default=0.2, 0.5 and 12
        Step size, and by what it is multiplied after how many iterations.
    betas : tuple of 2 floats, default=(0.9, 0.99)
        Adam's memory: how much of the mean gradient, and of its mean square, stays after a step.
    check_every : int, default=5
        Every so many iterations the first pass is not shifted, and the mask is a candidate.
    best_after : int, default=0
        First iteration whose mask is a candidate.
    patience : int, default=3
        A volume leaves after so many checks in a row without a gain of 1 %; 0 never.
    """

    iterations: int = 40
    lr: float = 0.2
    lr_factor: float = 0.5
    lr_every: int = 12
    betas: tuple[float, float] = (0.9, 0.99)
    check_every: int = 5
    best_after: int = 0
    patience: int = 3

    def __post_init__(self) -> None:
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise InputError(
                f"betas must be two numbers from 0 to below 1; {self.betas} was given."
            )
        self.require_above_zero("iterations", "lr_every", "check_every", "lr")
        self.require_not_negative("best_after", "patience")
        if self.best_after >= self.iterations:
            raise InputError(
                f"best_after must be below the {self.iterations} iterations; {self.best_after} "
                "was given."
            )


@dataclass(frozen=True)
class JitterOptions(OptionGroup):
    """Random shifts of what the network sees.

    Parameters
    ----------
    voxels : int, default=0
        Largest shift along each axis, to either side. In a pilot on a phantom, shifts cost
        localisation and brought nothing to a mask that is blurred already.
    passes : int, default=1
        Passes whose mean makes one step, each with a shift of its own.
    even : bool, optional
        Whether a row of passes takes every shift along an axis once, not each at random; by
        default where the cohort shares a mask, whose few steps then depend less on the draw.
    moves : {"both", "image"}, default="both"
        What is shifted. ``image`` is the published code's: the mask stays, the image moves by 0 to
        twice `voxels`, and zeros come in. Masks learn to exploit it; it is here to compare with
        published ones.
    """

    voxels: int = 0
    passes: int = 1
    even: bool | None = None
    moves: Literal["both", "image"] = "both"

    def __post_init__(self) -> None:
        if self.moves not in ("both", "image"):
            raise InputError(f"moves must be 'both' or 'image'; {self.moves!r} was given.")
        self.require_above_zero("passes")
        self.require_not_negative("voxels")


@dataclass(frozen=True)
class SharingOptions(OptionGroup):
    """How a cohort's mask is made, and what each volume adds; used with ``cohort=True``.

    Parameters
    ----------
    most, together : int, default=64 and 8
        Volumes, drawn at random, that make the shared masks, and how many of a class make one
        step. Each step costs `together` volumes 1 forward and 1 backward pass.
    refine : int, default=10
        Steps of a volume that starts from a mask: the last of the schedule. The first measures it.
        Shared masks take the steps before.
    """

    most: int = 64
    together: int = 8
    refine: int = 10

    def __post_init__(self) -> None:
        self.require_above_zero("refine", "most", "together")


RENAMED: Mapping[str, str] = MappingProxyType(
    {
        **{name: f"objective.{name}" for name in ("loss", "tau", "l1", "tv", "tv_beta", "ramp")},
        **{
            name: f"optimiser.{name}"
            for name in (
                *("iterations", "lr", "lr_factor", "lr_every", "betas", "check_every"),
                *("best_after", "patience"),
            )
        },
        **{"jitter": "jitter.voxels", "jitters": "jitter.passes"},
        **{name: f"jitter.{name}" for name in ("even", "moves")},
        **{name: f"sharing.{name}" for name in ("most", "together", "refine")},
    }
)
"""Where options went that stood at one level in version 0.1."""
