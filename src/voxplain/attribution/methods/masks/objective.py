"""Objectives of masks: what there is to lose or to keep, and what it is worth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch.nn import functional

from voxplain.errors import InputError

if TYPE_CHECKING:
    from voxplain.attribution.network.target import Chosen

__all__ = ["AreaObjective", "DeletionObjective", "Objective"]


class Objective(ABC):
    """What the image and the reference score, and what comes between.

    Parameters
    ----------
    chosen : Chosen
    of_image, of_reference : tensor (N, K)
        Logits of the image, and of the reference that replaces it where it is deleted.
    """

    def __init__(self, chosen: Chosen, of_image: torch.Tensor, of_reference: torch.Tensor) -> None:
        self.chosen = chosen
        self.logits = (of_image, of_reference)
        self.full = chosen.score(of_image, "margin")
        self.empty = chosen.score(of_reference, "margin")
        self.same_decision = _decision(chosen, of_image) & _decision(chosen, of_reference)

    @property
    def sides(self) -> tuple[bool, ...]:
        """Images that are made of one mask: True where the mask keeps, False where it deletes."""
        return (True,)

    @property
    def attainable(self) -> torch.Tensor:
        """Whether the reference scores lower than the image, tensor (N,), bool."""
        return self.full > self.empty

    @abstractmethod
    def cost(self, scores: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Class term of some volumes.

        Parameters
        ----------
        scores : tensor (sides, n)
        rows : tensor (n,), int64

        Returns
        -------
        tensor (n,)
        """

    def score(self, logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Log-odds of the target, or the callable's value, for some volumes, tensor (n,)."""
        return self.chosen.take(rows).score(logits, "margin")

    def words(self, sample: int, **scores: float) -> list[str]:
        """Say what the image, the reference and other images of a volume score."""
        full, empty = float(self.full[sample]), float(self.empty[sample])
        named = {"image": full, "reference": empty, **scores}
        return [self.word(name, score) for name, score in named.items()]

    def word(self, name: str, score: float) -> str:
        """Say what one image scores, as a probability where the target has one."""
        if self.chosen.indices is None:
            return f"score({name}) = {score:.3g}"
        return f"p({name}) = {np.exp(-np.logaddexp(0, -score)):.3g}"

    def doubts(self, sample: int) -> list[str]:
        """Say why deletion may mean little for one volume."""
        if not bool(self.attainable[sample]):
            return [
                "the reference scores no lower on the target than the image, or the network does "
                "not see the target at all, so there is nothing to delete and the map is zero"
            ]
        if bool(self.same_decision[sample]):
            return [
                "replacing the whole image by the reference does not change the decision, so the "
                "deletion objective is ill-posed; choose a stronger reference"
            ]
        return []


class DeletionObjective(Objective):
    """Lose the target, as far as it counts.

    Parameters
    ----------
    chosen, of_image, of_reference
        See `Objective`.
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
        super().__init__(chosen, of_image, of_reference)
        if loss == "probability" and chosen.function is not None:
            raise InputError("A callable target has no probability; use loss='margin'.")
        self.loss = loss
        self.tau = tau
        lost = torch.full_like(self.full, float(np.log(tau / (1 - tau))))
        if chosen.function is not None:
            lost = self.empty
        floor = torch.maximum(lost, self.empty)
        self.floor = torch.where(self.full > floor, floor, self.empty)

    @property
    def attainable(self) -> torch.Tensor:
        """Whether there is anything to lose, tensor (N,), bool."""
        if self.loss == "probability":
            return torch.sigmoid(self.full) > self.tau
        return self.full > self.floor

    def cost(self, scores: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Tell what is left of the target; see `Objective.cost`."""
        if self.loss == "probability":
            return functional.relu(torch.sigmoid(scores[0]) - self.tau)
        floor = self.floor[rows]
        return functional.relu(scores[0] - floor) / (self.full[rows] - floor)


class AreaObjective(Objective):
    """Keep as much of the target, or lose as much of it, as an area can.

    What counts is the share of the score that is left: 1 for the image, 0 for the reference. It
    may lie outside 0 to 1, because nothing stops a mask from doing better than either.

    Parameters
    ----------
    chosen, of_image, of_reference
        See `Objective`.
    kind : {"preservation", "deletion", "dual"}
        Keep the share inside the mask high, the share outside low, or both.
    """

    def __init__(
        self,
        chosen: Chosen,
        of_image: torch.Tensor,
        of_reference: torch.Tensor,
        kind: Literal["preservation", "deletion", "dual"],
    ) -> None:
        super().__init__(chosen, of_image, of_reference)
        self._sides = {"preservation": (True,), "deletion": (False,), "dual": (True, False)}[kind]

    @property
    def sides(self) -> tuple[bool, ...]:
        """See `Objective.sides`."""
        return self._sides

    def share(self, scores: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Share of the score that is left, tensor (sides, n)."""
        return (scores - self.empty[rows]) / (self.full - self.empty)[rows]

    def cost(self, scores: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Share outside the mask minus share inside it; see `Objective.cost`."""
        left = self.share(scores, rows)
        return torch.stack(
            [-s if keeps else s for keeps, s in zip(self.sides, left, strict=True)]
        ).sum(0)


def _decision(chosen: Chosen, logits: torch.Tensor) -> torch.Tensor:
    """Whether the network decides for the target, tensor (N,), bool; False without classes."""
    if chosen.indices is None:
        return torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    if logits.shape[1] == 1:
        return chosen.score(logits) > 0
    return logits.argmax(1) == chosen.indices
