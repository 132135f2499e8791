"""Peaks and regions of a mean map, as tables and pages show them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Peak", "RegionList", "RegionValue"]


@dataclass(frozen=True)
class Peak:
    """A local maximum of a map's magnitude.

    Parameters
    ----------
    place : tuple of 3 floats, mm
    value : float
    region : str
        Empty where no atlas was laid on.
    """

    place: tuple[float, float, float]
    value: float
    region: str = ""


@dataclass(frozen=True)
class RegionValue:
    """A region of a mean map, and how it varies over participants.

    Parameters
    ----------
    region : str
    mean : float
        Of the mean map in the region.
    peak : float
    density : float
        Mean magnitude in the region over that in the brain.
    rank : int
        By density.
    low, high : float or None
        95 % interval of the mean over participants.
    share : float or None
        Of the summed magnitudes in the brain.
    place : tuple of 3 floats, mm, or None
        Where the peak lies.
    ranks : (int, int) or None
        95 % interval of the rank over participants.
    """

    region: str
    mean: float
    peak: float
    density: float
    rank: int
    low: float | None = None
    high: float | None = None
    share: float | None = None
    place: tuple[float, float, float] | None = None
    ranks: tuple[int, int] | None = None


@dataclass(frozen=True)
class RegionList:
    """The densest regions of a mean map.

    Parameters
    ----------
    label, target : str
        Of the map: its method, as it is shown, and class.
    atlas : str
    values : tuple of RegionValue
        Densest first.
    file : str
        Of the table with all regions; empty where there is none.
    """

    label: str
    target: str
    atlas: str
    values: tuple[RegionValue, ...]
    file: str = ""
