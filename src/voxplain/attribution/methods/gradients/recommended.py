"""Recommended: what found known effects best, on phantoms that nothing was tuned on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from voxplain.attribution.method import Attribution, Method, MethodInfo, Note
from voxplain.attribution.methods.gradients.pattern import Pattern, pattern_of
from voxplain.attribution.methods.gradients.smoothgrad import SmoothGrad
from voxplain.attribution.methods.gradients.smoothing import require_width, smoothed
from voxplain.attribution.network.target import SCORE_WORDS
from voxplain.attribution.variation import FEWEST_SCANS, Variation, variation_of
from voxplain.combine import agreeing_mean

if TYPE_CHECKING:
    import torch

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target
    from voxplain.attribution.survey import Survey

__all__ = ["Recommended"]

_GRADIENT_FWHM, _PATTERN_FWHM = 8.0, 4.0


@dataclass(frozen=True, eq=False)
class Recommended(Method):
    """SmoothGrad, smoothed, where the pattern of the gradient agrees with it.

    The gradient says where a network looks, its pattern (`Pattern`) what varies with what it sees.
    The map is their geometric mean where they agree in sign, and 0 elsewhere. With fewer than 20
    scans there is no pattern, and the map is the smoothed SmoothGrad alone. How it was found, and
    what it finds: docs/recommended.md.

    Parameters
    ----------
    samples : int, default=16
        Noisy copies of SmoothGrad.
    noise : float, default=0.15
        Their noise; see `SmoothGrad`.
    fwhm : float, mm, default=8.0
        By which SmoothGrad is smoothed.
    combine : bool, default=True
        Whether to combine it with the pattern.
    components : int, default=5
        Principal components of the scans to take out; see `Pattern`.
    scans : Variation, optional
        How voxels vary; by default that of the scans of the run.

    Raises
    ------
    InputError
        If an option is not allowed.
    """

    samples: int = 16
    noise: float = 0.15
    fwhm: float = 8.0
    combine: bool = True
    components: int = 5
    scans: Variation | None = None

    info: ClassVar[MethodInfo] = MethodInfo(
        name="recommended",
        label="Recommended",
        citation="voxplain; of Smilkov et al. 2017 and Haufe et al. 2014",
        unit="logit per unit of intensity",
        sign="positive: a brighter voxel speaks for the target; negative: against it",
        complete=False,
        passes="18 forward and 17 backward",
    )

    prepares_for_network: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_width("fwhm", self.fwhm)
        Pattern(components=self.components, scans=self.scans)
        SmoothGrad(samples=self.samples, noise=self.noise)

    @property
    def score_words(self) -> str:
        """Name of the quantity that is explained."""
        return SCORE_WORDS["margin"]

    @property
    def unit(self) -> str:
        """Unit of the maps."""
        return f"√({self.info.unit} × correlation)" if self.combine else self.info.unit

    @property
    def additive(self) -> bool:
        """Whether values are shares of their voxels, as those of SmoothGrad alone are."""
        return not self.combine

    @property
    def smooth_mm(self) -> float:
        """Width by which the maps are smooth already."""
        return self.fwhm

    @property
    def surveys(self) -> bool:
        """Whether the scans of the run are still to be looked at; see `Method.surveys`."""
        return self.combine and self.scans is None

    def prepare(self, survey: Survey, seed: int) -> Method:
        """Learn how the scans of the run vary, if there are enough; see `Method.prepare`."""
        if survey.total < FEWEST_SCANS:
            return replace(self, combine=False)
        return replace(self, scans=variation_of(survey.volumes, self.components))

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        plain = SmoothGrad(samples=self.samples, noise=self.noise)
        made = plain.attribute(probe, x, target, seed)
        values = smoothed(made.values, probe.voxel_size, self.fwhm)
        words = f"SmoothGrad alone: fewer than {FEWEST_SCANS} scans show no pattern"
        if self.scans is not None and self.combine:
            gradient, _ = probe.input_gradient(x, made.chosen.settled, "margin")
            pattern = pattern_of(self.scans, gradient.sum(1), probe, _GRADIENT_FWHM, _PATTERN_FWHM)
            values = agreeing_mean(values, pattern, 0.5)
            words = f"combined with the pattern over {len(self.scans)} scans"
        return Attribution(values, made.chosen, ((Note(words),),) * len(x))
