"""How maps find a truth that is known, agree with each other, and fall into regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "AgreementPair",
    "AgreementResult",
    "ControlResult",
    "MethodResult",
    "RegionRanks",
    "RegionRow",
    "RegionsResult",
]


@dataclass(frozen=True)
class MethodResult:
    """Every figure of one method.

    Parameters
    ----------
    label, citation, unit, sign : str
        See `voxplain.attribution.method.MethodInfo`.
    complete : bool
    passes : int or str
    options : mapping
    subjects : int
        Who was explained.
    subject_ap : float
        Average precision of a subject's map against the own truth, mean over subjects.
    subject_ap_ci : tuple of 2 floats
    subject_ap_by_class : mapping of str to float
    group_class : str
        The class whose mean map the following four are of.
    group_ap, auroc, dice, mass : float
        See `voxplain.trust.Localisation`.
    group_ap_raw : float
        Of the map as it is, unsmoothed.
    group_ap_by_class : mapping of str to float
    group_subjects : mapping of str to int
        Who is in the mean map of each class.
    group_fwhm_mm : float, mm
        Smoothness of the group map.
    chance_ap_95 : float
        What 95 % of random maps as smooth and as one-sided stay below.
    one_sided : bool
        Whether the map has no negative side.
    seconds_per_subject : float
    better_than_chance, beats_edges, beats_t_map : bool
    verdict : str
        In a sentence.
    """

    label: str
    citation: str
    unit: str
    sign: str
    complete: bool
    passes: int | str
    options: Mapping[str, Any]
    subjects: int
    subject_ap: float
    subject_ap_ci: tuple[float, float]
    subject_ap_by_class: Mapping[str, float]
    group_class: str
    group_ap: float
    auroc: float
    dice: float
    mass: float
    group_ap_raw: float
    group_ap_by_class: Mapping[str, float]
    group_subjects: Mapping[str, int]
    group_fwhm_mm: float
    chance_ap_95: float
    one_sided: bool
    seconds_per_subject: float
    better_than_chance: bool
    beats_edges: bool
    beats_t_map: bool
    verdict: str


@dataclass(frozen=True)
class ControlResult:
    """How a map that knows nothing of the network finds the truth.

    Parameters
    ----------
    group_ap, auroc, dice, mass : float
        See `voxplain.trust.Localisation`.
    label : str
    """

    group_ap: float
    auroc: float
    dice: float
    mass: float
    label: str


@dataclass(frozen=True)
class AgreementPair:
    """How far the group maps of two methods agree; see `voxplain.trust.Agreement`."""

    a: str
    b: str
    dice: float
    dice_chance: float
    dice_surrogates: float
    dice_95: float
    spearman: float
    spearman_95: float
    draws: int


@dataclass(frozen=True)
class AgreementResult:
    """How far methods agree, pair by pair.

    Parameters
    ----------
    fraction : float
        Share of the brain that counts as a map's top.
    class_name : str
        Whose group maps are compared.
    pairs : tuple of AgreementPair
    """

    fraction: float
    class_name: str
    pairs: tuple[AgreementPair, ...]


@dataclass(frozen=True)
class RegionRow:
    """One region of a map; see `voxplain.group.region_table`.

    Parameters
    ----------
    region : str
    mean, peak, share, density : float
    rank : int
    affected : bool
        Whether the effect was planted in it.
    """

    region: str
    mean: float
    peak: float
    share: float
    density: float
    rank: int
    affected: bool


@dataclass(frozen=True)
class RegionRanks:
    """The regions of one group map.

    Parameters
    ----------
    top : tuple of RegionRow
        The first ones.
    affected_ranks : mapping of str to int or None
        Of the regions with the effect; None where the map is zero.
    n_regions : int
        That have a voxel in the brain.
    """

    top: tuple[RegionRow, ...]
    affected_ranks: Mapping[str, int | None]
    n_regions: int


@dataclass(frozen=True)
class RegionsResult:
    """The group maps summed up by regions.

    Parameters
    ----------
    atlas : str
    affected : tuple of str
        Regions with the effect.
    methods : mapping of str to mapping of str to RegionRanks
        By method and class.
    """

    atlas: str
    affected: tuple[str, ...]
    methods: Mapping[str, Mapping[str, RegionRanks]]
