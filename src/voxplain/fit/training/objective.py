"""What a training makes small: the loss of classes, or of numbers on a scale of their own."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxplain.errors import InputError
from voxplain.fit.outcome import Outcome

__all__ = ["Objective"]


class Objective:
    """Cross-entropy of classes, or the squared error of standardised numbers.

    Parameters
    ----------
    outcome : Outcome
    learners : array (n,)
        Scans that are learnt from; they give the scale of numbers and the weights of classes.
    class_weights : bool
    device : str

    Attributes
    ----------
    scale : tuple of 2 floats
        Mean and standard deviation of the learners' numbers; (0, 1) for classes.
    loss : torch.nn.Module
        Of each scan.

    Raises
    ------
    InputError
        If the learners lack a class.
    """

    def __init__(
        self, outcome: Outcome, learners: NDArray[np.int64], class_weights: bool, device: str
    ) -> None:
        self.outcome, self.device = outcome, device
        self.scale = (0.0, 1.0)
        # One loss a scan: a mean over weighted scans would cancel the weights within a part.
        self.loss: nn.Module = nn.MSELoss(reduction="none")
        truth = outcome.values[learners]
        if not outcome.class_names:
            self.scale = (float(truth.mean()), float(truth.std()) or 1.0)
            return
        counts = np.bincount(truth, minlength=len(outcome.class_names))
        missing = [n for n, count in zip(outcome.class_names, counts, strict=True) if not count]
        if missing:
            raise InputError(f"The training part has no subject of class {', '.join(missing)}.")
        weights = torch.from_numpy(counts.mean() / counts).float().to(device)
        self.loss = nn.CrossEntropyLoss(weights if class_weights else None, reduction="none")

    def truth(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Return classes, or standardised numbers, of some scans, tensor (n,)."""
        truth = torch.from_numpy(self.outcome.values[indices])
        if not self.outcome.class_names:
            truth = ((truth - self.scale[0]) / self.scale[1]).float()
        return truth.to(self.device)

    def mean(self, output: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of outputs (N, K), or (N, 1) or (N,) for numbers."""
        output = output.float()
        if not self.outcome.class_names:
            output = output.reshape(len(output), -1)[:, 0]
        return torch.as_tensor(self.loss(output, truth).mean())
