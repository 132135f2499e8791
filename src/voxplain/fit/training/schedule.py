"""How a network is trained, in figures that can be written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from voxplain.errors import InputError, unknown_name
from voxplain.fit.training.arithmetic import PRECISIONS

__all__ = ["PAPER_SCHEDULE", "Schedule", "rate_of"]


@dataclass(frozen=True)
class Schedule:
    """How a network is trained.

    Parameters
    ----------
    epochs : int
        At most, where `patience` is set.
    batch_size : int
    learning_rate : float
        Of Adam; the peak where `one_cycle` is on.
    drops : tuple of int
        Epochs after which the rate falls to a tenth, where `one_cycle` is off.
    one_cycle : bool
        Warm up and anneal along one cosine cycle (Smith and Topin 2018) instead of `drops`.
    weight_decay : float
        Decoupled, as in AdamW.
    mirror : bool
        Show each image with left and right exchanged half of the time, at random.
    augment : tuple of {"affine", "noise", "intensity"}
        Small random changes of each image, by MONAI; see `voxplain.fit.training.augment`.
    class_weights : bool
        Weigh each class by the inverse of its share of the training part.
    parts : int
        Pieces in which a batch goes through the network, where memory is short; gradients add up,
        and batch norm sees a piece at a time.
    patience : int or None
        Stop when so many epochs have not lowered the loss on a validation part, which is set
        aside inside the training part, and keep the weights of the best epoch.
    precision : {"auto", "exact"}
        "auto" computes in bfloat16 where the device does so natively, apart from layers whose
        gradients it gets wrong; "exact" in float32 throughout.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    epochs: int = 12
    batch_size: int = 4
    learning_rate: float = 3e-4
    drops: tuple[int, ...] = ()
    one_cycle: bool = True
    weight_decay: float = 0.01
    mirror: bool = True
    augment: tuple[str, ...] = ()
    class_weights: bool = False
    parts: int = 1
    patience: int | None = None
    precision: str = "auto"

    def __post_init__(self) -> None:
        low = {"epochs": self.epochs, "batch_size": self.batch_size, "parts": self.parts}
        low |= {} if self.patience is None else {"patience": self.patience}
        for name, value in low.items():
            if value < 1:
                raise InputError(f"{name} must be 1 or more; {value} was given.")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate must be above 0; {self.learning_rate} was given.")
        if self.precision not in PRECISIONS:
            raise unknown_name("precision", self.precision, PRECISIONS)
        if self.parts > self.batch_size:
            raise InputError(
                f"A batch of {self.batch_size} cannot go in {self.parts} parts; take as many or "
                "fewer."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, as what is kept of a training is recognised by.

        The usual precision is left out: trainings from before there was a choice are found again.
        """
        fields = asdict(self)
        if self.precision == "auto":
            del fields["precision"]
        return fields

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Schedule:
        """Return the schedule that `to_dict`, or JSON, wrote down."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in told.items()
        }
        return cls(**fields)

    def describe(self) -> str:
        """Say the schedule in words."""
        rate = (
            "one cosine cycle"
            if self.one_cycle
            else f"a tenth after epochs {', '.join(map(str, self.drops))}"
        )
        return (
            f"{self.epochs} epochs of Adam, batches of {self.batch_size}, learning rate "
            f"{self.learning_rate:g}, {rate}{', mirrored half of the time' * self.mirror}"
            + "".join(f", random {name}" for name in self.augment)
            + ", classes weighed alike" * self.class_weights
            + (f", stopped after {self.patience} without gain" if self.patience else "")
            + ", float32 throughout" * (self.precision == "exact")
        )


PAPER_SCHEDULE = Schedule(
    epochs=20,
    batch_size=45,
    learning_rate=3e-4,
    drops=(5, 15),
    one_cycle=False,
    weight_decay=0.0,
    mirror=False,
)
"""The schedule of Kan et al. 2020."""


def rate_of(
    optimiser: torch.optim.Optimizer, schedule: Schedule, batches: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Make what changes the learning rate after each batch.

    Parameters
    ----------
    optimiser : torch.optim.Optimizer
    schedule : Schedule
    batches : int
        In an epoch.
    """
    if schedule.one_cycle:
        return torch.optim.lr_scheduler.OneCycleLR(
            optimiser, schedule.learning_rate, total_steps=schedule.epochs * batches
        )
    return torch.optim.lr_scheduler.MultiStepLR(
        optimiser, [drop * batches for drop in schedule.drops], gamma=0.1
    )
