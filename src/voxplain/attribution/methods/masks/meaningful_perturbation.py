"""Meaningful perturbation: the smallest part whose deletion takes the decision away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
from voxplain.attribution.methods.masks.objective import DeletionObjective
from voxplain.attribution.methods.masks.options import (
    RENAMED,
    JitterOptions,
    ObjectiveOptions,
    OptimiserOptions,
    SharingOptions,
)
from voxplain.attribution.methods.masks.presets import PRESETS
from voxplain.attribution.methods.masks.schedule import Schedule, drawn_shifts
from voxplain.attribution.methods.masks.search import Board, MaskSearch, roughness
from voxplain.attribution.methods.reference import MaskGrid, ReferenceLike, make_reference
from voxplain.attribution.options import OptionGroup, flattened
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
    objective : ObjectiveOptions
        What a mask costs: `loss`, `tau`, `l1`, `tv`, `tv_beta`, `ramp`.
    optimiser : OptimiserOptions
        How the cost is minimised: `iterations`, `lr`, `lr_factor`, `lr_every`, `betas`,
        `check_every`, `best_after`, `patience`.
    jitter : JitterOptions
        Random shifts: `voxels`, `passes`, `even`, `moves`.
    cohort : bool, default=False
        Whether a mask is first optimised for all volumes of one target class together, and each
        volume starts from it; see `cohort_mask`. The start of a volume then
        depends on the others in the run, though never on how they are cut into batches. A volume
        that is alone of its class makes the shared mask by itself, which saves nothing.
    sharing : SharingOptions
        How that mask is made: `most`, `together`, `refine`.
    start : array (cells) or dict of int to array (cells), optional
        Keep-mask from which each volume starts, or that of its class; None for a target without.

    Notes
    -----
    The default needs at most 42 forward and 40 backward passes a volume; 12 and 10 from a shared
    mask.
    """

    reference: ReferenceLike = "blur"
    blur: float = 10.0
    cell: float = 8.0
    mask_blur: float = 6.0
    units: Literal["mm", "voxel"] = "mm"
    window: int | None = None
    objective: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    optimiser: OptimiserOptions = field(default_factory=OptimiserOptions)
    jitter: JitterOptions = field(default_factory=JitterOptions)
    cohort: bool = False
    sharing: SharingOptions = field(default_factory=SharingOptions)
    start: StartLike | None = None

    renamed: ClassVar[Mapping[str, str]] = RENAMED
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
        for name, kind in _GROUPS.items():
            if not isinstance(given := getattr(self, name), kind):
                raise InputError(
                    f"{name} of a MeaningfulPerturbation must be {kind.__name__}; {given!r} was "
                    "given."
                )
        if self.units not in ("mm", "voxel"):
            raise InputError(f"units must be 'mm' or 'voxel'; {self.units!r} was given.")
        if not isinstance(self.cohort, bool):
            raise InputError(f"cohort must be true or false; {self.cohort!r} was given.")
        if not self.cell > 0:
            raise InputError(f"cell must be above 0; {self.cell} was given.")
        for name in ("blur", "mask_blur"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative; {getattr(self, name)} was given.")

    @classmethod
    def paper(cls) -> Method:
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
        return cls.with_options({"preset": "paper"})

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Names of the options that the method takes, and ``preset``."""
        return (*super().option_names(), "preset")

    @classmethod
    def with_options(cls, options: Mapping[str, Any]) -> Method:
        """Make the method from named options, beginning with those of a ``preset``.

        See `voxplain.attribution.methods.masks.presets`; ``preset="paper"`` begins with `paper`.
        """
        given = {name: value for name, value in options.items() if name != "preset"}
        preset = options.get("preset")
        if preset is None:
            return super().with_options(given)
        if preset not in PRESETS:
            known = " or ".join(map(repr, PRESETS))
            raise InputError(f"preset must be {known}; {preset!r} was given.")
        rest = flattened(cls, given, cls.renamed, cls.info.name)
        return super().with_options({**PRESETS[preset], **rest})

    @property
    def score_words(self) -> str:
        """Name of the quantity that is explained."""
        return "logit margin" if self.objective.loss == "margin" else "probability"

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

        steps = max(1, self.optimiser.iterations - self.sharing.refine)
        sharing = Sharing(self.sharing.most, self.sharing.together, steps)
        return replace(self, start=shared_masks(survey, opened, sharing, seed))

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        """Explain one batch; see `Method.attribute`."""
        search, board = self._open(probe, x, target, seed)
        objective = board.objective
        start, remarks = start_masks(self.start, board, search.grid.shape)
        found = search.run(board, start)
        deleted = torch.where(objective.attainable[:, None, None, None], 1 - found.masks, 0.0)
        values = search.grid.to_voxels(deleted).clamp(0, 1)
        notes = []
        for sample in range(len(x)):
            steps = int(found.steps[sample])
            share = float(values[sample].mean())
            perturbed = float(found.scores[0, sample])
            words = [Note(text) for text in objective.words(sample, perturbed=perturbed)]
            words.append(Note(f"{100 * share:.1f} % deleted"))
            words.append(Note(f"{2 + steps * self.jitter.passes} forward passes"))
            words += remarks[sample]
            words += [Note(text, warn=True) for text in objective.doubts(sample)]
            if steps and not share:
                words.append(Note("no deletion is worth its price, so the map is zero", warn=True))
            notes.append(tuple(words))
        return Attribution(values, board.objective.chosen, tuple(notes))

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
            cost = self.objective
            objective = DeletionObjective(chosen, logits, of_reference, cost.loss, cost.tau)
        search = MaskSearch(probe, grid, self._schedule(seed), self._price)
        return search, Board(x, reference, objective)

    def _price(self, masks: torch.Tensor, tasks: torch.Tensor) -> torch.Tensor:
        deleted = (1 - masks).flatten(1).mean(1)
        cost = self.objective
        return cost.l1 * deleted + cost.tv * roughness(masks, cost.tv_beta)

    def _schedule(self, seed: int) -> Schedule:
        jitter, steps = self.jitter, self.optimiser
        still = jitter.moves == "image"
        shared = self.cohort or self.start is not None
        shifts = drawn_shifts(
            (steps.iterations, jitter.passes, 3),
            jitter.voxels,
            shared if jitter.even is None else jitter.even,
            seed,
        )
        plan = Schedule(
            shifts=shifts + jitter.voxels if still else shifts,
            lr=steps.lr,
            lr_factor=steps.lr_factor,
            lr_every=steps.lr_every,
            ramp=self.objective.ramp,
            betas=steps.betas,
            check_every=steps.check_every,
            best_after=steps.best_after,
            patience=steps.patience,
            still=still,
        )
        return plan if self.start is None else plan.last(self.sharing.refine)


_GROUPS: Mapping[str, type[OptionGroup]] = {
    "objective": ObjectiveOptions,
    "optimiser": OptimiserOptions,
    "jitter": JitterOptions,
    "sharing": SharingOptions,
}
