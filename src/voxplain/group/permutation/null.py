"""What chance does: the largest of each statistic, over arrangements of the design."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from voxplain.group.permutation.discoveries import smallest_ratio
from voxplain.group.permutation.residuals import Residuals
from voxplain.group.permutation.spatial import Space
from voxplain.group.permutation.voxels import UNIT, NullOfVoxels, fitted, t_of
from voxplain.progress import Progress, adding

__all__ = ["UNIT", "Null", "Whole", "find_null", "joined"]

_TOGETHER = 32
_MOST_RATIOS = 1000
_OF_MAPS = ("size", "mass", "tfce")


@dataclass(frozen=True, eq=False)
class Null:
    """What some arrangements gave.

    Parameters
    ----------
    largest : dict of str to array (B,), float64
        By statistic, the largest of each arrangement; zeros of what was not asked for.
    surpassed : array (V,), int64
        How many of them gave each voxel an absolute t as large as the observed one.
    ratios : array, float64
        Of the first 1,000 arrangements of the test, what bounds true discoveries.
    """

    largest: dict[str, NDArray[np.float64]]
    surpassed: NDArray[np.int64]
    ratios: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Whole:
    """Whole maps of arrangements, a few at a time.

    Parameters
    ----------
    residuals : Residuals
    space : Space
    statistics : sequence of str
    threshold : float
        The t beyond which voxels form clusters.
    """

    residuals: Residuals
    space: Space
    statistics: Sequence[str]
    threshold: float

    def null(
        self,
        rows: NDArray[np.float32],
        part: range,
        threads: int,
        advance: Callable[[float], None],
    ) -> NDArray[np.float64]:
        """Find size, mass, TFCE and ratio of some arrangements, array (B, 4)."""
        wanted = any(name != "voxel" for name in self.statistics)
        stop = part.stop if wanted else min(part.stop, max(part.start, _MOST_RATIOS))
        found: list[tuple[float, float, float, float]] = []
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            for first in range(part.start, stop, _TOGETHER):
                together = rows[first : min(first + _TOGETHER, stop)]
                t = np.empty((len(together), len(self.residuals.correlation)), dtype=np.float32)
                pieces = zip(self.residuals.starts, self.residuals.pieces, strict=True)
                list(pool.map(lambda piece: self._fill(t, together, *piece), pieces))  # noqa: B023
                ranked = range(first, first + len(together))
                found += pool.map(self._measure, t, [i < _MOST_RATIOS for i in ranked])
                advance(len(together))
        return np.array(found, dtype=np.float64).reshape(-1, 4)

    def _fill(
        self,
        t: NDArray[np.float32],
        rows: NDArray[np.float32],
        start: int,
        values: NDArray[np.float32],
    ) -> None:
        t[:, start : start + len(values)] = t_of(fitted(rows, values), self.residuals.df)

    def _measure(self, t: NDArray[np.float32], ranked: bool) -> tuple[float, float, float, float]:
        asked = self.statistics
        size = mass = enhanced = 0.0
        if "size" in asked or "mass" in asked:
            size, mass = self.space.largest(t, self.threshold)
        if "tfce" in asked:
            enhanced = float(np.abs(self.space.tfce(t)).max())
        return size, mass, enhanced, smallest_ratio(t, self.residuals.df) if ranked else np.nan


def find_null(
    whole: Whole,
    rows: NDArray[np.float32],
    part: range,
    threads: int,
    progress: Progress,
    null_of_voxels: NullOfVoxels,
) -> Null:
    """Find what some arrangements give.

    Parameters
    ----------
    whole : Whole
    rows : array (B, 1 + Q, N), float32
        All of the test.
    part : range
        Of these.
    threads : int
    progress : Progress
    null_of_voxels : NullOfVoxels

    Returns
    -------
    Null
    """
    residuals, mine = whole.residuals, rows[part.start : part.stop]
    with progress.step("Single voxels", len(residuals.correlation)) as advance:
        maxima, surpassed = null_of_voxels(residuals, mine, threads, adding(advance))
    with progress.step("Whole maps", len(mine)) as advance:
        values = whole.null(rows, part, threads, adding(advance))
    ranked = max(0, min(part.stop, _MOST_RATIOS) - part.start)
    largest = {"voxel": maxima, **dict(zip(_OF_MAPS, values[:, :3].T, strict=True))}
    return Null(largest, surpassed, values[:ranked, 3])


def joined(parts: Sequence[Null]) -> Null:
    """Join what consecutive parts of the arrangements gave."""
    largest = {
        name: np.concatenate([one.largest[name] for one in parts]) for name in parts[0].largest
    }
    surpassed = np.sum([one.surpassed for one in parts], axis=0)
    return Null(largest, surpassed, np.concatenate([one.ratios for one in parts]))
