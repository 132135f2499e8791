"""Gradient: how the decision changes with the intensity of each voxel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from voxplain.attribution.method import Attribution, Method, MethodInfo
from voxplain.attribution.network.target import SCORE_WORDS, check_score

if TYPE_CHECKING:
    import torch

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Score, Target

__all__ = ["Gradient"]


@dataclass(frozen=True, eq=False)
class Gradient(Method):
    """Gradient of the logit margin with respect to the input (Simonyan et al., 2014).

    Parameters
    ----------
    score : {"margin", "logit"}, default="margin"
        The margin is the target's log-odds against all other classes: it answers "why this class
        and not the others", where the logit of one class may rise together with theirs.

    Raises
    ------
    InputError
        If the score is neither.
    """

    score: Score = "margin"

    info: ClassVar[MethodInfo] = MethodInfo(
        name="gradient",
        label="Gradient",
        citation="Simonyan, Vedaldi & Zisserman 2014, arXiv:1312.6034",
        unit="logit per unit of intensity",
        sign="positive: a brighter voxel speaks for the target; negative: against it",
        complete=False,
        passes="1 forward and 1 backward",
        additive=True,
    )

    def __post_init__(self) -> None:
        check_score(self.score)

    @property
    def score_words(self) -> str:
        """Name of the quantity that is explained."""
        return SCORE_WORDS[self.score]

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        gradient, chosen = probe.input_gradient(x, target, self.score)
        return Attribution(gradient.sum(1), chosen)
