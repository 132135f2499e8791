"""A phantom cohort: subjects, labels, images with and without the effect, and the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxplain.atlas import Atlas
from voxplain.errors import InputError
from voxplain.grid import KAN2020_GRID, Grid
from voxplain.phantom.anatomy import Anatomy, sample
from voxplain.phantom.effects import Effect
from voxplain.phantom.scanner import Scanner
from voxplain.volume import Cohort, Volume, resample, smooth

__all__ = ["CLASS_NAMES", "Phantom", "Scenario", "make_phantom"]

CLASS_NAMES = ("control", "case")
"""Of every phantom cohort, in the order of the labels."""

# Sets the draws of families apart from those of subjects.
_FAMILY = 1
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
    """

    effect: Effect = field(default_factory=Effect)
    anatomy: Anatomy = field(default_factory=Anatomy)
    scanner: Scanner = field(default_factory=Scanner)
    grid: Grid = KAN2020_GRID
    family_size: int = 1


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
        Where the effect acts, in template space.
    own_supports : array (N, X, Y, Z), bool
        The same in each subject's own space, for controls too: where it would act.
    without_effect : array (N, X, Y, Z), float32
        Each subject's image with everything the same but the effect; a control's own image.
    """

    cohort: Cohort
    scenario: Scenario
    template: Volume
    brain: NDArray[np.bool_]
    support: NDArray[np.bool_]
    own_supports: NDArray[np.bool_]
    without_effect: NDArray[np.float32]


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
    tissue, fraction = _sources(template, atlas, effect, grid)
    world = _world(grid)
    at_rest = sample(fraction, template.grid, world)
    if not (at_rest >= 0.5).any():
        raise InputError(
            f"The effect's regions ({', '.join(effect.regions)}) fill no voxel of the grid "
            f"{grid}; choose larger regions or smaller voxels."
        )
    images = np.empty((subjects, *grid.shape), dtype=np.float32)
    without = np.empty_like(images)
    supports = np.empty(images.shape, dtype=bool)
    added, darkening = np.zeros(subjects), np.zeros(subjects)
    size = scenario.family_size
    families = [i // size for i in range(subjects)]
    for i in range(subjects):
        rng = np.random.default_rng([seed, i])
        home = np.random.default_rng([seed, families[i], _FAMILY]) if size > 1 else None
        points = world + scenario.anatomy.draw(grid, rng, home)
        scan = scenario.scanner.draw(grid, rng)
        own_tissue = sample(tissue, template.grid, points)
        own_fraction = sample(fraction, template.grid, points)
        natural = effect.draw_natural(rng)
        added[i] = effect.strength * (families[i] % 2)
        darkening[i] = natural + added[i]
        without[i] = scan.acquire(effect.apply(own_tissue, own_fraction, natural))
        images[i] = (
            scan.acquire(effect.apply(own_tissue, own_fraction, darkening[i]))
            if added[i]
            else without[i]
        )
        supports[i] = own_fraction >= 0.5
        if on_progress:
            on_progress(i + 1, subjects)
    participants = pd.DataFrame(
        {
            "participant_id": [f"sub-{i + 1:04d}" for i in range(subjects)],
            "label": [CLASS_NAMES[family % 2] for family in families],
            "effect_strength": added,
            "darkening": darkening,
        }
    )
    if size > 1:
        participants["family"] = [f"F{family + 1:04d}" for family in families]
    rest = sample(tissue, template.grid, world)
    return Phantom(
        cohort=Cohort(participants, CLASS_NAMES, grid, lambda i: images[i]),
        scenario=scenario,
        template=Volume(rest, grid, "template"),
        brain=rest > 0.1,
        support=at_rest >= 0.5,
        own_supports=supports,
        without_effect=without,
    )


def _sources(
    template: Volume, atlas: Atlas, effect: Effect, grid: Grid
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Tissue and region share at the template's resolution, blurred to the voxels of the grid.

    A voxel of a scanner averages over its own width; sampling a blurred template stands for that.
    """
    width = _PER_FWHM * (np.mean(grid.voxel_size) - np.mean(template.grid.voxel_size)) / 2
    region = resample(
        atlas.mask(effect.regions).astype(np.float32), atlas.grid, template.grid, order=0
    )
    tissue = np.clip(template.values / template.values.max(), 0, 1)
    inside = region * (tissue > 0)
    blurred = smooth(tissue, template.grid, width)
    blurred[blurred < 1e-3] = 0
    return blurred, smooth(inside, template.grid, width)


def _world(grid: Grid) -> NDArray[np.float32]:
    index = np.indices(grid.shape).reshape(3, -1).T
    return grid.to_world(index).T.reshape(3, *grid.shape).astype(np.float32)
