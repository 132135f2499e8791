"""Meaningful perturbation: the smallest part whose deletion takes the decision away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import numpy as np
import torch

from voxplain.errors import InputError
from voxplain.explain.game import DeletionGame
from voxplain.explain.method import Attribution, Method, MethodInfo, Note
from voxplain.explain.perturb import MaskGrid, ReferenceLike, make_reference
from voxplain.explain.search import MaskSearch, Schedule, roughness

if TYPE_CHECKING:
    from voxplain.explain.probe import Probe
    from voxplain.explain.target import Target

__all__ = ["MeaningfulPerturbation"]


@dataclass(frozen=True, eq=False)
class MeaningfulPerturbation(Method):
    """Deletion mask of least cost (Fong & Vedaldi, 2017), in three dimensions.

    A keep-mask m on a coarse grid is optimised so that the image
    ``m * x + (1 - m) * reference`` loses the target at the least cost:
    ``class term + l1 * mean(1 - m) + tv * TV(m)``. The map is 1 - m on the voxels, 1 where the
    image must be deleted. Jitter shifts the composed image, so mask and image move together. The
    mask that is kept is the best by the whole cost, measured without jitter.

    Parameters
    ----------
    loss : {"margin", "probability"}, default="margin"
        The class term. ``margin``: the share of the target's log-odds that is left, from 1 for
        the image to 0 where the probability has come down to `tau` or to the reference's,
        whichever is higher. It never saturates, and it also serves a callable target.
        ``probability``: ``relu(p - tau)``, as in the paper.
    reference : {"blur", "zero", "mean"}, array (X, Y, Z), or dict of int to array, default="blur"
        What is put where the mask deletes; see `voxplain.explain.perturb.make_reference`.
    blur : float, mm, default=10.0
        Standard deviation of the reference's blur.
    cell : float, mm, default=8.0
        Edge length of a cell of the mask.
    mask_blur : float, mm, default=6.0
        Standard deviation of the mask's blur, the same in the cost and in the map.
    units : {"mm", "voxel"}, default="mm"
        Unit of the three lengths above.
    window : int, optional
        Voxels to which both blur kernels are cut.
    tau : float, default=0.05
        Probability at which the target counts as lost.
    l1 : float, default=3.0
        Price of deletion. With the margin loss on a linear network, a cell is worth deleting
        when it carries more than `l1` times its fair share of the evidence.
    tv, tv_beta : float, default=1.0 and 2.0
        Price of roughness: mean over the cells of the sum of ``|difference| ** tv_beta``.
    ramp : int, default=0
        Iterations over which both prices rise to their full value.
    iterations : int, default=40
        Adam steps.
    jitters : int, default=1
        Passes whose mean makes one step.
    jitter : int, voxels, default=0
        Largest shift along each axis, to either side. In a pilot on a phantom, shifts cost
        localisation and brought nothing to a mask that is blurred already.
    lr, lr_factor, lr_every : float, float and int, default=0.2, 0.5 and 12
        Step size, and by what it is multiplied after how many iterations.
    check_every : int, default=5
        Every so many iterations the first pass is not shifted, and the mask is a candidate.
    best_after : int, default=0
        First iteration whose mask is a candidate.
    patience : int, default=3
        A volume leaves after so many checks in a row without a gain of 1 %; 0 never.

    Notes
    -----
    The default needs at most 42 forward and 40 backward passes a volume.
    """

    loss: Literal["margin", "probability"] = "margin"
    reference: ReferenceLike = "blur"
    blur: float = 10.0
    cell: float = 8.0
    mask_blur: float = 6.0
    units: Literal["mm", "voxel"] = "mm"
    window: int | None = None
    tau: float = 0.05
    l1: float = 3.0
    tv: float = 1.0
    tv_beta: float = 2.0
    ramp: int = 0
    iterations: int = 40
    jitters: int = 1
    jitter: int = 0
    lr: float = 0.2
    lr_factor: float = 0.5
    lr_every: int = 12
    check_every: int = 5
    best_after: int = 0
    patience: int = 3

    info: ClassVar[MethodInfo] = MethodInfo(
        name="meaningful-perturbation",
        label="Meaningful perturbation",
        citation="Fong & Vedaldi 2017, doi:10.1109/ICCV.2017.371",
        unit="share deleted",
        sign="from 0, kept, to 1: deleting here takes the target away; it has no negative side",
        complete=False,
        passes="at most 42 forward and 40 backward",
    )

    def __post_init__(self) -> None:
        if self.loss not in ("margin", "probability"):
            raise InputError(f"loss must be 'margin' or 'probability'; {self.loss!r} was given.")
        if self.units not in ("mm", "voxel"):
            raise InputError(f"units must be 'mm' or 'voxel'; {self.units!r} was given.")
        if not 0 < self.tau < 1:
            raise InputError(f"tau must lie between 0 and 1; {self.tau} was given.")
        for name in ("iterations", "jitters", "lr_every", "check_every", "cell", "lr"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above 0; {getattr(self, name)} was given.")
        for name in ("blur", "mask_blur", "l1", "tv", "ramp", "jitter", "best_after", "patience"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative; {getattr(self, name)} was given.")
        if self.best_after >= self.iterations:
            raise InputError(
                f"best_after must be below the {self.iterations} iterations; {self.best_after} "
                "was given."
            )

    @classmethod
    def paper(cls) -> MeaningfulPerturbation:
        """Return the schedule published with Kan et al. (2020), as far as it is well defined.

        300 iterations of 10 jittered passes, so 3002 forward passes a volume. It differs from the
        published code in five points, each a fault there: mask and image are shifted together and
        the border is repeated, where the image alone was shifted and zeros came in; the shift is
        -2 to 2 voxels, where it was 0 to 4; the best mask is taken by the whole cost, where the
        prices were still rising; its cost is that of the unshifted first pass; and the map has the
        blur that the cost saw.

        Returns
        -------
        MeaningfulPerturbation
        """
        return cls(
            loss="probability",
            reference="blur",
            blur=10.0,
            cell=4.0,
            mask_blur=10.0,
            units="voxel",
            window=5,
            tau=0.05,
            l1=3.0,
            tv=1.0,
            tv_beta=7.0,
            ramp=60,
            iterations=300,
            jitters=10,
            jitter=2,
            lr=0.3,
            lr_factor=0.1,
            lr_every=30,
            check_every=1,
            best_after=50,
            patience=0,
        )

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Names of the options that the method takes, and ``preset``."""
        return (*super().option_names(), "preset")

    @classmethod
    def with_options(cls, options: Mapping[str, Any]) -> Method:
        """Make the method from named options; ``preset="paper"`` starts from `paper`."""
        rest = {name: value for name, value in options.items() if name != "preset"}
        made = cast("MeaningfulPerturbation", super().with_options(rest))
        preset = options.get("preset")
        if preset is None:
            return made
        if preset != "paper":
            raise InputError(f"preset must be 'paper'; {preset!r} was given.")
        return replace(cls.paper(), **rest)

    @property
    def score_words(self) -> str:
        """Name of the quantity that is explained."""
        return "logit margin" if self.loss == "margin" else "probability"

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        voxel = (1.0, 1.0, 1.0) if self.units == "voxel" else probe.voxel_size
        grid = MaskGrid.make(
            x.shape[2:],
            [self.cell / size for size in voxel],
            [self.mask_blur / size for size in voxel],
            self.window,
        )
        with torch.no_grad():
            logits = probe.logits(x)
            chosen = target.choose(logits)
            widths = [self.blur / size for size in voxel]
            reference = make_reference(x, self.reference, widths, self.window, chosen)
            game = DeletionGame(chosen, logits, probe.logits(reference), self.loss, self.tau)
        start = x.new_ones((len(x), *grid.shape))
        search = MaskSearch(probe, grid, self._schedule(seed), self._price)
        found = search.run(x, reference, game, start)
        values = grid.to_voxels(1 - found.masks).clamp(0, 1)
        notes = []
        for sample in range(len(x)):
            steps = int(found.steps[sample])
            deleted = float(values[sample].mean())
            perturbed = float(found.scores[0, sample])
            words = [Note(text) for text in game.words(sample, perturbed=perturbed)]
            words.append(Note(f"{100 * deleted:.1f} % deleted"))
            words.append(Note(f"{2 + steps * self.jitters} forward passes"))
            words += [Note(text, warn=True) for text in game.doubts(sample)]
            if steps and not deleted:
                words.append(Note("no deletion is worth its price, so the map is zero", warn=True))
            notes.append(tuple(words))
        return Attribution(values, chosen, tuple(notes))

    def _price(self, masks: torch.Tensor, tasks: torch.Tensor) -> torch.Tensor:
        deleted = (1 - masks).flatten(1).mean(1)
        return self.l1 * deleted + self.tv * roughness(masks, self.tv_beta)

    def _schedule(self, seed: int) -> Schedule:
        shape = (self.iterations, self.jitters, 3)
        draw = np.random.default_rng(seed)
        return Schedule(
            shifts=draw.integers(-self.jitter, self.jitter, shape, endpoint=True),
            lr=self.lr,
            lr_factor=self.lr_factor,
            lr_every=self.lr_every,
            ramp=self.ramp,
            check_every=self.check_every,
            best_after=self.best_after,
            patience=self.patience,
        )
