"""Maps of single subjects held against their own truths."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from voxplain.results.judgement import Judgement
from voxplain.trust.fields import fwhm_of, gaussian_amplitude, random_fields
from voxplain.trust.truth.chance import draw_chance
from voxplain.trust.truth.figures import (
    CHANCE_DRAWS,
    Asked,
    KnownTruth,
    Numbers,
    SubjectMaps,
    figures_of,
    found_of,
    rank_figures_of,
    upper,
)
from voxplain.trust.truth.localisation import strength
from voxplain.trust.truth.resampling import resample_both
from voxplain.volume import smooth

__all__ = ["Singly"]

_CHANCE_SUBJECTS = 10
# Boxes, peaks and distances take longest: they are measured on so many subjects.
_PLACED_SUBJECTS = 24


class Singly:
    """Takes in one subject after the other, and holds figures alone.

    Parameters
    ----------
    asked : Asked
    controls : mapping of str to array (X, Y, Z)
        Scores of the whole cohort that know nothing of the network.
    """

    def __init__(self, asked: Asked, controls: Mapping[str, NDArray[np.float32]]) -> None:
        self.asked, self.controls = asked, controls
        # Drawn first, the networks are the same whatever the number of subjects.
        self.net_draws = resample_both(1, len(asked.networks), asked.draws, asked.seed).networks
        self.numbers, self.whose = Numbers(), list[int]()
        self.rows: list[NDArray[np.float64]] = []
        self.redrawn: list[NDArray[np.float64]] = []
        self.beside: dict[str, list[NDArray[np.float64]]] = {}
        self.chance: list[float] = []
        self.widths: list[float] = []
        self.prevalence: list[float] = []

    def take(self, one: SubjectMaps, blind: Mapping[str, NDArray[np.float32]]) -> None:
        """Score one subject's maps, and its maps that know nothing of the network."""
        own, grid, fwhm = one.own, self.asked.grid, self.asked.fwhm
        if own is None:
            return
        number = len(self.rows)
        self.whose.append(self.numbers.of(one.subject))
        placed, seed = number < _PLACED_SUBJECTS, self.asked.seed + number
        mean = np.mean(list(one.maps.values()), axis=0, dtype=np.float32)
        smoothed = smooth(mean, grid, self.asked.own_fwhm)
        self.rows.append(figures_of(np.abs(smoothed), own, grid, placed))
        self.redrawn.append(self._redraw(own, one.maps))
        self.prevalence.append(own.prevalence)
        self.widths.append(fwhm_of(smoothed, grid, own.brain))
        if number < _CHANCE_SUBJECTS:
            draws = CHANCE_DRAWS // _CHANCE_SUBJECTS
            self.chance += draw_chance(
                *(mean, own.support, own.brain, grid, self.asked.own_fwhm, seed, draws)
            ).found
        ceiling = own.ceiling(grid, fwhm, placed)
        if ceiling is not None:
            self.beside.setdefault("ceiling", []).append(ceiling)
        field = next(random_fields(gaussian_amplitude(grid, self.widths[-1]), 1, seed))
        ready = {"random": np.abs(field)}
        ready |= {n: strength(v, grid, self.asked.width_of(n)) for n, v in blind.items()}
        for name, score in (ready | dict(self.controls)).items():
            self.beside.setdefault(name, []).append(rank_figures_of(score, own))

    def _redraw(
        self, own: KnownTruth, maps: Mapping[str, NDArray[np.float32]]
    ) -> NDArray[np.float64]:
        """Score the mean over each draw of the networks, array (B', 11); NaN if none is drawn."""
        asked = self.asked
        columns = [asked.networks.index(name) for name in maps]
        smoothed = np.stack(
            [smooth(values, asked.grid, asked.own_fwhm) for values in maps.values()]
        )
        known: dict[tuple[float, ...], NDArray[np.float64]] = {}
        out = np.full((len(self.net_draws), len(self.rows[-1])), np.nan)
        for row, counts in enumerate(self.net_draws[:, columns]):
            if counts.sum() == 0:
                continue
            weights = (counts / counts.sum()).astype(np.float32)
            key = tuple(weights.round(6).tolist())
            if key not in known:
                score = np.abs(np.tensordot(weights, smoothed, axes=1))
                alone = len(columns) == 1
                known[key] = self.rows[-1] if alone else rank_figures_of(score, own)
            out[row] = known[key]
        return out

    def judgement(self) -> Judgement | None:
        """Judge the maps of all subjects; None where no own truth is known."""
        if not self.rows:
            return None
        asked, count = self.asked, len(self.numbers)
        resamples = resample_both(count, len(asked.networks), asked.draws, asked.seed)
        redrawn = np.stack(self.redrawn, axis=1)
        drawn = [
            _mean(redrawn[b // resamples.per_network], counts[self.whose])
            for b, counts in enumerate(resamples.subjects)
        ]
        beside = {name: found_of(_mean(np.stack(rows))) for name, rows in self.beside.items()}
        return Judgement(
            found=found_of(_mean(np.stack(self.rows)), np.stack(drawn)),
            chance_ap=float(np.mean(self.prevalence)),
            chance_ap_95=upper(self.chance),
            fwhm_mm=float(np.mean(self.widths)),
            ceiling=beside.pop("ceiling", None),
            controls=beside,
            subjects=count,
            networks=len(asked.networks),
            draws=asked.draws,
        )


def _mean(
    rows: NDArray[np.float64], counts: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Average figures over subjects, array (11,), those that are not known left out."""
    known = np.isfinite(rows)
    weights = known * (1.0 if counts is None else counts[:, None])
    total = weights.sum(axis=0)
    summed = (np.where(known, rows, 0.0) * weights).sum(axis=0)
    out: NDArray[np.float64] = np.full(len(total), np.nan)
    np.divide(summed, total, out=out, where=total > 0)
    return out
