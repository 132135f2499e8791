"""Which scans of a cohort look unlike the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import median_abs_deviation

from voxplain.volume import Cohort

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Quality", "measure_quality"]

_LIMIT = 3.5
_BINS = 64
_SAMPLED = 20_000
_RIM_MM = 6.0


@dataclass(frozen=True, eq=False)
class Quality:
    """Measurements of each scan of a cohort, in its order.

    Parameters
    ----------
    table : pandas.DataFrame
        ``participant_id``, ``brain_ml`` (where the cohort has it), ``mean`` (intensity
        within the brain, 6 mm from its rim), ``correlation`` (with the mean of the other scans) and
        ``outlier``: why the scan stands out, or ``""``.
    edges : array (bins + 1,)
        Limits of the histogram's bins, in the cohort's unit.
    histograms : array (N, bins)
        Density of each scan's intensities within the brain, 6 mm from its rim.
    mean : array (X, Y, Z), float32
        Of all scans.
    """

    table: pd.DataFrame
    edges: NDArray[np.float64]
    histograms: NDArray[np.float64]
    mean: NDArray[np.float32]

    @property
    def outliers(self) -> list[int]:
        """Positions of the scans that stand out."""
        return np.flatnonzero(self.table["outlier"].to_numpy() != "").tolist()


def measure_quality(cohort: Cohort) -> Quality:
    """Measure every scan, two passes over the cohort, one scan in memory at a time.

    A scan stands out where a measurement lies more than 3.5 robust standard deviations from the
    cohort's median: brain volume and mean intensity to either side, correlation below (Iglewicz
    and Hoaglin 1993, How to detect and handle outliers; deviations by the median absolute one).

    Parameters
    ----------
    cohort : Cohort

    Returns
    -------
    Quality
    """
    import pandas as pd

    count = len(cohort)
    total = np.zeros(cohort.grid.shape, dtype=np.float64)
    samples = []
    rng = np.random.default_rng(0)
    rim = max(1, round(_RIM_MM / min(cohort.grid.voxel_size)))
    for i in range(count):
        values = cohort.load(i)
        total += values
        inside = _inner(values, rim)
        samples.append(rng.choice(inside, max(1, _SAMPLED // count)) if inside.size else inside)
    edges = np.histogram_bin_edges(_within(np.concatenate(samples)), bins=_BINS)
    rows, histograms = [], np.zeros((count, _BINS))
    for i in range(count):
        values = cohort.load(i)
        inside = _inner(values, rim)
        others = total - values
        rows.append(
            {
                "participant_id": f"sub-{cohort.subjects[i]}",
                "mean": float(inside.mean()) if inside.size else 0.0,
                "correlation": _correlation(values, others),
            }
        )
        counts, _ = np.histogram(inside, edges)
        histograms[i] = counts / max(1, inside.size) / np.diff(edges)
    table = pd.DataFrame(rows)
    if "brain_ml" in cohort.participants:
        table.insert(1, "brain_ml", cohort.participants["brain_ml"].to_numpy(dtype=float))
    table["outlier"] = _outliers(table)
    return Quality(table, edges, histograms, (total / count).astype(np.float32))


def _inner(values: NDArray[np.float32], rim: int) -> NDArray[np.float32]:
    """Take the voxels of a brain without those at its rim, which hold part of the background."""
    from scipy.ndimage import binary_erosion

    inside = values != 0
    inner = binary_erosion(inside, iterations=rim)
    kept: NDArray[np.float32] = values[inner if inner.any() else inside]
    return kept


def _within(values: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.percentile(values, [0.2, 99.8])
    kept: NDArray[np.float32] = values[(values >= low) & (values <= high)]
    return kept


def _correlation(a: NDArray[np.float32], b: NDArray[np.float64]) -> float:
    x, y = a.ravel().astype(np.float64), b.ravel()
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale else 0.0


def _outliers(table: pd.DataFrame) -> list[str]:
    reasons: list[list[str]] = [[] for _ in range(len(table))]
    for name, words, sides in (
        ("brain_ml", "brain volume", (-1, 1)),
        ("mean", "mean intensity", (-1, 1)),
        ("correlation", "correlation with the other scans", (-1,)),
    ):
        if name not in table:
            continue
        values = table[name].to_numpy(dtype=np.float64)
        for i, z in enumerate(_robust_z(values)):
            if abs(z) > _LIMIT and np.sign(z) in sides:
                reasons[i].append(f"{'low' if z < 0 else 'high'} {words} ({values[i]:.4g})")
    return ["; ".join(told) for told in reasons]


def _robust_z(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    away = array - np.median(array)
    spread = median_abs_deviation(array, scale="normal")
    return away / spread if spread else np.zeros_like(away)
