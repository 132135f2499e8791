"""A phantom cohort: subjects, labels, images with and without the effect, and the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.atlas import Atlas
from voxplain.phantom.maker import Maker
from voxplain.phantom.scenario import CLASS_NAMES, Scenario
from voxplain.volume import Cohort, Volume

__all__ = ["Phantom", "make_phantom"]


@dataclass(frozen=True, eq=False)
class Phantom:
    """A cohort and the truth about it.

    Parameters
    ----------
    cohort : Cohort
        Labels ``control`` and ``case``; the participants table holds the ``effect_strength`` of
        each subject, 0 for controls, and the ``darkening`` of its regions, or their ``log_volume``,
        nature included.
    scenario : Scenario
    template : Volume
        The template's tissue on the cohort's grid; of several brains, their mean.
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
    change : array (X, Y, Z), float32
        What the effect changes in the images, mean over cases: the population effect map.
    """

    cohort: Cohort
    scenario: Scenario
    template: Volume
    brain: NDArray[np.bool_]
    support: NDArray[np.bool_]
    own_supports: NDArray[np.bool_]
    without_effect: NDArray[np.float32]
    decoy: NDArray[np.bool_]
    change: NDArray[np.float32]


def make_phantom(
    subjects: int,
    template: Volume | Sequence[Volume],
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
    template : Volume, or sequence of Volume
        Skull-stripped T1w template at about 1 mm, in the atlas's space; or real brains there, each
        of which serves a control and a case, and then the next.
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
    maker = Maker(subjects, template, atlas, scenario or Scenario(), seed)
    grid, table = maker.grid, maker.participants()
    images = np.empty((subjects, *grid.shape), dtype=np.float32)
    without = np.empty_like(images)
    supports = np.empty(images.shape, dtype=bool)
    change = np.zeros(grid.shape)
    for i in range(subjects):
        made = maker.make(i)
        images[i], without[i], supports[i] = made.image, made.without, made.support
        made.fill(table, i)
        change += made.change
        if on_progress:
            on_progress(i + 1, subjects)
    return Phantom(
        cohort=Cohort(table, CLASS_NAMES, grid, lambda i: images[i]),
        scenario=maker.scenario,
        template=maker.template,
        brain=maker.brain,
        support=maker.support,
        own_supports=supports,
        without_effect=without,
        decoy=maker.decoy,
        change=(change / max(maker.cases, 1)).astype(np.float32),
    )
