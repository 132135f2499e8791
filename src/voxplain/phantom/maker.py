"""One subject of a phantom cohort after the other, each by its number alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxplain.atlas import Atlas
from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.phantom.bases import Bases
from voxplain.phantom.scenario import CLASS_NAMES, Scenario
from voxplain.volume import Volume

__all__ = ["Made", "Maker"]

# Sets the draws of families apart from those of subjects.
_FAMILY = 1
_MARK, _MARK_SD, _MARK_MM = 0.5, 0.1, 12.0


@dataclass(frozen=True, eq=False)
class Made:
    """One subject.

    Parameters
    ----------
    image, without : array (X, Y, Z), float32
        The scan, and the same with everything alike but the effect.
    support : array (X, Y, Z), bool
        Where the effect acts, or would act, in this subject.
    change : array (X, Y, Z), float32
        What the effect changes wherever it acts: 0 for controls; for others `image` less `without`,
        or, where a case differs in one part or another, the change of all parts.
    amounts : tuple of float
        How much darker or larger each part is, nature included.
    strength : float
        Of the effect; 0 for controls.
    measure : str
        What `amounts` are called in the table.
    """

    image: NDArray[np.float32]
    without: NDArray[np.float32]
    support: NDArray[np.bool_]
    change: NDArray[np.float32]
    amounts: tuple[float, ...]
    strength: float
    measure: str

    def fill(self, table: pd.DataFrame, row: int) -> None:
        """Write what is known of the subject into its row of the participants table, in place."""
        table.loc[row, "effect_strength"] = self.strength
        for number, amount in enumerate(self.amounts):
            table.loc[row, _column(self.measure, number)] = amount


class Maker:
    """Makes the subjects of a cohort.

    Parameters
    ----------
    subjects : int
    brains : Volume or sequence of Volume
        See `make_phantom`.
    atlas : Atlas
    scenario : Scenario
    seed : int

    Attributes
    ----------
    template : Volume
    brain, support, decoy : array (X, Y, Z), bool
        See `voxplain.phantom.Phantom`.
    """

    def __init__(
        self,
        subjects: int,
        brains: Volume | Sequence[Volume],
        atlas: Atlas,
        scenario: Scenario,
        seed: int,
    ) -> None:
        if subjects < 2:
            raise InputError(f"A phantom cohort needs at least 2 subjects; {subjects} was given.")
        if not 1 <= scenario.family_size <= subjects // 2:
            raise InputError(
                f"Two families of {scenario.family_size} do not fit in {subjects} subjects; make "
                "families smaller or the cohort larger."
            )
        self.scenario, self.seed, self.grid = scenario, seed, scenario.grid
        self._families = [i // scenario.family_size for i in range(subjects)]
        effect = scenario.effect
        self._bases = Bases(brains, atlas, effect.parts, scenario.grid)
        self._world = _world(scenario.grid)
        rest = self._bases.at_rest(self._world)
        for regions, place in zip(effect.parts, rest.parts, strict=True):
            if not place.any():
                raise InputError(
                    f"The effect's regions ({', '.join(regions)}) fill no voxel of the grid "
                    f"{self.grid}; choose larger regions or smaller voxels."
                )
        self.template, self.brain = Volume(rest.tissue, self.grid, "template"), rest.brain
        self._rendering = effect.rendering(rest.fractions, self.grid)
        self._corner = _corner(self.grid)
        told = [p for p, tells in zip(rest.parts, effect.telling, strict=True) if tells]
        untold = [p for p, tells in zip(rest.parts, effect.telling, strict=True) if not tells]
        marked = [self._corner] if scenario.mark is not None else []
        self.support = _union(marked if marked and effect.strength == 0 else told + marked)
        self.decoy = _union(untold) if untold else np.zeros(self.grid.shape, dtype=bool)

    @property
    def cases(self) -> int:
        """Subjects with the effect."""
        return sum(family % 2 for family in self._families)

    def participants(self) -> pd.DataFrame:
        """Lay out the participants table; `Made.fill` fills in each subject's own figures."""
        effect, count = self.scenario.effect, len(self._families)
        table = pd.DataFrame(
            {
                "participant_id": [f"sub-{i + 1:04d}" for i in range(count)],
                "label": [CLASS_NAMES[family % 2] for family in self._families],
                "effect_strength": np.zeros(count),
            }
        )
        for number in range(len(effect.parts)):
            table[_column(effect.measure, number)] = np.zeros(count)
        if self.scenario.family_size > 1:
            table["family"] = [f"F{family + 1:04d}" for family in self._families]
        return table

    def make(self, i: int) -> Made:
        """Make a subject, by its place in the cohort."""
        scenario, grid, family = self.scenario, self.grid, self._families[i]
        effect = scenario.effect
        rng = np.random.default_rng([self.seed, i])
        home = (
            np.random.default_rng([self.seed, family, _FAMILY])
            if scenario.family_size > 1
            else None
        )
        case = family % 2 == 1
        larger = scenario.head_size * scenario.anatomy.size_sd * case
        points = self._world + scenario.anatomy.draw(grid, rng, home, larger)
        scan = scenario.scanner.draw(grid, rng)
        amounts = effect.draw(rng, case)
        seen = self._bases.seen_at(points, family // 2)
        render = partial(self._rendering.tissue, seen)
        image = without = scan.acquire(render(amounts.whole))
        change = np.zeros(grid.shape, dtype=np.float32)
        if amounts.whole != amounts.bare:
            without = scan.acquire(render(amounts.bare))
            shown = effect.shown(amounts)
            everywhere = image if shown == amounts.whole else scan.acquire(render(shown))
            change = everywhere - without
        support = self._rendering.support(seen, amounts.whole)
        if scenario.mark is not None:
            image, without = image.copy(), without.copy()
            bright = float(rng.normal())
            without[self._corner] = self._brightness(bright)
            image[self._corner] = self._brightness(bright + scenario.mark * case)
            support = self._corner if effect.strength == 0 else support | self._corner
            change[self._corner] = image[self._corner] - without[self._corner]
        strength = effect.strength * case
        return Made(image, without, support, change, amounts.whole, strength, effect.measure)

    def _brightness(self, bright: float) -> float:
        return self.scenario.scanner.level * max(_MARK + _MARK_SD * bright, 0.0)


def _column(measure: str, number: int) -> str:
    return f"{measure}_{number + 1}" if number else measure


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
