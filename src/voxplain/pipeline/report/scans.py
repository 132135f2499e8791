"""Single scans of a study: what was predicted, what is odd, and which to look at first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from voxplain.pipeline.report.scenery import Place
from voxplain.results.study import ScanFound
from voxplain.study import Study

__all__ = ["Profiles", "judge_scans", "read_profiles"]

_ODD, _FAR = 3.5, 2.5
_SHOWN = 6
_FEWEST = 8
_SD = 1.4826


@dataclass(eq=False)
class Profiles:
    """The maps of one method and target, by region and scan.

    Parameters
    ----------
    scans : list of str
    means : array (N, R)
        Mean of each scan's map in each region.
    likeness : array (N,)
        Correlation of each map with the mean of the others.
    names : list of str
        Of the regions; empty without an atlas.
    """

    scans: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    means: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    likeness: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def intervals(self) -> dict[str, tuple[float, float]]:
        """Give the 95 % interval of each region's mean over scans, by Student's t."""
        count = len(self.scans)
        if count < 2 or not self.names:
            return {}
        centre = self.means.mean(axis=0)
        half = stats.t.ppf(0.975, count - 1) * self.means.std(axis=0, ddof=1) / np.sqrt(count)
        ends = zip((centre - half).tolist(), (centre + half).tolist(), strict=True)
        return dict(zip(self.names, ends, strict=True))

    def furthest(self, position: int) -> tuple[tuple[str, float, float], ...]:
        """Name the regions in which a scan is furthest from the others, in their deviations."""
        if len(self.scans) < _FEWEST or not self.names:
            return ()
        others = np.delete(self.means, position, axis=0)
        spread = others.std(axis=0, ddof=1)
        own = self.means[position]
        away = np.divide(
            own - others.mean(axis=0), spread, where=spread > 0, out=np.zeros_like(own)
        )
        order = np.argsort(-np.abs(away), kind="stable")[:_SHOWN]
        return tuple((self.names[i], float(own[i]), float(away[i])) for i in order)


def read_profiles(
    study: Study,
    paths: Sequence[tuple[str, Path]],
    mean: NDArray[np.float32],
    place: Place,
    advance: Callable[[], None],
) -> Profiles:
    """Read the maps of one method and target, one by one.

    Parameters
    ----------
    study : Study
    paths : sequence of (str, path)
        Scan and file.
    mean : array (X, Y, Z)
        Their mean map.
    place : Place
    advance : callable
        Called after each map.
    """
    inside = place.brain
    names, rows, counts = _regions(place)
    total, count = mean[inside].astype(np.float64) * len(paths), len(paths)
    out = Profiles([scan for scan, _ in paths], names)
    means, likeness = [], []
    for _, path in paths:
        values = study.load_map(path).values[inside].astype(np.float64)
        if names:
            means.append(np.bincount(rows, weights=values, minlength=len(names) + 1)[1:] / counts)
        others = (total - values) / max(count - 1, 1)
        alike = values.std() > 0 and others.std() > 0 and count > 1
        likeness.append(float(np.corrcoef(values, others)[0, 1]) if alike else np.nan)
        advance()
    out.means = np.array(means) if means else np.zeros((count, 0))
    out.likeness = np.array(likeness)
    return out


def _regions(place: Place) -> tuple[list[str], NDArray[np.int64], NDArray[np.float64]]:
    """Count from 1 the regions that have a voxel in the brain."""
    if place.atlas is None:
        return [], np.zeros(0, dtype=np.int64), np.zeros(0)
    labels = place.atlas.labels[place.brain]
    present = [label for label in np.unique(labels).tolist() if label in place.atlas.names]
    lookup = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    lookup[present] = np.arange(1, len(present) + 1)
    rows = lookup[np.maximum(labels, 0)]
    counts = np.bincount(rows, minlength=len(present) + 1)[1:].astype(np.float64)
    return [place.atlas.names[label] for label in present], rows, counts


def judge_scans(
    predicted: Mapping[str, ScanFound],
    profiles: Sequence[Profiles],
    odd: Mapping[str, str],
    numbers: bool = False,
) -> tuple[ScanFound, ...]:
    """Say of each scan what is odd about it, those to look at first in front.

    Parameters
    ----------
    predicted : mapping of str to ScanFound
        All scans.
    profiles : sequence of Profiles
        Of one method, for each target.
    odd : mapping of str to str
        Scans that stand out in quality, and why.
    numbers : bool, default=False
        Whether numbers were predicted, not classes.
    """
    missed = _missed(predicted) if numbers else {}
    places = {scan: (one, position) for one in profiles for position, scan in enumerate(one.scans)}
    z_of = {id(one): _robust(one.likeness) for one in profiles}
    judged = []
    for name, scan in predicted.items():
        told: dict[str, Any] = {"quality": odd.get(name, "")}
        far = missed.get(name, 0.0)
        if name in places:
            one, position = places[name]
            likeness, z = float(one.likeness[position]), float(z_of[id(one)][position])
            told["likeness"] = likeness if np.isfinite(likeness) else None
            told["likeness_z"] = z if np.isfinite(z) else None
            told["regions"] = one.furthest(position)
        judged.append(_with_reasons(scan, told, far))
    judged.sort(key=lambda one: (-one.urgency, one.name))
    return tuple(judged)


def _missed(predicted: Mapping[str, ScanFound]) -> dict[str, float]:
    """Give, for each scan, how far its error is beyond the usual, in robust deviations."""
    known = {name: scan for name, scan in predicted.items() if scan.predicted}
    errors = [abs(float(scan.predicted) - float(scan.truth)) for scan in known.values()]
    return dict(zip(known, _robust(np.array(errors)).tolist(), strict=True))


def _with_reasons(scan: ScanFound, told: dict[str, Any], missed: float) -> ScanFound:
    reasons, urgency = [], 0.0
    if missed > _FAR:
        reasons.append(f"predicted {scan.predicted} for {scan.truth}, far from it")
        urgency += 1 + min(missed / _ODD, 2.0)
    if scan.sure is not None and scan.predicted != scan.truth:
        reasons.append(f"wrong, and {100 * scan.sure:.0f} % sure")
        urgency += 1 + 2 * scan.sure
    if told["quality"]:
        what = told["quality"].replace(" (", ", ").replace(")", "")
        reasons.append(f"stands out among the scans ({what})")
        urgency += 1.5
    z = told.get("likeness_z")
    if z is not None and z < -_FAR:
        r = f"{told['likeness']:.2f}".replace("-", "−")
        reasons.append(f"its map is unlike those of its class (r {r})")
        urgency += min(-z / _ODD, 2.0)
    return replace(scan, **told, reasons=tuple(reasons), urgency=urgency)


def _robust(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Express values in robust standard deviations from their median."""
    known = values[np.isfinite(values)]
    if len(known) < _FEWEST:
        return np.full(values.shape, np.nan)
    middle = np.median(known)
    spread = _SD * np.median(np.abs(known - middle))
    return (values - middle) / spread if spread > 0 else np.full(values.shape, np.nan)
