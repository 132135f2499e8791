"""Maps held against a truth that is known, beside a ceiling, chance and controls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.results.judgement import Judgement, Judgements
from voxplain.trust.fields import gaussian_amplitude, random_fields
from voxplain.trust.truth.chance import draw_chance
from voxplain.trust.truth.figures import (
    CHANCE_DRAWS,
    Asked,
    KnownTruth,
    Numbers,
    SubjectMaps,
    blind_maps,
    figures_of,
    found_of,
    rank_figures_of,
    upper,
)
from voxplain.trust.truth.localisation import FWHM_MM, strength
from voxplain.trust.truth.resampling import resample_both
from voxplain.trust.truth.singly import Singly
from voxplain.volume import smooth

__all__ = ["judge"]

_RANDOM_MAPS = 5
# Boxes and distances take longest: they are measured in every so-manieth draw.
_PLACED_EVERY = 20
_AT_ONCE = 32


def judge(  # noqa: PLR0913 - what a judgement depends on, each by its name
    subjects: Iterable[SubjectMaps],
    truth: KnownTruth,
    grid: Grid,
    *,
    networks: Sequence[str] = ("",),
    controls: Mapping[str, NDArray[np.float32]] | None = None,
    fwhm: float = FWHM_MM,
    smooth_mm: float = 0.0,
    seed: int = 0,
    draws: int = 1000,
) -> Judgements:
    """Hold maps against a known truth, for the group and for each subject.

    Everything is smoothed, made absolute and ranked inside the brain: maps, ceiling and controls
    alike. Beside the maps stand the ceiling, which is the true change itself, random maps as
    smooth as they, and controls: an edge filter of the images, the images, random fields, what
    stands beside each subject's maps, and `controls`.

    Parameters
    ----------
    subjects : iterable of SubjectMaps
        Gone through once; of each subject's maps, only what lies in the truth's brain is held.
        Boxes, peaks and distances are measured on the first 24 of them.
    truth : KnownTruth
        Of the group, where all subjects lie.
    grid : Grid
    networks : sequence of str, optional
        Names of the networks that made the maps; where there are several, intervals are over both
        subjects and networks.
    controls : mapping of str to array (X, Y, Z), optional
        Maps of the whole cohort that know nothing of the network, such as ``cohort-mean``,
        ``t-map-train`` and ``t-map-all``.
    fwhm : float, mm, default=8.0
    smooth_mm : float, mm, default=0.0
        Width by which the method smooths its maps itself (`Method.smooth_mm`): above 0, the maps
        are not smoothed again, and all else is smoothed by this width in place of `fwhm`.
    seed : int, default=0
    draws : int, default=1000
        Of the bootstrap, a multiple of 20. Boxes, peaks and distances of the mean map take every
        twentieth.

    Returns
    -------
    Judgements

    Raises
    ------
    InputError
        If there is no subject, a map is of an unknown network, or the truth is empty inside the
        brain.
    GridError
        If a map is not on the grid.
    """
    if draws < _PLACED_EVERY or draws % _PLACED_EVERY:
        raise InputError(f"draws must be a multiple of {_PLACED_EVERY}; {draws} was given.")
    fwhm, own = (smooth_mm, 0.0) if smooth_mm else (fwhm, fwhm)
    asked = Asked(grid, tuple(networks), fwhm, own, seed, draws)
    ready = {name: strength(map_, grid, fwhm) for name, map_ in (controls or {}).items()}
    group, single = _Group(truth, asked), Singly(asked, ready)
    for one in subjects:
        asked.require_known(one)
        blind = blind_maps(one, grid)
        group.take(one, blind)
        single.take(one, blind)
    return Judgements(group.judgement(ready), single.judgement(), fwhm)


class _Group:
    """The mean map, and what is needed to draw it anew."""

    def __init__(self, truth: KnownTruth, asked: Asked) -> None:
        self.truth, self.asked, self.numbers = truth, asked, Numbers()
        self.inside: list[NDArray[np.float32]] = []
        self.whose: list[tuple[int, int]] = []
        self.total = np.zeros(asked.grid.shape)
        self.blind: dict[str, list[Any]] = {}

    def take(self, one: SubjectMaps, blind: Mapping[str, NDArray[np.float32]]) -> None:
        """Take in one subject's maps, and its maps that know nothing of the network."""
        asked, number = self.asked, self.numbers.of(one.subject)
        for name, values in one.maps.items():
            self.inside.append(smooth(values, asked.grid, asked.own_fwhm)[self.truth.brain])
            self.whose.append((number, asked.networks.index(name)))
            self.total += values
        for name, values in blind.items():
            known = self.blind.setdefault(name, [0, np.zeros(asked.grid.shape)])
            known[0] += 1
            known[1] += values

    def judgement(self, controls: Mapping[str, NDArray[np.float32]]) -> Judgement:
        """Judge the mean map, beside scores of the whole cohort that know nothing of it."""
        if not len(self.numbers):
            raise InputError("There is no map to be judged.")
        truth, asked = self.truth, self.asked
        mean = (self.total / len(self.inside)).astype(np.float32)
        null = draw_chance(
            *(
                mean,
                truth.support,
                truth.brain,
                asked.grid,
                asked.own_fwhm,
                asked.seed,
                CHANCE_DRAWS,
            )
        )
        fields = random_fields(
            gaussian_amplitude(asked.grid, null.fwhm), _RANDOM_MAPS, asked.seed + 1
        )
        random = [figures_of(np.abs(field), truth, asked.grid) for field in fields]
        own = {name: (v / n).astype(np.float32) for name, (n, v) in self.blind.items()}
        ready = {n: strength(v, asked.grid, asked.width_of(n)) for n, v in own.items()} | dict(
            controls
        )
        ceiling = truth.ceiling(asked.grid, asked.fwhm)
        return Judgement(
            found=found_of(
                figures_of(strength(mean, asked.grid, asked.own_fwhm), truth, asked.grid),
                self._draws(),
            ),
            chance_ap=truth.prevalence,
            chance_ap_95=upper(null.found),
            fwhm_mm=null.fwhm,
            ceiling=None if ceiling is None else found_of(ceiling),
            controls={"random": found_of(np.mean(random, axis=0))}
            | {n: found_of(figures_of(v, truth, asked.grid)) for n, v in ready.items()},
            subjects=len(self.numbers),
            networks=len({network for _, network in self.whose}),
            draws=asked.draws,
        )

    def _draws(self) -> NDArray[np.float64]:
        """Figures of the mean map over every resample, array (B, 11)."""
        asked, maps = self.asked, np.stack(self.inside)
        resamples = resample_both(len(self.numbers), len(asked.networks), asked.draws, asked.seed)
        weights = resamples.weights(*zip(*self.whose, strict=True))
        out = []
        for first in range(0, len(weights), _AT_ONCE):
            for row, values in enumerate(np.abs(weights[first : first + _AT_ONCE] @ maps)):
                score = np.zeros(asked.grid.shape, dtype=np.float32)
                score[self.truth.brain] = values
                if (first + row) % _PLACED_EVERY:
                    out.append(rank_figures_of(score, self.truth))
                else:
                    out.append(figures_of(score, self.truth, asked.grid))
        return np.stack(out)
