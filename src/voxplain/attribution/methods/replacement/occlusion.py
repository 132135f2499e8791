"""Occlusion: what the decision loses when a block of the brain is hidden."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from voxplain.attribution.method import Attribution, MethodInfo, Note
from voxplain.attribution.methods.replacement.base import ReplacementMethod, nothing_changes
from voxplain.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target

__all__ = ["Occlusion"]


@dataclass(frozen=True, eq=False)
class Occlusion(ReplacementMethod):
    """Occlusion by sliding blocks (Zeiler & Fergus, 2014), in three dimensions.

    The value of a voxel is the mean, over the blocks that cover it, of ``f(x) - f(x with the
    block replaced by the reference)``. All blocks have the full size: the last one along an axis
    is moved back so that it ends with the volume. Blocks in which the image equals the reference
    cost no pass; they count as 0, which is what they change.

    Parameters
    ----------
    block : float, mm, default=20.0
        Edge length of a block, rounded to whole voxels.
    stride : float, mm, optional
        Distance between blocks, rounded to whole voxels; three quarters of the block by default.
        Half the stride makes a finer map at eight times the cost.

    Raises
    ------
    InputError
        If a length is not above 0, or the stride is longer than the block.
    """

    block: float = 20.0
    stride: float | None = None

    info: ClassVar[MethodInfo] = MethodInfo(
        name="occlusion",
        label="Occlusion",
        citation="Zeiler & Fergus 2014, doi:10.1007/978-3-319-10590-1_53",
        unit="logit",
        sign="positive: blocks over this voxel speak for the target; negative: against it",
        complete=False,
        passes="1 forward, and 1 for each block in which image and reference differ: about 550 for "
        "a brain",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("block", "stride"):
            length = getattr(self, name)
            if length is not None and not length > 0:
                raise InputError(f"{name} must be above 0 mm; {length} was given.")
        if self.stride is not None and self.stride > self.block:
            raise InputError(
                f"stride must not be longer than the block of {self.block} mm, or voxels between "
                f"blocks are never hidden; {self.stride} mm was given."
            )

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        replacing = self.start(probe, x, target)
        blocks = self._blocks(x.shape[2:], probe.voxel_size)
        differs = replacing.differs
        touched = torch.stack([differs[:, a, b, c].flatten(1).any(1) for a, b, c in blocks]).cpu()
        pairs = touched.nonzero().tolist()

        def hidden(number: int) -> torch.Tensor:
            mask = torch.zeros_like(differs[0])
            mask[blocks[pairs[number][0]]] = True
            return mask

        scores = replacing.scores([sample for _, sample in pairs], hidden)
        total = torch.zeros(differs.shape, dtype=torch.float64)
        for (block, sample), score in zip(pairs, scores, strict=True):
            total[sample][blocks[block]] += replacing.full[sample] - score
        covers = torch.zeros(differs.shape[1:], dtype=torch.float64)
        for block in blocks:
            covers[block] += 1
        values = total / covers
        notes = tuple(
            (Note(f"{n} of {len(blocks)} blocks hide something; {n + 1} forward passes"), *doubts)
            for n, doubts in zip(touched.sum(0).tolist(), nothing_changes(values), strict=True)
        )
        return Attribution(values, replacing.chosen, notes)

    def _blocks(
        self, shape: Sequence[int], voxel_size: Sequence[float]
    ) -> list[tuple[slice, slice, slice]]:
        stride = 0.75 * self.block if self.stride is None else self.stride
        along = []
        for voxels, length in zip(shape, voxel_size, strict=True):
            size = min(voxels, max(1, round(self.block / length)))
            step = max(1, round(stride / length))
            last = voxels - size
            starts = dict.fromkeys(min(start, last) for start in range(0, last + step, step))
            along.append([slice(start, start + size) for start in starts])
        return list(itertools.product(*along))
