"""All that a study holds, as its report shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voxplain.results.fit import FitResult
from voxplain.results.judgement import JudgedMap
from voxplain.results.reclassify import ReclassifyResult
from voxplain.results.regions import Peak, RegionList
from voxplain.results.trust import TrustResult

__all__ = [
    "CohortFound",
    "GroupTest",
    "MeanMap",
    "MethodTold",
    "RemovalCurve",
    "ScanFound",
    "StudyFound",
]


@dataclass(frozen=True)
class MethodTold:
    """What the registry says of a method.

    Parameters
    ----------
    name, label, citation, unit, sign : str
    options : mapping
        With which the study's maps were made.
    """

    name: str
    label: str
    citation: str = ""
    unit: str = ""
    sign: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MeanMap:
    """A mean map of a study.

    Parameters
    ----------
    method, label, target : str
    scans : int
    file : str
        In the study.
    unit, network, rule : str
    tables : tuple of (str, str)
        Atlases by whose regions it was summed up, and the file of each table.
    """

    method: str
    label: str
    target: str
    scans: int
    file: str
    unit: str
    network: str = ""
    rule: str = ""
    tables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class GroupTest:
    """A test of maps over participants.

    Parameters
    ----------
    start : str
        With which the names of its files in the study begin.
    label, target : str
    told : mapping
        What ``group.json`` says of it.
    request : mapping
        What was asked for.
    regions : tuple of mapping
        Rows of its table of regions, best first.
    """

    start: str
    label: str
    target: str
    told: Mapping[str, Any]
    request: Mapping[str, Any]
    regions: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class RemovalCurve:
    """What the score loses, or gains, as the voxels that maps rank highest go, or come.

    Parameters
    ----------
    label : str
        Of the method.
    kind : str
        ``"deletion"`` or ``"insertion"``.
    shares : tuple of float
        Of the brain's voxels.
    own, random, random_95 : tuple of float, logit
        At each share, of the method's maps, and the median and 95th percentile of random maps.
    """

    label: str
    kind: str
    shares: tuple[float, ...]
    own: tuple[float, ...]
    random: tuple[float, ...]
    random_95: tuple[float, ...]


@dataclass(frozen=True)
class ScanFound:
    """A single scan: what was predicted of it, and what is odd about it.

    Parameters
    ----------
    name : str
        With ``sub-``.
    truth, predicted : str
        Empty where nothing was predicted.
    sure : float or None
        Probability of the predicted class.
    fold : str
    quality : str
        Why it stands out among the scans; empty where it does not.
    likeness : float or None
        Correlation of its map with the mean map of the others of its class.
    likeness_z : float or None
        The same in robust standard deviations from the median.
    regions : tuple of (str, float, float)
        Regions in which its map is furthest from that of the others: name, its mean, and how many
        of their standard deviations it is away.
    urgency : float
        The higher, the sooner one should look; 0 for what is ordinary.
    reasons : tuple of str
    """

    name: str
    truth: str = ""
    predicted: str = ""
    sure: float | None = None
    fold: str = ""
    quality: str = ""
    likeness: float | None = None
    likeness_z: float | None = None
    regions: tuple[tuple[str, float, float], ...] = ()
    urgency: float = 0.0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class CohortFound:
    """Who takes part.

    Parameters
    ----------
    scans : int
    classes : mapping of str to int
        Scans of each class.
    grid : str
    recipe : str
        How the scans were prepared, or made, in words.
    told : mapping
        What ``cohort.json`` says; empty for a phantom.
    exclusions : tuple of (str, str, str)
        Participant, what was found, and the reason.
    folds : tuple of (str, tuple of int)
        Each fold with its scans of each class.
    """

    scans: int
    classes: Mapping[str, int]
    grid: str
    recipe: str
    told: Mapping[str, Any] = field(default_factory=dict)
    exclusions: tuple[tuple[str, str, str], ...] = ()
    folds: tuple[tuple[str, tuple[int, ...]], ...] = ()


@dataclass(frozen=True)
class StudyFound:
    """All that a study holds.

    Parameters
    ----------
    name : str
        Of its folder.
    path : str
        As commands name it.
    cohort : CohortFound or None
    fit : FitResult or None
    explain : mapping
        What ``explain.json`` says; empty where nothing was explained.
    means : tuple of MeanMap
    methods : mapping of str to MethodTold
    judged : tuple of JudgedMap
        Where the truth is known.
    tests : tuple of GroupTest
    regions : tuple of RegionList
        Those of the report's own atlas first.
    peaks : mapping of str to tuple of Peak
        By file of the mean map.
    atlas : str
        Of regions and peaks; empty for none.
    off_cortex : str
        Why maps were not laid on the cortex; empty where they were.
    reclassify : ReclassifyResult or None
    features : mapping
        The part ``features`` of ``summary.json``; empty where there is none.
    trust : TrustResult or None
    scans : tuple of ScanFound
        Those to look at first come first.
    pages : tuple of (str, str)
        What separate pages there are: words, and the file.
    versions : mapping of str to str
    remarks : tuple of str
        What could not be shown, and why.
    beside : str
        Folder that holds the study, from which commands name what lies in it.
    """

    name: str
    path: str
    cohort: CohortFound | None = None
    fit: FitResult | None = None
    explain: Mapping[str, Any] = field(default_factory=dict)
    means: tuple[MeanMap, ...] = ()
    methods: Mapping[str, MethodTold] = field(default_factory=dict)
    judged: tuple[JudgedMap, ...] = ()
    tests: tuple[GroupTest, ...] = ()
    regions: tuple[RegionList, ...] = ()
    peaks: Mapping[str, tuple[Peak, ...]] = field(default_factory=dict)
    atlas: str = ""
    off_cortex: str = ""
    reclassify: ReclassifyResult | None = None
    features: Mapping[str, Any] = field(default_factory=dict)
    trust: TrustResult | None = None
    scans: tuple[ScanFound, ...] = ()
    pages: tuple[tuple[str, str], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    beside: str = ""
