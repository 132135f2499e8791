"""How maps find a truth that is known, beside what finds it without a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["Found", "JudgedMap", "Judgement", "Judgements", "Measured", "StudyExplained"]


@dataclass(frozen=True)
class Measured:
    """A figure and its 95 % interval.

    Parameters
    ----------
    value : float
    low, high : float or None
        None where there is no interval.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Found:
    """How well something finds a truth; of single subjects, means over them.

    Parameters
    ----------
    average_precision, auroc, mass : Measured
        See `voxplain.trust.Localisation`.
    lift : Measured
        Average precision over the truth's share of the brain.
    rank_accuracy : Measured
        Share of the truth among as many top voxels as it has.
    max_f1 : Measured
        See `voxplain.trust.Places`, as for the following.
    box_overlap, box_found, pointed, centre_pointed : Measured or None
        The last three are shares of subjects, 0 or 1 for a group. None where not measured.
    distance_mm : Measured or None, mm
    """

    average_precision: Measured
    lift: Measured
    auroc: Measured
    rank_accuracy: Measured
    mass: Measured
    max_f1: Measured
    box_overlap: Measured | None = None
    box_found: Measured | None = None
    pointed: Measured | None = None
    centre_pointed: Measured | None = None
    distance_mm: Measured | None = None


@dataclass(frozen=True)
class Judgement:
    """How maps find a truth, and what that is to be held against.

    Parameters
    ----------
    found : Found
        With intervals over subjects, and over networks where there are several.
    chance_ap : float
        Average precision of a map without information: the truth's share of the brain.
    chance_ap_95 : float
        What 95 % of random maps as smooth and as one-sided stay below, each by itself.
    fwhm_mm : float, mm
        Smoothness of the map; of single subjects, the mean.
    ceiling : Found or None
        Of the true change itself, smoothed as the maps are; None where it is not known.
    controls : mapping of str to Found
        Of what knows nothing of the network, or of no training: ``edges``, ``image``,
        ``cohort-mean``, ``random``, ``untrained``, ``t-map-train`` and ``t-map-all``, as far as
        they were given.
    subjects, networks, draws : int
        Who was judged, by how many networks, and draws of the bootstrap.
    """

    found: Found
    chance_ap: float
    chance_ap_95: float
    fwhm_mm: float
    ceiling: Found | None
    controls: Mapping[str, Found]
    subjects: int
    networks: int
    draws: int


@dataclass(frozen=True)
class Judgements:
    """The mean map, and the maps of single subjects.

    Parameters
    ----------
    group : Judgement
        The mean map against the truth where all subjects lie.
    subjects : Judgement or None
        Each subject's map against the own truth; None where none is known.
    fwhm_mm : float, mm
        By which everything was smoothed before it was scored.
    """

    group: Judgement
    subjects: Judgement | None
    fwhm_mm: float = field(default=8.0)

    def of_several(self, repeats: int) -> Judgements:
        """Count the networks of maps that are each a mean over one of every repeat.

        Those of the first repeat are drawn for the intervals, each with the others of its maps.
        """
        group = replace(self.group, networks=self.group.networks * repeats)
        subjects = self.subjects and replace(
            self.subjects, networks=self.subjects.networks * repeats
        )
        return replace(self, group=group, subjects=subjects)


@dataclass(frozen=True)
class JudgedMap:
    """The maps of one method and target, held against the truth of a study.

    Parameters
    ----------
    label : str
        Of the method.
    target : str
    map : str
        File of the mean map, in the study.
    scans : int
    judgements : Judgements
    """

    label: str
    target: str
    map: str
    scans: int
    judgements: Judgements


@dataclass(frozen=True)
class StudyExplained:
    """What `voxplain explain STUDY` made.

    Parameters
    ----------
    record : mapping
        What ``explain.json`` holds of the call.
    judged : tuple of JudgedMap
        Empty where no truth is known.
    """

    record: Mapping[str, Any]
    judged: tuple[JudgedMap, ...] = ()
