"""Pattern: what goes up and down over the scans with what the network's gradient reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from voxplain.attribution.method import Attribution, Method, MethodInfo, Note
from voxplain.attribution.methods.gradients.smoothing import require_width, smoothed
from voxplain.attribution.network.target import SCORE_WORDS
from voxplain.attribution.variation import Variation, variation_of
from voxplain.errors import InputError

if TYPE_CHECKING:
    import torch

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target
    from voxplain.attribution.survey import Survey

__all__ = ["Pattern", "pattern_of"]


@dataclass(frozen=True, eq=False)
class Pattern(Method):
    """Pattern of a scan's gradient over many scans (after Haufe et al., 2014).

    A gradient says by which voxels a network tells, also by voxels that only cancel what others
    share with them. The pattern says what varies with what it tells: each voxel's covariance, over
    many scans, with the gradient's inner product with them. Labels are not looked at.

    Parameters
    ----------
    gradient_fwhm : float, mm, default=8.0
        By which the gradient is smoothed first.
    fwhm : float, mm, default=4.0
        By which the pattern is smoothed.
    components : int, default=5
        Principal components of the scans to take out.
    scans : Variation, optional
        How voxels vary; by default that of the scans of the run, 20 or more.

    Raises
    ------
    InputError
        If an option is not allowed, or the run has fewer than 20 scans.
    """

    gradient_fwhm: float = 8.0
    fwhm: float = 4.0
    components: int = 5
    scans: Variation | None = None

    info: ClassVar[MethodInfo] = MethodInfo(
        name="pattern",
        label="Pattern",
        citation="after Haufe et al. 2014, NeuroImage 87:96",
        unit="correlation",
        sign="positive: scans in which the voxel is brighter speak more for the target; "
        "negative: less",
        complete=False,
        passes="1 forward and 1 backward",
    )

    prepares_for_network: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_width("gradient_fwhm", self.gradient_fwhm)
        require_width("fwhm", self.fwhm)
        if self.components < 0:
            raise InputError(f"components must not be negative; {self.components} was given.")
        if self.scans is not None and not isinstance(self.scans, Variation):
            raise InputError(
                "scans must be a voxplain.attribution.variation.Variation, as variation_of makes "
                f"it; {type(self.scans).__name__} was given."
            )

    @property
    def score_words(self) -> str:
        """Name of the quantity that is explained."""
        return SCORE_WORDS["margin"]

    @property
    def smooth_mm(self) -> float:
        """Width by which the maps are smooth already."""
        return self.fwhm

    @property
    def surveys(self) -> bool:
        """Whether the scans of the run are still to be looked at; see `Method.surveys`."""
        return self.scans is None

    def prepare(self, survey: Survey, seed: int) -> Method:
        """Learn how the scans of the run vary; see `Method.prepare`."""
        return replace(self, scans=variation_of(survey.volumes, self.components))

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        if self.scans is None:
            raise InputError("pattern needs scans that show how voxels vary.")
        gradient, chosen = probe.input_gradient(x, target, "margin")
        values = pattern_of(self.scans, gradient.sum(1), probe, self.gradient_fwhm, self.fwhm)
        return Attribution(values, chosen, ((Note(f"over {len(self.scans)} scans"),),) * len(x))


def pattern_of(
    scans: Variation, gradient: torch.Tensor, probe: Probe, gradient_fwhm: float, fwhm: float
) -> torch.Tensor:
    """Smooth gradients (N, X, Y, Z), take their patterns, and smooth these."""
    size = probe.voxel_size
    return smoothed(scans.pattern(smoothed(gradient, size, gradient_fwhm)), size, fwhm)
