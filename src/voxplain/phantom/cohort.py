"""A phantom cohort: subjects, labels, images with and without the effect, and the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from voxplain.atlas import Atlas
from voxplain.errors import InputError
from voxplain.grid import KAN2020_GRID, Grid
from voxplain.phantom.anatomy import Anatomy, sample
from voxplain.phantom.effects import Effect, darken
from voxplain.phantom.scanner import Scanner
from voxplain.volume import Cohort, Volume, resample, smooth

__all__ = ["CLASS_NAMES", "Phantom", "Scenario", "make_phantom"]

CLASS_NAMES = ("control", "case")
"""Of every phantom cohort, in the order of the labels."""

# Sets the draws of families apart from those of subjects.
_FAMILY = 1
_MARK, _MARK_SD, _MARK_MM = 0.5, 0.1, 12.0
_PER_FWHM = np.sqrt(8 * np.log(2))


@dataclass(frozen=True)
class Scenario:
    """All that defines a phantom cohort but its size and seed.

    Parameters
    ----------
    effect : Effect
    anatomy : Anatomy
    scanner : Scanner
    grid : Grid
        The grid of the images; the paper's by default.
    family_size : int, default=1
        Members of a family, who are of one class and of like anatomy, as twins are of one sex.
    head_size : float, default=0.0
        How much larger the heads of cases are, in standard deviations of the logarithm of a head's
        linear size, `Anatomy.size_sd`.
    mark : float, optional
        A bright mark in a corner of every scan, outside the brain, whose brightness in cases is
        greater by so many of its standard deviations; no mark by default.
    """

    effect: Effect = field(default_factory=Effect)
    anatomy: Anatomy = field(default_factory=Anatomy)
    scanner: Scanner = field(default_factory=Scanner)
    grid: Grid = KAN2020_GRID
    family_size: int = 1
    head_size: float = 0.0
    mark: float | None = None

    @property
    def bayes_accuracy(self) -> float:
        """Accuracy of the best observer of the effect, the head's size and the mark.

        Raises
        ------
        InputError
            If another effect than a difference of means is mixed with others.
        """
        others = float(np.hypot(self.head_size, self.mark or 0.0))
        if not others:
            return self.effect.bayes_accuracy
        if self.effect.strength == 0:
            return float(ndtr(others / 2))
        if type(self.effect) is not Effect:
            raise InputError(
                f"{type(self.effect).__name__} beside head size or a mark has no accuracy in "
                "closed form; plant one of them."
            )
        own = self.effect.strength / self.effect.spread
        return float(ndtr(np.hypot(own, others) / 2))


@dataclass(frozen=True, eq=False)
class Phantom:
    """A cohort and the truth about it.

    Parameters
    ----------
    cohort : Cohort
        Labels ``control`` and ``case``; the participants table holds the ``effect_strength`` of
        each subject, 0 for controls, and the ``darkening`` of its regions, nature included.
    scenario : Scenario
    template : Volume
        The template's tissue on the cohort's grid.
    brain : array (X, Y, Z), bool
        The template's brain on the cohort's grid.
    support : array (X, Y, Z), bool
        Where the effect acts, in template space; of a mark, where it lies.
    own_supports : array (N, X, Y, Z), bool
        The same in each subject's own space, for controls too: where it would act.
    without_effect : array (N, X, Y, Z), float32
        Each subject's image with everything the same but the effect; a control's own image.
    decoy : array (X, Y, Z), bool
        Parts that vary without carrying the class, such as a suppressor, in template space.
    """

    cohort: Cohort
    scenario: Scenario
    template: Volume
    brain: NDArray[np.bool_]
    support: NDArray[np.bool_]
    own_supports: NDArray[np.bool_]
    without_effect: NDArray[np.float32]
    decoy: NDArray[np.bool_]


def make_phantom(
    subjects: int,
    template: Volume,
    atlas: Atlas,
    *,
    scenario: Scenario | None = None,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Phantom:
    """Make a cohort of two balanced classes, one of which carries the effect.

    A subject depends only on the seed and its own number: a larger cohort begins with the
    subjects of a smaller one.

    Parameters
    ----------
    subjects : int
        At least 2; classes alternate.
    template : Volume
        Skull-stripped T1w template at about 1 mm, in the atlas's space.
    atlas : Atlas
        Names the effect's regions.
    scenario : Scenario, optional
    seed : int, default=0
    on_progress : callable, optional
        Called with the number of subjects made and the number wanted.

    Returns
    -------
    Phantom

    Raises
    ------
    InputError
        If there are fewer than two subjects, a region is unknown, or no region reaches a voxel.
    """
    scenario = scenario or Scenario()
    if subjects < 2:
        raise InputError(f"A phantom cohort needs at least 2 subjects; {subjects} was given.")
    if not 1 <= scenario.family_size <= subjects // 2:
        raise InputError(
            f"Two families of {scenario.family_size} do not fit in {subjects} subjects; make "
            "families smaller or the cohort larger."
        )
    grid, effect = scenario.grid, scenario.effect
    tissue, fractions = _sources(template, atlas, effect, grid)
    world = _world(grid)
    at_rest = [sample(fraction, template.grid, world) >= 0.5 for fraction in fractions]
    for regions, place in zip(effect.parts, at_rest, strict=True):
        if not place.any():
            raise InputError(
                f"The effect's regions ({', '.join(regions)}) fill no voxel of the grid "
                f"{grid}; choose larger regions or smaller voxels."
            )
    corner = _corner(grid)
    images = np.empty((subjects, *grid.shape), dtype=np.float32)
    without = np.empty_like(images)
    supports = np.empty(images.shape, dtype=bool)
    added, darkening = np.zeros(subjects), np.zeros((len(fractions), subjects))
    size = scenario.family_size
    families = [i // size for i in range(subjects)]
    for i in range(subjects):
        rng = np.random.default_rng([seed, i])
        home = np.random.default_rng([seed, families[i], _FAMILY]) if size > 1 else None
        case = families[i] % 2 == 1
        larger = scenario.head_size * scenario.anatomy.size_sd * case
        points = world + scenario.anatomy.draw(grid, rng, home, larger)
        scan = scenario.scanner.draw(grid, rng)
        own_tissue = sample(tissue, template.grid, points)
        own = [sample(fraction, template.grid, points) for fraction in fractions]
        amounts = effect.draw(rng, case)
        added[i] = effect.strength * case
        darkening[:, i] = amounts.whole
        without[i] = scan.acquire(_darkened(own_tissue, own, amounts.bare))
        images[i] = (
            without[i]
            if amounts.whole == amounts.bare
            else scan.acquire(_darkened(own_tissue, own, amounts.whole))
        )
        supports[i] = _union(f >= 0.5 for f, told in zip(own, effect.telling, strict=True) if told)
        if scenario.mark is not None:
            bright = float(rng.normal())
            without[i][corner] = scenario.scanner.level * max(_MARK + _MARK_SD * bright, 0.0)
            bright += scenario.mark * case
            images[i][corner] = scenario.scanner.level * max(_MARK + _MARK_SD * bright, 0.0)
            supports[i] = corner if effect.strength == 0 else supports[i] | corner
        if on_progress:
            on_progress(i + 1, subjects)
    participants = pd.DataFrame(
        {
            "participant_id": [f"sub-{i + 1:04d}" for i in range(subjects)],
            "label": [CLASS_NAMES[family % 2] for family in families],
            "effect_strength": added,
            "darkening": darkening[0],
        }
    )
    for number, row in enumerate(darkening[1:], start=2):
        participants[f"darkening_{number}"] = row
    if size > 1:
        participants["family"] = [f"F{family + 1:04d}" for family in families]
    rest = sample(tissue, template.grid, world)
    told = [p for p, tells in zip(at_rest, effect.telling, strict=True) if tells]
    untold = [p for p, tells in zip(at_rest, effect.telling, strict=True) if not tells]
    marked = [corner] if scenario.mark is not None else []
    support = _union(marked if marked and effect.strength == 0 else told + marked)
    return Phantom(
        cohort=Cohort(participants, CLASS_NAMES, grid, lambda i: images[i]),
        scenario=scenario,
        template=Volume(rest, grid, "template"),
        brain=rest > 0.1,
        support=support,
        own_supports=supports,
        without_effect=without,
        decoy=_union(untold) if untold else np.zeros(grid.shape, dtype=bool),
    )


def _sources(
    template: Volume, atlas: Atlas, effect: Effect, grid: Grid
) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
    """Tissue and each part's share at the template's resolution, blurred to the voxels of the grid.

    A voxel of a scanner averages over its own width; sampling a blurred template stands for that.
    """
    width = _PER_FWHM * (np.mean(grid.voxel_size) - np.mean(template.grid.voxel_size)) / 2
    tissue = np.clip(template.values / template.values.max(), 0, 1)
    fractions = []
    for regions in effect.parts:
        mask = atlas.mask(regions).astype(np.float32)
        region = resample(mask, atlas.grid, template.grid, order=0)
        fractions.append(smooth(region * (tissue > 0), template.grid, width))
    blurred = smooth(tissue, template.grid, width)
    blurred[blurred < 1e-3] = 0
    return blurred, fractions


def _darkened(
    tissue: NDArray[np.float32],
    fractions: Sequence[NDArray[np.float32]],
    amounts: Sequence[float],
) -> NDArray[np.float32]:
    for fraction, amount in zip(fractions, amounts, strict=True):
        tissue = darken(tissue, fraction, amount)
    return tissue


def _corner(grid: Grid) -> NDArray[np.bool_]:
    """Choose where a mark lies: a cube of some 12 mm in a corner of the field of view."""
    place = np.zeros(grid.shape, dtype=bool)
    cube = tuple(slice(1, 1 + max(1, round(_MARK_MM / size))) for size in grid.voxel_size)
    place[cube] = True
    return place


def _union(places: Iterable[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    union: NDArray[np.bool_] = np.logical_or.reduce(list(places))
    return union


def _world(grid: Grid) -> NDArray[np.float32]:
    index = np.indices(grid.shape).reshape(3, -1).T
    return grid.to_world(index).T.reshape(3, *grid.shape).astype(np.float32)
