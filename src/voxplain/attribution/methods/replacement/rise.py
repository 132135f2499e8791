"""RISE: which places the decision keeps company with, when random parts are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from voxplain.attribution.method import Attribution, MethodInfo, Note
from voxplain.attribution.methods.passes import logits_of_passes
from voxplain.attribution.methods.replacement.base import ReplacementMethod, nothing_changes
from voxplain.errors import InputError

if TYPE_CHECKING:
    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target

__all__ = ["Rise", "SmoothMasks"]


class SmoothMasks:
    """Random keep-masks: a coarse grid of zeros and ones, shifted at random, made trilinear.

    At every voxel the mean over all masks is `keep`, and the variance is `variance`, because the
    shift is uniform over a cell.

    Parameters
    ----------
    shape : sequence of 3 ints
    cell : sequence of 3 floats, voxels
        Edge lengths of a cell of the coarse grid.
    keep : float
        Probability of a one.
    count : int
        Number of masks.
    seed : int
    """

    def __init__(
        self, shape: Sequence[int], cell: Sequence[float], keep: float, count: int, seed: int
    ) -> None:
        draw = np.random.default_rng(seed)
        self.variance = keep * (1 - keep) * (2 / 3) ** 3
        self._nodes = [int(np.ceil((n - 1) / c)) + 2 for n, c in zip(shape, cell, strict=True)]
        self._ones = draw.random((count, *self._nodes)) < keep
        self._shifts = draw.random((count, 3))
        self._places = [torch.arange(n) / c for n, c in zip(shape, cell, strict=True)]

    def __len__(self) -> int:
        return len(self._ones)

    def of(self, number: int, like: torch.Tensor) -> torch.Tensor:
        """Return one mask, tensor (X, Y, Z), with the type and device of another tensor."""
        weights = []
        for place, nodes, shift in zip(
            self._places, self._nodes, self._shifts[number], strict=True
        ):
            distance = (place + shift)[:, None] - torch.arange(nodes)
            weights.append((1 - distance.abs()).clamp(min=0).to(like))
        ones = torch.from_numpy(self._ones[number]).to(like)
        return torch.einsum("ijk,ai,bj,ck->abc", ones, *weights)


@dataclass(frozen=True, eq=False)
class Rise(ReplacementMethod):
    """Randomised input sampling (Petsiuk et al., 2018), with a control variate.

    Random parts of the image are kept, ``m * x + (1 - m) * reference``, and the value of a voxel
    is the covariance of the score with the mask there, over the variance of the mask: what the
    score gains, in logits, as the voxel's neighbourhood of one cell goes from replaced to kept.
    The paper's estimator, the mean of score times mask, differs from it by the mean score alone,
    which is the same at every voxel but drowns the map in noise; it is taken off first.

    Parameters
    ----------
    masks : int, default=500
        Number of random masks; the same for all volumes.
    cell : float, mm, default=30.0
        Edge length of a cell of the coarse grid.
    keep : float, default=0.5
        Probability that a cell is kept.

    Raises
    ------
    InputError
        If an option is out of range.
    """

    masks: int = 500
    cell: float = 30.0
    keep: float = 0.5

    info: ClassVar[MethodInfo] = MethodInfo(
        name="rise",
        label="RISE",
        citation="Petsiuk, Das & Saenko 2018, arXiv:1806.07421",
        unit="logit",
        sign="positive: keeping this place raises the target's score; negative: it lowers it",
        complete=False,
        passes="501 forward",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.masks < 2:
            raise InputError(f"masks must be 2 or more; {self.masks} was given.")
        if not self.cell > 0:
            raise InputError(f"cell must be above 0 mm; {self.cell} was given.")
        if not 0 < self.keep < 1:
            raise InputError(f"keep must lie between 0 and 1; {self.keep} was given.")

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        replacing = self.start(probe, x, target)
        cell = [self.cell / size for size in probe.voxel_size]
        masks = SmoothMasks(x.shape[2:], cell, self.keep, self.masks, seed)

        def change(number: int) -> torch.Tensor:
            return torch.lerp(replacing.reference, x, masks.of(number, x))

        logits = logits_of_passes(probe, change, len(masks), len(x))
        scores = replacing.chosen.repeat(len(masks)).score(logits.flatten(0, 1), self.score)
        scores = scores.reshape(len(masks), len(x))
        # Less the first score first, so that a constant network gives zeros and no rounding.
        scores = scores - scores[0]
        scores = (scores - scores.mean(0)) / masks.variance
        total = torch.zeros_like(x[:, 0])
        squares = torch.zeros_like(total)
        for number, weights in enumerate(scores):
            part = weights[:, None, None, None] * (masks.of(number, x) - self.keep)
            total += part
            squares += part.square()
        values = total / (len(masks) - 1)
        spread = (squares / len(masks) - values.square()).clamp(min=0)
        errors = (spread / len(masks)).sqrt().flatten(1).mean(1).tolist()
        notes = tuple(
            (Note(f"standard error of a voxel's value: {error:.2g} on average"), *doubts)
            for error, doubts in zip(errors, nothing_changes(values), strict=True)
        )
        return Attribution(values, replacing.chosen, notes)
