"""Networks whose output is a number, such as an age: what is explained, and in which unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from voxplain.errors import InputError

__all__ = [
    "ExpectedValue",
    "Output",
    "PerNetwork",
    "expected_value",
    "in_unit",
    "number_sign",
    "number_target",
    "unit_word",
]

OUTPUT = "output"
"""What stands for the unit of an output that nobody named."""


@dataclass(frozen=True)
class Output:
    """The single output of a network, as a number.

    Parameters
    ----------
    name : str, default="output"
        What the number is, such as ``"age"``.
    mean, scale : float
        The number is the mean plus so many times the output, for networks that were trained on
        standardised numbers.
    """

    name: str = OUTPUT
    mean: float = 0.0
    scale: float = 1.0

    @property
    def words(self) -> str:
        """What is explained, for the provenance."""
        moved = (self.mean, self.scale) != (0.0, 1.0)
        how = f", {self.mean:.6g} + {self.scale:.6g} times the network's output" * moved
        return ("the network's output" if self.name == OUTPUT else self.name) + how

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        """Read the number off an output (N, 1), tensor (N,)."""
        if logits.shape[1] != 1:
            raise InputError(
                f"The network has {logits.shape[1]} outputs, which are not one number; give a "
                "function of them as the target: expected_value(centres) of bins, or of several "
                "numbers one, such as lambda outputs: outputs[:, 0]."
            )
        return self.mean + self.scale * logits[:, 0]


@dataclass(frozen=True)
class ExpectedValue:
    """The mean of a distribution over bins that a network gives, as SFCN does for age.

    Parameters
    ----------
    centres : tuple of float
        Value of each bin, in the order of the outputs, which are logits or logarithms of
        probabilities.
    name : str, default="expected value"
        What the number is, such as ``"age"``.
    """

    centres: tuple[float, ...]
    name: str = "expected value"

    @property
    def words(self) -> str:
        """What is explained, for the provenance."""
        first, last = self.centres[0], self.centres[-1]
        return f"{self.name}: mean over {len(self.centres)} bins from {first:g} to {last:g}"

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        """Read the number off an output (N, K), tensor (N,)."""
        if logits.shape[1] != len(self.centres):
            raise InputError(
                f"The network has {logits.shape[1]} outputs, and {len(self.centres)} bins were "
                "given; give one for each output."
            )
        middle = sum(self.centres) / len(self.centres)
        off = torch.tensor(self.centres, dtype=torch.float64) - middle
        chances = logits.softmax(1)
        return middle + (chances * off.to(chances)).sum(1)


@dataclass(frozen=True)
class PerNetwork:
    """A number that each network of several writes in its own way.

    Parameters
    ----------
    members : tuple of Output or ExpectedValue
        One for each network, in their order.
    """

    members: tuple[Output | ExpectedValue, ...]

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        """Refuse one network."""
        raise InputError(f"This target is for {len(self.members)} networks, one way for each.")


def expected_value(centres: ArrayLike, name: str = "expected value") -> ExpectedValue:
    """Make the target that explains the mean of a distribution over bins.

    Parameters
    ----------
    centres : sequence of float
        Value of each bin, in the order of the network's outputs; for SFCN's ages
        ``numpy.arange(42.5, 82)``.
    name : str, default="expected value"

    Returns
    -------
    ExpectedValue
        A function from outputs (N, K), logits or logarithms of probabilities, to numbers (N,).

    Raises
    ------
    InputError
        If there are fewer than two centres, or one is not a finite number.
    """
    values = np.asarray(centres, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise InputError(
            "The centres of bins are two or more finite numbers in a row, one for each output; "
            f"an array of shape {values.shape} was given."
        )
    return ExpectedValue(tuple(values.tolist()), name)


Number = Callable[[torch.Tensor], torch.Tensor]


def number_target(target: Any, unit: str) -> Number:
    """Tell what is explained of a network whose output is a number.

    Parameters
    ----------
    target : "predicted" or callable
        The output itself, or a function of it.
    unit : str

    Returns
    -------
    callable

    Raises
    ------
    InputError
        If the target is a class, or the unit is empty.
    """
    if not isinstance(unit, str) or not unit.strip():
        raise InputError(f"output_unit must be a word such as 'years'; {unit!r} was given.")
    if callable(target):
        return target  # type: ignore[no-any-return]
    if isinstance(target, str) and target == "predicted":
        return Output()
    several = isinstance(target, Sequence | np.ndarray) and not isinstance(target, str)
    raise InputError(
        f"Target {'of each volume' if several else repr(target)} is a class, and a network whose "
        f"output is a number ({unit}) has none; leave the target out, or give a function of the "
        "output, such as expected_value(centres)."
    )


def unit_word(function: Number | None, is_class: bool, unit: str | None) -> str:
    """Name the unit of what is explained: of a number its own, else logits."""
    if unit is not None:
        return unit
    alone = function is None and not is_class
    return OUTPUT if alone or isinstance(function, Output | ExpectedValue) else "logit"


def in_unit(text: str, word: str) -> str:
    """Write the unit of a map for another output: ``"years per unit of intensity"``."""
    return text.replace("logit", word)


def number_sign(text: str) -> str:
    """Write what the sign of a map says for a number, which nothing speaks for or against."""
    for ours, theirs in (
        ("speaks for the target", "raises the number"),
        ("speak for the target", "raise the number"),
        ("against it", "the other way"),
        ("the target's score", "the number"),
    ):
        text = text.replace(ours, theirs)
    return text
