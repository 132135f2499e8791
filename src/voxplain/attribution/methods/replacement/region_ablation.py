"""Region ablation: what the decision loses when one region is taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from voxplain.attribution.method import Attribution, MethodInfo, Note
from voxplain.attribution.methods.replacement.base import nothing_changes
from voxplain.attribution.methods.replacement.parcels import ParcelMethod

if TYPE_CHECKING:
    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target

__all__ = ["RegionAblation"]


@dataclass(frozen=True, eq=False)
class RegionAblation(ParcelMethod):
    """Ablation of one region at a time.

    Each voxel of a region carries the value of the whole region, ``f(x) - f(x with the region
    replaced by the reference)``; background is 0. Regions in which the image equals the reference
    cost no pass; they lose nothing.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        name="region-ablation",
        label="Region ablation",
        citation="Zeiler & Fergus 2014, doi:10.1007/978-3-319-10590-1_53, by region",
        unit="logit per region",
        sign="positive: the region speaks for the target; negative: against it",
        complete=False,
        passes="1 forward, and 1 for each region in which image and reference differ",
    )

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        replacing = self.start(probe, x, target)
        labels = self.labels(x.shape[2:], probe.voxel_size).to(x.device)
        count = int(labels.max())
        touched = replacing.touched(labels, count + 1)
        touched[:, 0] = False
        pairs = touched.nonzero().tolist()
        scores = replacing.scores(
            [sample for sample, _ in pairs], lambda number: labels == pairs[number][1]
        )
        worth = torch.zeros(touched.shape, dtype=torch.float64)
        for (sample, region), score in zip(pairs, scores, strict=True):
            worth[sample, region] = replacing.full[sample] - score
        values = worth[:, labels.cpu()]
        notes = tuple(
            (Note(f"{n} of {count} regions hold something; {n + 1} forward passes"), *doubts)
            for n, doubts in zip(touched.sum(1).tolist(), nothing_changes(values), strict=True)
        )
        return Attribution(values, replacing.chosen, notes)
