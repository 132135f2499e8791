"""One scan's score, and that of changed copies of it, for whoever tests a map of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from voxplain.attribution.arguments import require_volume
from voxplain.attribution.engine import Engine
from voxplain.attribution.methods.reference import ReferenceLike, make_reference
from voxplain.attribution.network.needs import Needs
from voxplain.attribution.network.numbers import ExpectedValue
from voxplain.attribution.network.placed import Placed, full_precision
from voxplain.attribution.network.target import Chosen, TargetLike, make_target
from voxplain.volume import Volume

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ScanScore", "scan_score"]


@dataclass(frozen=True, eq=False)
class ScanScore:
    """The logit margin of one scan's target, as a function of images in its place.

    Parameters
    ----------
    placed : Placed
        The network where and how it runs.
    volume : Volume
    chosen : Chosen
        The scan's target, settled.
    """

    placed: Placed
    volume: Volume
    chosen: Chosen

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Score images, batch by batch.

        Parameters
        ----------
        images : tensor (N, 1, X, Y, Z)

        Returns
        -------
        tensor (N,), float64, logit
            Log-odds of the target against all other classes; a number where that is explained.
        """

        def run(rows: Sequence[int], start: int) -> torch.Tensor:
            part = images[start : start + len(rows)].to(self.placed.device, self.placed.dtype)
            with full_precision(self.placed.device), self.placed.open() as p, torch.no_grad():
                score = self.chosen.repeat(len(part)).score(p.logits(part), "margin")
            return score.cpu().double()

        return torch.cat(list(self.placed.batcher.run(range(len(images)), run)))

    def references(
        self, kinds: Mapping[str, ReferenceLike], blur: float = 10.0
    ) -> dict[str, NDArray[np.float32]]:
        """Make the images that take the place of what is removed.

        Parameters
        ----------
        kinds : mapping of str to reference
            By name; see `voxplain.attribution.methods.reference.make_reference`:
            ``{"zero": "zero", "cohort": cohort.mean(...)}``.
        blur : float, mm, default=10.0
            Standard deviation of ``"blur"``.

        Returns
        -------
        dict of str to array (X, Y, Z), float32
        """
        x = self.placed.tensor([self.volume])
        widths = [blur / size for size in self.volume.grid.voxel_size]
        made = {n: make_reference(x, k, widths, None, self.chosen) for n, k in kinds.items()}
        return {name: image[0, 0].float().cpu().numpy() for name, image in made.items()}


def scan_score(
    model: nn.Module,
    volume: Volume,
    target: TargetLike = "predicted",
    class_names: Sequence[str] | None = None,
    engine: Engine | None = None,
) -> ScanScore:
    """Make ready to score changed copies of a scan, as `explain` would run the network.

    Parameters
    ----------
    model : torch.nn.Module
    volume : Volume
    target : int, str or callable, default="predicted"
        See `explain`. What the network predicts for the scan stays the target of its copies.
    class_names : sequence of str, optional
    engine : Engine, optional
        Within `Engine.run`, the network is examined once for all scans.

    Returns
    -------
    ScanScore

    Raises
    ------
    InputError, NetworkError
        As `explain` does.
    """
    require_volume(volume)
    wanted = make_target(target, 1, class_names)
    function = wanted.function
    numbers = function is not None and not isinstance(function, ExpectedValue)
    needs = Needs(gradient=False, float32=True, far=True, numbers=numbers)
    placed = (engine or Engine()).place(model, volume, needs=needs)
    logits = torch.from_numpy(placed.logits([volume])).to(placed.device)
    return ScanScore(placed, volume, wanted.choose(logits))
