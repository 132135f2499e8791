"""What a training told, epoch by epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["Epoch"]


@dataclass(frozen=True)
class Epoch:
    """One pass over the training part: mean loss and, for classes, accuracy while learning.

    `validation_loss` is there where a validation part decides when to stop.
    """

    epoch: int
    train_loss: float
    train_accuracy: float | None = None
    validation_loss: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """Return the fields as plain numbers."""
        return asdict(self)
