"""How large an effect is in clusters and regions, and in how many subjects it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxplain.group.design import Design
from voxplain.group.prevalence import Prevalence, prevalence

__all__ = ["Effect", "effects"]

_TOGETHER = 100
_DRAWS = 2000
_ALPHA = 0.05
_FEWEST_OTHERS = 19
_ENDS = (2.5, 97.5)
_SINGULAR = 1e-10


@dataclass(frozen=True)
class Effect:
    """The effect on the mean of some voxels.

    Parameters
    ----------
    value : float
        In the unit of the maps.
    low, high : float
        95 % interval, by a bootstrap over units such as families.
    prevalence : Prevalence or None
        In how many it shows; None for the slope of a number, and where too few are compared with.
    """

    value: float
    low: float
    high: float
    prevalence: Prevalence | None


def effects(
    values: NDArray[np.float64],
    design: Design,
    units: Sequence[NDArray[np.int64]],
    seed: int = 0,
) -> list[Effect]:
    """Estimate the effect of a design on means of voxels.

    Units that share an effect, such as families, are drawn together, with replacement, 2000 times;
    draws in which the design cannot be fitted are left out.

    Of a mean, a unit shows the effect where its value has the sign of the mean, as it would by
    chance in half of the units. Of a difference of two levels, where its value lies beyond all but
    5 % of the units of the other level. Covariates are taken out first. The interval of the
    prevalence is the wider of that of Ince et al. (2021), which knows all shares, and that of the
    bootstrap, which knows that all are compared with the same others.

    Parameters
    ----------
    values : array (N, C)
        The mean of each map in each set of voxels.
    design : Design
    units : sequence of array
        Rows that share an effect, each row once.
    seed : int

    Returns
    -------
    list of Effect
    """
    drawn = _draws(len(units), seed)
    fitted = _fit(values, design, np.ones((1, len(values))), np.arange(len(values)))[0]
    unit_of = np.empty(len(values), dtype=np.int64)
    for number, rows in enumerate(units):
        unit_of[rows] = number
    again = _fit(values, design, drawn, unit_of)
    found = np.nanpercentile(again, _ENDS, axis=0)
    shows = _Shows(_adjusted(values, design), design, unit_of)
    out = []
    for column in range(values.shape[1]):
        value = float(fitted[column])
        share = shows.prevalence(column, 1 if value >= 0 else -1, drawn)
        out.append(Effect(value, float(found[0, column]), float(found[1, column]), share))
    return out


def _draws(units: int, seed: int) -> NDArray[np.uint8]:
    """Draw units with replacement; array (B, units) of how often each came.

    A unit that comes 256 times of itself is a chance of 1 in 10^500.
    """
    rng, out = np.random.default_rng(seed), np.empty((_DRAWS, units), dtype=np.uint8)
    for start in range(0, _DRAWS, _TOGETHER):
        some = out[start : start + _TOGETHER]
        some[:] = rng.multinomial(units, np.full(units, 1 / units), len(some))
    return out


def _fit(
    values: NDArray[np.float64],
    design: Design,
    weights: NDArray[np.number],
    unit_of: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Estimate the contrast with weights of units, array (B, C); NaN where it cannot be."""
    x = design.matrix / np.linalg.norm(design.matrix, axis=0)
    contrast = design.contrast / np.linalg.norm(design.matrix, axis=0)
    out = np.full((len(weights), values.shape[1]), np.nan)
    for number, each in enumerate(weights):
        weight = each[unit_of].astype(np.float64)
        gram = x.T @ (weight[:, None] * x)
        ends = np.linalg.eigvalsh(gram)
        if ends[0] > _SINGULAR * ends[-1]:
            out[number] = contrast @ np.linalg.solve(gram, x.T @ (weight[:, None] * values))
    return out


def _adjusted(values: NDArray[np.float64], design: Design) -> NDArray[np.float64]:
    """Take out what covariates explain, and leave the mean and what is tested."""
    estimates = np.linalg.lstsq(design.matrix, values, rcond=None)[0]
    covariates = design.contrast == 0
    covariates[0] = False
    found: NDArray[np.float64] = values - design.matrix[:, covariates] @ estimates[covariates]
    return found


class _Shows:
    """Which units show an effect, and how many that is in each draw of units.

    A unit that has scans of both levels is one of each.
    """

    def __init__(
        self, values: NDArray[np.float64], design: Design, unit_of: NDArray[np.int64]
    ) -> None:
        self.flips = design.flips
        tested = np.round(design.matrix @ design.contrast, 8)
        levels = np.unique(tested)
        self.known = self.flips or (" - " in design.effect and len(levels) in (2, 3))
        side = np.zeros(len(values), dtype=np.int64)
        if not self.flips:
            side = np.where(tested == levels[-1], 1, np.where(tested == levels[0], 0, -1))
        self.means, self.units = [], []
        for level in (0, 1):
            rows = side == level
            numbers = np.unique(unit_of[rows])
            each = [values[rows & (unit_of == number)].mean(axis=0) for number in numbers]
            self.means.append(np.array(each).reshape(len(numbers), values.shape[1]))
            self.units.append(numbers)

    def prevalence(self, column: int, sign: int, drawn: NDArray[np.uint8]) -> Prevalence | None:
        """Tell in how many units a column shows an effect of a sign."""
        if self.flips:
            own = sign * self.means[0][:, column]
            return prevalence(int((own > 0).sum()), len(own), 0.5)
        if not self.known or len(self.means[0]) < _FEWEST_OTHERS:
            return None
        own, others = (sign * self.means[level][:, column] for level in (1, 0))
        order = np.argsort(others)
        # Of the others in this order, those from this one on reach each unit's own value.
        first = np.searchsorted(others[order], own)
        shown = (1 + len(others) - first) / (1 + len(others)) <= _ALPHA + 1e-9
        found = prevalence(int(shown.sum()), len(own), _ALPHA)
        shares = []
        for start in range(0, len(drawn), _TOGETHER):
            some = drawn[start : start + _TOGETHER]
            mine, theirs = some[:, self.units[1]], some[:, self.units[0][order]]
            before = np.zeros((len(some), 1 + len(others)), dtype=np.int64)
            before[:, 1:] = theirs.cumsum(axis=1, dtype=np.int64)
            every = before[:, -1:]
            beyond = (1 + every - before[:, first]) / (1 + every)
            hits = (mine * (beyond <= _ALPHA + 1e-9)).sum(axis=1, dtype=np.int64)
            counted = mine.sum(axis=1, dtype=np.int64)
            shares.append(hits[counted > 0] / counted[counted > 0])
        share = np.concatenate(shares)
        low, high = np.percentile(np.maximum((share - _ALPHA) / (1 - _ALPHA), 0), _ENDS)
        return Prevalence(
            found.shown, found.of, _ALPHA, found.value,
            min(found.low, float(low)), max(found.high, float(high)),
        )  # fmt: skip
