"""Meaningful perturbation: the smallest part whose deletion takes the decision away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch

from voxplain.attribution.method import Attribution, Method, MethodInfo, Note
from voxplain.attribution.methods.masks.cohort_mask import (
    Known,
    Sharing,
    StartLike,
    shared_masks,
    start_masks,
)
from voxplain.attribution.methods.masks.objective import DeletionGame
from voxplain.attribution.methods.masks.presets import PRESETS
from voxplain.attribution.methods.masks.schedule import Schedule, drawn_shifts
from voxplain.attribution.methods.masks.search import Board, MaskSearch, roughness
from voxplain.attribution.methods.reference import MaskGrid, ReferenceLike, make_reference
from voxplain.errors import InputError

if TYPE_CHECKING:
    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Target
    from voxplain.attribution.survey import Survey

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
        What is put where the mask deletes; see `make_reference`.
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
    even : bool, optional
        Whether a row of passes takes every shift along an axis once, not each at random; by
        default where the cohort shares a mask, whose few steps then depend less on the draw.
    moves : {"both", "image"}, default="both"
        What the jitter shifts. ``image`` is the published code's: the mask stays, the image moves
        by 0 to twice `jitter` voxels, and zeros come in. Masks learn to exploit it; it is here to
        compare with published ones.
    lr, lr_factor, lr_every : float, float and int, default=0.2, 0.5 and 12
        Step size, and by what it is multiplied after how many iterations.
    betas : tuple of 2 floats, default=(0.9, 0.99)
        Adam's memory: how much of the mean slope, and of its mean square, stays after a step.
    check_every : int, default=5
        Every so many iterations the first pass is not shifted, and the mask is a candidate.
    best_after : int, default=0
        First iteration whose mask is a candidate.
    patience : int, default=3
        A volume leaves after so many checks in a row without a gain of 1 %; 0 never.
    cohort : bool, default=False
        Whether a mask is first optimised for all volumes of one target class together, and each
        volume starts from it; see `cohort_mask`. The start of a volume then
        depends on the others in the run, though never on how they are cut into batches. A volume
        that is alone of its class makes the shared mask by itself, which saves nothing.
    most, together : int, default=64 and 8
        Volumes, drawn at random, that make the shared masks, and how many of a class make one
        step. Each step costs `together` volumes 1 forward and 1 backward pass.
    refine : int, default=10
        Steps of a volume that starts from a mask: the last of the schedule. The first measures it.
        Shared masks take the steps before.
    start : array (cells) or dict of int to array (cells), optional
        Keep-mask from which each volume starts, or that of its class; None for a target without.

    Notes
    -----
    The default needs at most 42 forward and 40 backward passes a volume; 12 and 10 from a shared
    mask.
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
    even: bool | None = None
    lr: float = 0.2
    lr_factor: float = 0.5
    lr_every: int = 12
    betas: tuple[float, float] = (0.9, 0.99)
    check_every: int = 5
    best_after: int = 0
    patience: int = 3
    moves: Literal["both", "image"] = "both"
    cohort: bool = False
    most: int = 64
    together: int = 8
    refine: int = 10
    start: StartLike | None = None

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
        if self.moves not in ("both", "image"):
            raise InputError(f"moves must be 'both' or 'image'; {self.moves!r} was given.")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise InputError(
                f"betas must be two numbers from 0 to below 1; {self.betas} was given."
            )
        if not isinstance(self.cohort, bool):
            raise InputError(f"cohort must be true or false; {self.cohort!r} was given.")
        if not 0 < self.tau < 1:
            raise InputError(f"tau must lie between 0 and 1; {self.tau} was given.")
        for name in (
            *("iterations", "jitters", "lr_every", "check_every", "cell", "lr"),
            *("refine", "most", "together"),
        ):
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
        return cls(**PRESETS["paper"])

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Names of the options that the method takes, and ``preset``."""
        return (*super().option_names(), "preset")

    @classmethod
    def with_options(cls, options: Mapping[str, Any]) -> Method:
        """Make the method from named options, beginning with those of a ``preset``.

        See `voxplain.attribution.methods.masks.presets`; ``preset="paper"`` begins with `paper`.
        """
        rest = {name: value for name, value in options.items() if name != "preset"}
        preset = options.get("preset")
        if preset is None:
            return super().with_options(rest)
        if preset not in PRESETS:
            known = " or ".join(map(repr, PRESETS))
            raise InputError(f"preset must be {known}; {preset!r} was given.")
        return super().with_options({**PRESETS[preset], **rest})

    @property
    def score_words(self) -> str:
        """Name of the quantity that is explained."""
        return "logit margin" if self.loss == "margin" else "probability"

    @property
    def surveys(self) -> bool:
        """Whether shared masks are still to be made; see `Method.surveys`."""
        return self.cohort and self.start is None

    def prepare(self, survey: Survey, seed: int) -> Method:
        """Make the shared masks; see `Method.prepare`."""

        def opened(
            probe: Probe, x: torch.Tensor, target: Target, known: Known
        ) -> tuple[MaskSearch, Board]:
            return self._open(probe, x, target, seed, known)

        steps = max(1, self.iterations - self.refine)
        sharing = Sharing(self.most, self.together, steps)
        return replace(self, start=shared_masks(survey, opened, sharing, seed))

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        search, board = self._open(probe, x, target, seed)
        game = board.game
        start, remarks = start_masks(self.start, board, search.grid.shape)
        found = search.run(board, start)
        deleted = torch.where(game.playable[:, None, None, None], 1 - found.masks, 0.0)
        values = search.grid.to_voxels(deleted).clamp(0, 1)
        notes = []
        for sample in range(len(x)):
            steps = int(found.steps[sample])
            share = float(values[sample].mean())
            perturbed = float(found.scores[0, sample])
            words = [Note(text) for text in game.words(sample, perturbed=perturbed)]
            words.append(Note(f"{100 * share:.1f} % deleted"))
            words.append(Note(f"{2 + steps * self.jitters} forward passes"))
            words += remarks[sample]
            words += [Note(text, warn=True) for text in game.doubts(sample)]
            if steps and not share:
                words.append(Note("no deletion is worth its price, so the map is zero", warn=True))
            notes.append(tuple(words))
        return Attribution(values, board.game.chosen, tuple(notes))

    def _open(
        self, probe: Probe, x: torch.Tensor, target: Target, seed: int, known: Known = None
    ) -> tuple[MaskSearch, Board]:
        voxel = (1.0, 1.0, 1.0) if self.units == "voxel" else probe.voxel_size
        grid = MaskGrid.make(
            x.shape[2:],
            [self.cell / size for size in voxel],
            [self.mask_blur / size for size in voxel],
            self.window,
        )
        with torch.no_grad():
            logits = probe.logits(x) if known is None else known[0]
            chosen = target.choose(logits)
            widths = [self.blur / size for size in voxel]
            reference = make_reference(x, self.reference, widths, self.window, chosen)
            of_reference = probe.logits(reference) if known is None else known[1]
            game = DeletionGame(chosen, logits, of_reference, self.loss, self.tau)
        search = MaskSearch(probe, grid, self._schedule(seed), self._price)
        return search, Board(x, reference, game)

    def _price(self, masks: torch.Tensor, tasks: torch.Tensor) -> torch.Tensor:
        deleted = (1 - masks).flatten(1).mean(1)
        return self.l1 * deleted + self.tv * roughness(masks, self.tv_beta)

    def _schedule(self, seed: int) -> Schedule:
        still = self.moves == "image"
        even = self.cohort or self.start is not None if self.even is None else self.even
        shifts = drawn_shifts((self.iterations, self.jitters, 3), self.jitter, even, seed)
        plan = Schedule(
            shifts=shifts + self.jitter if still else shifts,
            lr=self.lr,
            lr_factor=self.lr_factor,
            lr_every=self.lr_every,
            ramp=self.ramp,
            betas=self.betas,
            check_every=self.check_every,
            best_after=self.best_after,
            patience=self.patience,
            still=still,
        )
        return plan if self.start is None else plan.last(self.refine)
