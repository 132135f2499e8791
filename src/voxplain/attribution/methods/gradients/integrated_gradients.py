"""Integrated gradients: the decision's change from a reference to the image, voxel by voxel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch

from voxplain.attribution.method import Attribution, Method, MethodInfo, Note
from voxplain.attribution.methods.passes import each_gradient
from voxplain.attribution.methods.reference import ReferenceLike, blurred, make_reference
from voxplain.attribution.network.needs import Needs
from voxplain.attribution.network.target import SCORE_WORDS, check_score
from voxplain.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Chosen, Score, Target

__all__ = ["IntegratedGradients"]

_LARGE_GAP = 0.05


@dataclass(frozen=True, eq=False)
class IntegratedGradients(Method):
    r"""Integrated gradients (Sundararajan et al., 2017), also along blur (Xu et al., 2020).

    The gradient is integrated along a path of images from a reference to the image, so that the
    map adds up to the score of the image less the score of the reference. Of each of the equal
    pieces of the path, the gradient is taken in the middle and multiplied by the change of each
    voxel over the piece. The notes tell how far the sum is off.

    On the straight path, all voxels change in proportion. On the blur path, the image comes into
    focus: the standard deviation of a Gaussian falls evenly from `blur` to 0, so that every image
    on the way is a blurred brain and none a faint one. It starts at the blurred image.

    Parameters
    ----------
    score : {"margin", "logit"}, default="margin"
        The target's log-odds against all other classes, or its logit alone.
    path : {"straight", "blur"}, default="straight"
    reference : {"zero", "blur", "mean"}, array (X, Y, Z), or dict of int to array, default="zero"
        Where the straight path starts; see `voxplain.attribution.methods.reference.make_reference`.
    blur : float, mm, default=10.0
        Standard deviation of the blurred reference, and of the start of the blur path.
    steps : int, default=32
        Pieces of the path.

    Raises
    ------
    InputError
        If an option is not allowed.

    Notes
    -----
    The gradient of a ReLU network jumps along the path, so that the higher order of a
    Gauss-Legendre rule buys nothing; with the same number of steps it leaves a larger gap than
    the midpoints do (a test measures both).
    """

    score: Score = "margin"
    path: Literal["straight", "blur"] = "straight"
    reference: ReferenceLike = "zero"
    blur: float = 10.0
    steps: int = 32

    info: ClassVar[MethodInfo] = MethodInfo(
        name="integrated-gradients",
        label="Integrated gradients",
        citation="Sundararajan, Taly & Yan 2017, arXiv:1703.01365; along blur: Xu, Venugopalan & "
        "Sundararajan 2020, arXiv:2004.03383",
        unit="logit",
        sign="positive: the voxel's change from the reference speaks for the target; negative: "
        "against it",
        complete=True,
        passes="34 forward and 32 backward",
    )
    needs: ClassVar[Needs] = Needs(far=True)

    def __post_init__(self) -> None:
        check_score(self.score)
        if self.path not in ("straight", "blur"):
            raise InputError(f"path must be 'straight' or 'blur'; {self.path!r} was given.")
        if self.path == "blur" and not (
            isinstance(self.reference, str) and self.reference in ("zero", "blur")
        ):
            raise InputError(
                "path='blur' starts at the blurred image, so it takes no reference; leave it out, "
                "or use path='straight'."
            )
        if not self.blur > 0:
            raise InputError(f"blur must be above 0 mm; {self.blur} was given.")
        if self.steps < 1:
            raise InputError(f"steps must be 1 or more; {self.steps} was given.")

    @property
    def score_words(self) -> str:
        """Name of the quantity that is explained."""
        return SCORE_WORDS[self.score]

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        with torch.no_grad():
            of_image = probe.logits(x)
            chosen = target.choose(of_image)
            along = self._path(probe, x, chosen)
            before = along(0)
            of_reference = probe.logits(before)
        total = torch.zeros_like(x)

        def middle(piece: int) -> torch.Tensor:
            return along((piece + 0.5) / self.steps)

        for piece, gradient, _ in each_gradient(probe, middle, self.steps, chosen, self.score):
            after = along((piece + 1) / self.steps)
            total += gradient * (after - before)
            before = after
        values = total.sum(1)
        gained = chosen.score(of_image, self.score) - chosen.score(of_reference, self.score)
        start = chosen.score(of_reference, "margin")
        return Attribution(values, chosen, _notes(values, gained, start, chosen))

    def _path(
        self, probe: Probe, x: torch.Tensor, chosen: Chosen
    ) -> Callable[[float], torch.Tensor]:
        """From 0, the reference, to 1, the image."""
        widths = [self.blur / size for size in probe.voxel_size]
        if self.path == "blur":
            return lambda share: blurred(x, [(1 - share) * width for width in widths])
        reference = make_reference(x, self.reference, widths, None, chosen)
        return lambda share: torch.lerp(reference, x, share)


def _notes(
    values: torch.Tensor, gained: torch.Tensor, start: torch.Tensor, chosen: Chosen
) -> tuple[tuple[Note, ...], ...]:
    """Say for each sample what the reference scores, and how far the map's sum is off."""
    notes = []
    sums = values.cpu().double().sum((1, 2, 3)).tolist()
    for made, wanted, low in zip(sums, gained.tolist(), start.tolist(), strict=True):
        gap = abs(made - wanted) / abs(wanted) if wanted else float(made != 0)
        told = f"score(reference) = {low:.3g}"
        if chosen.indices is not None:
            told = f"p(reference) = {np.exp(-np.logaddexp(0, -low)):.3g}"
        own = [
            Note(told),
            Note(
                f"sum of the map {made:.4g}, f(x) - f(reference) {wanted:.4g}, gap "
                f"{100 * gap:.1f} %" + "; take more steps" * (gap > _LARGE_GAP),
                warn=gap > _LARGE_GAP,
            ),
        ]
        if not made and not wanted:
            own.append(
                Note("the sum of the map is zero: image and reference score alike", warn=True)
            )
        notes.append(tuple(own))
    return tuple(notes)
