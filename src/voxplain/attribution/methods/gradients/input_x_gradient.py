"""Input times gradient: what each voxel's intensity adds to the decision, to first order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from voxplain.attribution.method import Attribution, Method, MethodInfo
from voxplain.attribution.network.target import SCORE_WORDS, check_score

if TYPE_CHECKING:
    import torch

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Score, Target

__all__ = ["InputXGradient"]


@dataclass(frozen=True, eq=False)
class InputXGradient(Method):
    """Input times gradient (Shrikumar et al., 2016).

    The first-order estimate of what the decision would lose if the voxel were set to zero. It is
    exact for each voxel of a linear network, and zero wherever the image is.

    Parameters
    ----------
    score : {"margin", "logit"}, default="margin"
        The target's log-odds against all other classes, or its logit alone.

    Raises
    ------
    InputError
        If the score is neither.
    """

    score: Score = "margin"

    info: ClassVar[MethodInfo] = MethodInfo(
        name="input-x-gradient",
        label="Input × gradient",
        citation="Shrikumar et al. 2016, arXiv:1605.01713",
        unit="logit",
        sign="positive: the voxel's intensity, against zero, speaks for the target; negative: "
        "against it",
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
        return Attribution((x * gradient).sum(1), chosen)
