"""Extremal perturbation: the best mask of each of several areas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch

from voxplain.attribution.method import Attribution, Method, MethodInfo, Note
from voxplain.attribution.methods.masks.area import area_cells, area_loss, support_cells
from voxplain.attribution.methods.masks.objective import AreaObjective
from voxplain.attribution.methods.masks.schedule import Schedule
from voxplain.attribution.methods.masks.search import Board, Found, MaskSearch
from voxplain.attribution.methods.reference import MaskGrid, ReferenceLike, make_reference
from voxplain.attribution.network.needs import Needs
from voxplain.errors import InputError

if TYPE_CHECKING:
    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target

__all__ = ["ExtremalPerturbation"]


@dataclass(frozen=True, eq=False)
class ExtremalPerturbation(Method):
    """Masks of a given area that keep or lose the most (Fong, Patrick & Vedaldi, 2019).

    For each area a, a mask on a coarse grid is optimised so that the image kept inside it, and
    replaced by the reference elsewhere, scores as much of the target as possible
    (``preservation``); or so that the image replaced inside it scores as little as possible
    (``deletion``); or both with one mask (``dual``). The area is no price to be tuned but a
    constraint: the sorted cells of the mask are drawn to ones for the first share a and to zeros
    for the rest. The areas of all volumes of a batch are optimised together.

    The area counts within the support: the cells where the image differs from the reference,
    since a mask elsewhere changes nothing and would meet the constraint for free.

    The map is the mean of the masks over the areas, so that what is selected at small areas
    already stands highest.

    Parameters
    ----------
    objective : {"preservation", "deletion", "dual"}, default="dual"
    areas : sequence of float, default=(0.02, 0.05, 0.1, 0.2)
        Shares of the support, between 0 and 1.
    reference : {"blur", "zero", "mean"}, array (X, Y, Z), or dict of int to array, default="blur"
        What is put in place of the image; see `make_reference`.
    blur : float, mm, default=10.0
        Standard deviation of the reference's blur.
    cell : float, mm, default=8.0
        Edge length of a cell of the mask.
    mask_blur : float, mm, default=4.0
        Standard deviation of the mask's blur. It takes the place of the paper's smooth maximum
        convolution, so that masks of small areas do not quite reach 1.
    constraint : float, default=300.0
        Weight of the area's mean squared error; it rises linearly over half of the iterations.
    iterations : int, default=40
        Adam steps.
    lr : float, default=0.1
        Step size; halved twice.
    enough : float, default=0.9
        Share of the target's log-odds, between reference (0) and image (1), that counts as kept;
        what is left below ``1 - enough`` counts as lost.

    Notes
    -----
    The default needs 322 forward and 320 backward passes a volume: one of either for
    each iteration, area and side of the dual objective. The others need half of it.
    """

    objective: Literal["preservation", "deletion", "dual"] = "dual"
    areas: Sequence[float] = (0.02, 0.05, 0.1, 0.2)
    reference: ReferenceLike = "blur"
    blur: float = 10.0
    cell: float = 8.0
    mask_blur: float = 4.0
    constraint: float = 300.0
    iterations: int = 40
    lr: float = 0.1
    enough: float = 0.9

    info: ClassVar[MethodInfo] = MethodInfo(
        name="extremal-perturbation",
        label="Extremal perturbation",
        citation="Fong, Patrick & Vedaldi 2019, doi:10.1109/ICCV.2019.00304",
        unit="share of areas",
        sign="from 0, in no mask, to 1: in the best mask of every area; it has no negative side",
        complete=False,
        passes="322 forward and 320 backward: 40 for each of 4 areas, kept and deleted",
    )
    needs: ClassVar[Needs] = Needs(float32=True)
    renamed: ClassVar[Mapping[str, str]] = MappingProxyType({"game": "objective"})

    def __post_init__(self) -> None:
        if self.objective not in ("preservation", "deletion", "dual"):
            raise InputError(
                "objective must be 'preservation', 'deletion' or 'dual'; "
                f"{self.objective!r} was given."
            )
        if not len(self.areas) or not all(0 < area < 1 for area in self.areas):
            raise InputError(
                f"areas must be one or more shares between 0 and 1; {self.areas} was given."
            )
        if not 0 < self.enough <= 1:
            raise InputError(f"enough must be above 0 and at most 1; {self.enough} was given.")
        for name in ("cell", "constraint", "iterations", "lr"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above 0; {getattr(self, name)} was given.")
        for name in ("blur", "mask_blur"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative; {getattr(self, name)} was given.")

    @property
    def score_words(self) -> str:
        """Name of the quantity that is explained."""
        return "logit margin"

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        widths, cells, smooth = (
            [length / size for size in probe.voxel_size]
            for length in (self.blur, self.cell, self.mask_blur)
        )
        grid = MaskGrid.make(x.shape[2:], cells, smooth)
        with torch.no_grad():
            logits = probe.logits(x)
            chosen = target.choose(logits)
            reference = make_reference(x, self.reference, widths, None, chosen)
            objective = AreaObjective(chosen, logits, probe.logits(reference), self.objective)
        support = support_cells(grid, (x - reference)[:, 0])
        within = support.repeat_interleave(len(self.areas), 0)
        ones = area_cells(support, self.areas)

        def price(masks: torch.Tensor, tasks: torch.Tensor) -> torch.Tensor:
            return self.constraint * area_loss(masks, ones[tasks], within[tasks])

        search = MaskSearch(probe, grid, self._schedule(), price)
        found = search.run(Board(x, reference, objective), 0.5 * within, within)
        masks = grid.to_voxels(found.masks).reshape(len(x), len(self.areas), *x.shape[2:])
        values = torch.where(objective.attainable[:, None, None, None], masks.mean(1), 0.0)
        notes = tuple(self._notes(objective, found, support, sample) for sample in range(len(x)))
        return Attribution(values, chosen, notes)

    def _schedule(self) -> Schedule:
        return Schedule(
            shifts=np.zeros((self.iterations, 1, 3), dtype=np.int64),
            lr=self.lr,
            lr_factor=0.5,
            lr_every=-(-self.iterations // 3),
            ramp=self.iterations // 2,
            one_rate=True,
        )

    def _notes(
        self, objective: AreaObjective, found: Found, support: torch.Tensor, sample: int
    ) -> tuple[Note, ...]:
        notes = [Note(text) for text in objective.words(sample)]
        row = torch.tensor([sample], device=support.device)
        least = None
        for number in sorted(range(len(self.areas)), key=lambda n: self.areas[n]):
            task = sample * len(self.areas) + number
            if not int(found.steps[task]):
                continue
            area, scores = self.areas[number], found.scores[:, task, None]
            reached = float(found.masks[task].sum() / support[sample].sum())
            words, enough = [], True
            for keeps, score, share in zip(
                objective.sides, scores, objective.share(scores, row), strict=True
            ):
                words.append(objective.word("kept" if keeps else "deleted", float(score)))
                enough &= float(share if keeps else 1 - share) >= self.enough
            least = area if enough and least is None else least
            notes.append(Note(f"area {area:g} ({reached:.3f} reached): {', '.join(words)}"))
        ends = {"preservation": "keeps", "deletion": "loses", "dual": "keeps and loses"}[
            self.objective
        ]
        which = "no area" if least is None else f"{least:g} is the smallest area that"
        notes.append(Note(f"{which} {ends} {100 * self.enough:.0f} % of the target's score"))
        steps = int(found.steps.reshape(-1, len(self.areas))[sample].sum())
        notes.append(Note(f"{2 + len(objective.sides) * steps} forward passes"))
        return (*notes, *(Note(text, warn=True) for text in objective.doubts(sample)))
