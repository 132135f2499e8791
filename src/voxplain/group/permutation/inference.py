"""A test of maps against a design, in all the statistics that are asked for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits

from voxplain.errors import InputError, unknown_name
from voxplain.group.blocks import Arrangements
from voxplain.group.permutation.discoveries import (
    Discoveries,
    permuted_discoveries,
    smallest_ratio,
)
from voxplain.group.permutation.residuals import Allocate, Residuals, in_memory
from voxplain.group.permutation.spatial import Cluster, Space, find_clusters
from voxplain.group.permutation.voxels import TIES, NullOfVoxels, fitted, null_maxima, t_of
from voxplain.progress import Progress, Silent, adding

__all__ = ["STATISTICS", "Inference", "TestOptions", "permutation_test"]

STATISTICS = ("voxel", "size", "mass", "tfce")
"""Single voxels, clusters by extent and by mass, threshold-free cluster enhancement."""

_TOGETHER = 32
_MOST_RATIOS = 1000
_SMALLEST_FIT = 1e-5
_ROUNDING, _MOST_ROUNDING = 1e-6, 1e-2


@dataclass(frozen=True)
class TestOptions:
    """How a test is made.

    Parameters
    ----------
    statistics : tuple of str
        Of `STATISTICS`.
    permutations : int
        Arrangements to draw; all of them are taken where there are not more.
    cluster_p : float
        Uncorrected p, of both directions, beyond which voxels form clusters.
    fast : bool
        Take the maxima for a Gamma distribution of their first three moments (Winkler et al.
        2016), which needs some 500 arrangements alone.
    alpha : float
        One less the confidence of the bounds on true discoveries.
    seed : int
    threads : int
    """

    __test__ = False  # not a case of pytest

    statistics: tuple[str, ...] = ("voxel", "tfce")
    permutations: int = 5000
    cluster_p: float = 0.001
    fast: bool = False
    alpha: float = 0.05
    seed: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        for name in self.statistics:
            if name not in STATISTICS:
                raise unknown_name("statistic", name, STATISTICS)
        if self.permutations < 19:
            raise InputError(
                f"{self.permutations} permutations cannot give a p of .05; ask for 19 or more, "
                "better for 5000."
            )
        for what, value in (("cluster-forming p", self.cluster_p), ("alpha", self.alpha)):
            if not 0 < value < 0.5:
                raise InputError(f"The {what} must lie between 0 and .5; {value:g} was given.")


@dataclass(frozen=True, eq=False)
class Inference:
    """What a test found.

    Parameters
    ----------
    t : array (V,), float64
    p : dict of str to array (V,), float64
        Family-wise p of each voxel by statistic; of clusters that of the voxel's own, 1 outside.
    uncorrected : array (V,), float64
    clusters : list of Cluster
    cluster_p : dict of str to array (C,), float64
        By ``size`` and ``mass``.
    threshold : float
        The t beyond which voxels form clusters.
    null : dict of str to array (B,), float64
        Largest value of each statistic in each arrangement.
    discoveries : Discoveries
    permutations : int
        Arrangements used, without that of the data.
    complete : bool
        Whether they are all that there are.
    tfce : array (V,), float32, or None
    """

    t: NDArray[np.float64]
    p: dict[str, NDArray[np.float64]]
    uncorrected: NDArray[np.float64]
    clusters: list[Cluster]
    cluster_p: dict[str, NDArray[np.float64]]
    threshold: float
    null: dict[str, NDArray[np.float64]]
    discoveries: Discoveries
    permutations: int
    complete: bool
    tfce: NDArray[np.float32] | None = None
    df: int = 0


def permutation_test(
    maps: NDArray[np.float32],
    arrangements: Arrangements,
    mask: NDArray[np.bool_],
    options: TestOptions | None = None,
    progress: Progress | None = None,
    null_of_voxels: NullOfVoxels = null_maxima,
    allocate: Allocate = in_memory,
) -> Inference:
    """Test maps against a design, of both directions, with family-wise p of the maximum statistic.

    Parameters
    ----------
    maps : array (N, V), float32
        A row per scan, a column per true voxel of the mask.
    arrangements : Arrangements
    mask : array (X, Y, Z), bool
    options : TestOptions, optional
    progress : Progress, optional
    null_of_voxels : NullOfVoxels
        What finds the null of single voxels; a GPU's may stand in.
    allocate : callable
        See `voxplain.group.permutation.residuals.Residuals.of`.

    Returns
    -------
    Inference

    Raises
    ------
    InputError
        If the maps do not fit the design or the mask, are not finite, or cannot be symmetric
        around zero where their mean is tested.
    """
    options, progress = options or TestOptions(), progress or Silent()
    if maps.shape[1:] != (int(mask.sum()),):
        raise InputError(
            f"The maps have {maps.shape[1:]} voxels, the mask {int(mask.sum())}; give a column "
            "per voxel of the mask."
        )
    residuals = Residuals.of(maps, arrangements.design, allocate)
    rows, complete = arrangements.rows(options.permutations, options.seed)
    with progress.step("Single voxels", maps.shape[1]) as advance:
        maxima, surpassed = null_of_voxels(residuals, rows, options.threads, adding(advance))
    run = _Spatial(residuals, Space(mask), options)
    with progress.step("Whole maps", len(rows)) as advance:
        null, ratios = run.null(rows, adding(advance))
    null["voxel"] = maxima
    t, space = residuals.t, run.space
    observed = t.astype(np.float32)
    clusters = find_clusters(observed, space, run.threshold)
    tail = _fitted if options.fast and not complete else _counted
    p: dict[str, NDArray[np.float64]] = {}
    by_cluster: dict[str, NDArray[np.float64]] = {}
    enhanced = space.tfce(observed) if "tfce" in options.statistics else None
    # Correlations of the null are in float32, and the nearer they are to 1, the more of t it costs.
    rounding = np.minimum(_ROUNDING * (1 + t**2 / residuals.df), _MOST_ROUNDING)
    of_maps = 1 - 3 * rounding.max()
    for name in options.statistics:
        if name == "voxel":
            p[name] = tail(np.abs(t) * (1 - rounding), null[name])
        elif name == "tfce" and enhanced is not None:
            p[name] = tail(np.abs(enhanced).astype(np.float64) * of_maps, null[name])
        else:
            values = np.array([float(getattr(one, name)) for one in clusters]) * of_maps
            by_cluster[name] = tail(values, null[name])
            p[name] = np.ones(len(t))
            for cluster, value in zip(clusters, by_cluster[name], strict=True):
                p[name][cluster.voxels] = value
    return Inference(
        t=t,
        p=p,
        uncorrected=(surpassed + 1) / (len(rows) + 1),
        clusters=clusters,
        cluster_p=by_cluster,
        threshold=run.threshold,
        null={name: null[name] for name in options.statistics},
        discoveries=permuted_discoveries(t, residuals.df, ratios, options.alpha),
        permutations=len(rows),
        complete=complete,
        tfce=enhanced,
        df=residuals.df,
    )


@dataclass(frozen=True, eq=False)
class _Spatial:
    """Whole maps of arrangements, a few at a time."""

    residuals: Residuals
    space: Space
    options: TestOptions
    threshold: float = field(init=False)

    def __post_init__(self) -> None:
        threshold = float(stats.t.isf(self.options.cluster_p / 2, self.residuals.df))
        object.__setattr__(self, "threshold", threshold)

    def null(
        self, rows: NDArray[np.float32], advance: Callable[[float], None]
    ) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
        """Find the largest of each statistic, and the ratios that bound true discoveries."""
        wanted = [name for name in self.options.statistics if name != "voxel"]
        count = len(rows) if wanted else min(len(rows), _MOST_RATIOS)
        found: list[tuple[float, float, float, float]] = []
        threads = self.options.threads
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            for first in range(0, count, _TOGETHER):
                together = rows[first : min(first + _TOGETHER, count)]
                t = np.empty((len(together), len(self.residuals.correlation)), dtype=np.float32)
                pieces = zip(self.residuals.starts, self.residuals.pieces, strict=True)
                list(pool.map(lambda piece: self._fill(t, together, *piece), pieces))  # noqa: B023
                ranked = range(first, first + len(together))
                found += pool.map(self._measure, t, [i < _MOST_RATIOS for i in ranked])
                advance(len(together))
        values = np.array(found, dtype=np.float64).reshape(-1, 4)
        null = dict(zip(("size", "mass", "tfce"), values[:, :3].T, strict=True))
        return null, values[:_MOST_RATIOS, 3]

    def _fill(
        self,
        t: NDArray[np.float32],
        rows: NDArray[np.float32],
        start: int,
        values: NDArray[np.float32],
    ) -> None:
        t[:, start : start + len(values)] = t_of(fitted(rows, values), self.residuals.df)

    def _measure(self, t: NDArray[np.float32], ranked: bool) -> tuple[float, float, float, float]:
        asked = self.options.statistics
        size = mass = enhanced = 0.0
        if "size" in asked or "mass" in asked:
            size, mass = self.space.largest(t, self.threshold)
        if "tfce" in asked:
            enhanced = float(np.abs(self.space.tfce(t)).max())
        return size, mass, enhanced, smallest_ratio(t, self.residuals.df) if ranked else np.nan


def _counted(values: NDArray[np.float64], null: NDArray[np.float64]) -> NDArray[np.float64]:
    """Count how often the null reached a value, the data's own arrangement among it."""
    below = np.searchsorted(np.sort(null), values * TIES, side="left")
    return np.asarray((len(null) - below + 1) / (len(null) + 1), dtype=np.float64)


def _fitted(values: NDArray[np.float64], null: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit a Gamma distribution by the first three moments; count where it has none."""
    skew = float(stats.skew(null, bias=False)) if np.ptp(null) > 0 else 0.0
    if skew <= 0:
        return _counted(values, null)
    shape = 4 / skew**2
    scale = null.std(ddof=1) / np.sqrt(shape)
    found = stats.gamma.sf(values, shape, loc=null.mean() - shape * scale, scale=scale)
    return np.asarray(np.clip(found, _SMALLEST_FIT, 1.0), dtype=np.float64)
