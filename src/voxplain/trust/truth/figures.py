"""All measures of one score against one truth, and what a judgement is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.results.judgement import Found, Measured
from voxplain.trust.ranks import brain_mask, inside, rank_scores
from voxplain.trust.truth.controls import EDGE_SIGMA_MM, edge_filter
from voxplain.trust.truth.localisation import strength, truth_inside
from voxplain.trust.truth.places import find_places
from voxplain.trust.truth.resampling import interval_about

__all__ = [
    "CHANCE_DRAWS",
    "FIGURES",
    "UNTRAINED",
    "Asked",
    "KnownTruth",
    "Numbers",
    "SubjectMaps",
    "blind_maps",
    "figures_of",
    "found_of",
    "rank_figures_of",
    "upper",
]

CHANCE_DRAWS = 200
"""Random maps that make a chance level."""

UNTRAINED = "untrained"
"""Name of the maps of networks that were not trained."""

FIGURES: Final = tuple(one.name for one in fields(Found))
"""Names of the measures, in the order of `figures_of`."""

_UNBOUNDED = ("lift", "distance_mm")
_BY_RANK = 6


@dataclass(frozen=True, eq=False)
class KnownTruth:
    """Where an effect acts, and what it changes.

    Parameters
    ----------
    support, brain : array (X, Y, Z), bool
    change : array (X, Y, Z), optional
        What the effect changes in the images: for a group, its mean; for a subject, the image less
        the same image without the effect. The ceiling is made of it.
    """

    support: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    change: NDArray[np.float32] | None = None

    @property
    def prevalence(self) -> float:
        """Share of the brain that the truth fills."""
        return float(self.support[self.brain].mean())

    def ceiling(self, grid: Grid, fwhm: float, placed: bool = True) -> NDArray[np.float64] | None:
        """Measure the change itself, array (11,); None where none is known."""
        if self.change is None or not np.any(self.change[self.brain]):
            return None
        return figures_of(strength(self.change, grid, fwhm), self, grid, placed)


@dataclass(frozen=True, eq=False)
class SubjectMaps:
    """The maps of one subject, and what stands beside them.

    Parameters
    ----------
    maps : mapping of str to array (X, Y, Z)
        Signed, by network; one network may be named ``""``.
    image : array (X, Y, Z)
        The scan that was explained.
    own : KnownTruth, optional
        In the subject's own anatomy.
    beside : mapping of str to array (X, Y, Z), optional
        Signed maps of this subject that know nothing of what the network learnt: ``untrained``,
        which an untrained network gave, ``t-map-train`` of the scans that its network learnt from.
    subject : str, default=""
        Whose maps: several scans of one participant are drawn together. Each counts for itself
        where it is empty.
    """

    maps: Mapping[str, NDArray[np.float32]]
    image: NDArray[np.float32]
    own: KnownTruth | None = None
    beside: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    subject: str = ""


@dataclass(frozen=True)
class Asked:
    """How maps are judged; see `voxplain.trust.judge`.

    Parameters
    ----------
    grid : Grid
    networks : tuple of str
    fwhm : float, mm
        By which the ceiling and controls are smoothed.
    own_fwhm : float, mm
        By which the maps are: the same, or 0 where they are smooth already.
    seed, draws : int
    """

    grid: Grid
    networks: tuple[str, ...]
    fwhm: float
    own_fwhm: float
    seed: int
    draws: int

    def width_of(self, control: str) -> float:
        """Return by how many mm a control is smoothed; maps of untrained networks as the maps."""
        return self.own_fwhm if control == UNTRAINED else self.fwhm

    def require_known(self, one: SubjectMaps) -> None:
        """Refuse a subject without maps, or with those of a network that was not named."""
        unknown = sorted(set(one.maps) - set(self.networks))
        if unknown or not one.maps:
            raise InputError(
                f"A subject's maps must be of the networks {', '.join(map(repr, self.networks))}; "
                f"{', '.join(map(repr, unknown)) or 'no map'} was given."
            )


def blind_maps(one: SubjectMaps, grid: Grid) -> dict[str, NDArray[np.float32]]:
    """Make the maps of one subject that know nothing of what the network learnt."""
    edges = edge_filter(one.image, grid, EDGE_SIGMA_MM)
    return {"edges": edges, "image": np.abs(one.image), **one.beside}


class Numbers:
    """Subjects numbered as they come."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._nameless = 0

    def __len__(self) -> int:
        return len(self._known) + self._nameless

    def of(self, subject: str) -> int:
        """Return a subject's number, a new one for a subject without a name."""
        if not subject:
            self._nameless += 1
            return len(self) - 1
        return self._known.setdefault(subject, len(self))


def upper(found: Sequence[float]) -> float:
    """Find what 95 % stay below."""
    return float(np.quantile(found, 0.95, method="higher"))


def rank_figures_of(score: NDArray[np.float32], truth: KnownTruth) -> NDArray[np.float64]:
    """Measure a score by the order of its voxels alone, array (11,), NaN for all else."""
    mask = brain_mask(truth.brain)
    inner = truth_inside(truth.support, mask)
    ranks = rank_scores(inside(score, mask, "The score").astype(score.dtype), inner)
    lift = ranks.average_precision / float(inner.mean())
    out = np.full(len(FIGURES), np.nan)
    out[:_BY_RANK] = (ranks.average_precision, lift, *ranks[1:])
    return out


def figures_of(
    score: NDArray[np.float32], truth: KnownTruth, grid: Grid, placed: bool = True
) -> NDArray[np.float64]:
    """Measure a score in all ways, array (11,), in the order of `FIGURES`.

    Parameters
    ----------
    score : array (X, Y, Z)
        Zero or more.
    truth : KnownTruth
    grid : Grid
    placed : bool, default=True
        Whether boxes, peaks and distances are measured, which takes longest.
    """
    out = rank_figures_of(score, truth)
    if placed:
        found = find_places(score, truth.support, truth.brain, grid)
        out[_BY_RANK:] = [getattr(found, name) for name in FIGURES[_BY_RANK:]]
    return out


def found_of(values: NDArray[np.float64], draws: NDArray[np.float64] | None = None) -> Found:
    """Give figures their names, and intervals where there are draws.

    Parameters
    ----------
    values : array (11,)
    draws : array (B, 11), optional
        Of the bootstrap; NaN where a draw was not measured.
    """
    told: dict[str, Measured | None] = {}
    for column, name in enumerate(FIGURES):
        value = float(values[column])
        if not np.isfinite(value):
            told[name] = None
            continue
        drawn = np.zeros(0) if draws is None else draws[np.isfinite(draws[:, column]), column]
        if len(drawn) < 2:
            told[name] = Measured(value)
            continue
        low, high = interval_about(value, drawn)
        top = np.inf if name in _UNBOUNDED else 1.0
        told[name] = Measured(value, max(low, 0.0), min(high, top))
    return Found(**told)  # type: ignore[arg-type]
