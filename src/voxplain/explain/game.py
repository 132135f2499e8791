"""The deletion game: what there is to lose, and when it counts as lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch.nn import functional

from voxplain.errors import InputError

if TYPE_CHECKING:
    from voxplain.explain.target import Chosen

__all__ = ["DeletionGame"]


class DeletionGame:
    """What there is to lose by deletion, and when it counts as lost.

    Parameters
    ----------
    chosen : Chosen
    of_image, of_reference : tensor (N, K)
        Logits of the image, and of the reference that replaces it where it is deleted.
    loss : {"margin", "probability"}
    tau : float
        Probability at which the target counts as lost.

    Raises
    ------
    InputError
        If a callable target is to be scored as a probability.
    """

    def __init__(
        self,
        chosen: Chosen,
        of_image: torch.Tensor,
        of_reference: torch.Tensor,
        loss: Literal["margin", "probability"],
        tau: float,
    ) -> None:
        if loss == "probability" and chosen.function is not None:
            raise InputError("A callable target has no probability; use loss='margin'.")
        self.chosen = chosen
        self.loss = loss
        self.tau = tau
        self.full = chosen.score(of_image, "margin")
        self.empty = chosen.score(of_reference, "margin")
        self.same_decision = _decision(chosen, of_image) & _decision(chosen, of_reference)
        lost = torch.full_like(self.full, float(np.log(tau / (1 - tau))))
        if chosen.function is not None:
            lost = self.empty
        floor = torch.maximum(lost, self.empty)
        self.floor = torch.where(self.full > floor, floor, self.empty)

    @property
    def playable(self) -> torch.Tensor:
        """Whether there is anything to lose, tensor (N,), bool."""
        if self.loss == "probability":
            return torch.sigmoid(self.full) > self.tau
        return self.full > self.floor

    def score(self, logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Log-odds of the target, or the callable's value, for some samples, tensor (n,)."""
        return self.chosen.take(rows).score(logits, "margin")

    def cost(self, score: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Class term of some samples, tensor (n,): what is left of the target."""
        if self.loss == "probability":
            return functional.relu(torch.sigmoid(score) - self.tau)
        floor = self.floor[rows]
        return functional.relu(score - floor) / (self.full[rows] - floor)

    def words(self, sample: int, perturbed: float) -> list[str]:
        """Say what the image, the reference and the perturbed image score."""
        scores = np.array([float(self.full[sample]), float(self.empty[sample]), perturbed])
        kind = "score"
        if self.chosen.indices is not None:
            kind, scores = "p", np.exp(-np.logaddexp(0, -scores))
        names = ("image", "reference", "perturbed")
        return [f"{kind}({name}) = {s:.3g}" for name, s in zip(names, scores, strict=True)]

    def doubts(self, sample: int) -> list[str]:
        """Say why deletion may mean little for one sample."""
        if not bool(self.playable[sample]):
            return [
                "the reference scores no lower on the target than the image, or the network does "
                "not see the target at all, so there is nothing to delete and the map is zero"
            ]
        if bool(self.same_decision[sample]):
            return [
                "replacing the whole image by the reference does not change the decision, so the "
                "deletion game is ill-posed; choose a stronger reference"
            ]
        return []


def _decision(chosen: Chosen, logits: torch.Tensor) -> torch.Tensor:
    """Whether the network decides for the target, tensor (N,), bool; False without classes."""
    if chosen.indices is None:
        return torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    if logits.shape[1] == 1:
        return chosen.score(logits) > 0
    return logits.argmax(1) == chosen.indices
