"""A test of maps against a design, in all the statistics that are asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from voxplain.errors import InputError, unknown_name
from voxplain.group.blocks import Arrangements
from voxplain.group.permutation.discoveries import Discoveries, permuted_discoveries
from voxplain.group.permutation.null import Null, Whole, find_null
from voxplain.group.permutation.residuals import Allocate, Residuals, in_memory
from voxplain.group.permutation.spatial import Cluster, Space, find_clusters
from voxplain.group.permutation.voxels import TIES, NullOfVoxels, null_maxima
from voxplain.progress import Progress, Silent

__all__ = ["STATISTICS", "Inference", "PreparedTest", "TestOptions", "permutation_test"]

STATISTICS = ("voxel", "size", "mass", "tfce")
"""Single voxels, clusters by extent and by mass, threshold-free cluster enhancement."""

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
    test = PreparedTest.of(maps, arrangements, mask, options, allocate)
    return test.inference(test.null(progress, null_of_voxels))


@dataclass(frozen=True, eq=False)
class PreparedTest:
    """A test whose arrangements are drawn, and whose null is still to be found: whole or in parts.

    Parameters
    ----------
    residuals : Residuals
    rows : array (B, 1 + Q, N), float32
        Of `Arrangements.rows`.
    complete : bool
        Whether these are all that there are.
    space : Space
    options : TestOptions
    """

    residuals: Residuals
    rows: NDArray[np.float32]
    complete: bool
    space: Space
    options: TestOptions

    @classmethod
    def of(
        cls,
        maps: NDArray[np.float32],
        arrangements: Arrangements,
        mask: NDArray[np.bool_],
        options: TestOptions,
        allocate: Allocate = in_memory,
    ) -> PreparedTest:
        """Take the nuisance out of maps, and draw arrangements; see `permutation_test`.

        Raises
        ------
        InputError
            As `permutation_test`.
        """
        if maps.shape[1:] != (int(mask.sum()),):
            raise InputError(
                f"The maps have {maps.shape[1:]} voxels, the mask {int(mask.sum())}; give a column "
                "per voxel of the mask."
            )
        residuals = Residuals.of(maps, arrangements.design, allocate)
        rows, complete = arrangements.rows(options.permutations, options.seed)
        return cls(residuals, rows, complete, Space(mask), options)

    @property
    def threshold(self) -> float:
        """The t beyond which voxels form clusters."""
        return float(stats.t.isf(self.options.cluster_p / 2, self.residuals.df))

    def null(
        self,
        progress: Progress,
        null_of_voxels: NullOfVoxels = null_maxima,
        part: range | None = None,
    ) -> Null:
        """Find what chance does.

        Parameters
        ----------
        progress : Progress
        null_of_voxels : NullOfVoxels
        part : range, optional
            Of the arrangements; all by default. For the same digits as those of an unbroken run
            parts begin at multiples of `voxplain.group.permutation.null.UNIT`.

        Returns
        -------
        Null
        """
        part = range(len(self.rows)) if part is None else part
        asked = Whole(self.residuals, self.space, self.options.statistics, self.threshold)
        return find_null(asked, self.rows, part, self.options.threads, progress, null_of_voxels)

    def inference(self, null: Null) -> Inference:
        """Hold the maps against what chance does with all arrangements."""
        options, residuals, space = self.options, self.residuals, self.space
        t = residuals.t
        observed = t.astype(np.float32)
        clusters = find_clusters(observed, space, self.threshold)
        tail = _fitted if options.fast and not self.complete else _counted
        p: dict[str, NDArray[np.float64]] = {}
        by_cluster: dict[str, NDArray[np.float64]] = {}
        enhanced = space.tfce(observed) if "tfce" in options.statistics else None
        # Correlations of the null are in float32, and the nearer they are to 1, the more of t it
        # costs.
        rounding = np.minimum(_ROUNDING * (1 + t**2 / residuals.df), _MOST_ROUNDING)
        of_maps = 1 - 3 * rounding.max()
        for name in options.statistics:
            if name == "voxel":
                p[name] = tail(np.abs(t) * (1 - rounding), null.largest[name])
            elif name == "tfce" and enhanced is not None:
                shown = np.abs(enhanced).astype(np.float64) * of_maps
                p[name] = tail(shown, null.largest[name])
            else:
                values = np.array([float(getattr(one, name)) for one in clusters]) * of_maps
                by_cluster[name] = tail(values, null.largest[name])
                p[name] = np.ones(len(t))
                for cluster, value in zip(clusters, by_cluster[name], strict=True):
                    p[name][cluster.voxels] = value
        return Inference(
            t=t,
            p=p,
            uncorrected=(null.surpassed + 1) / (len(self.rows) + 1),
            clusters=clusters,
            cluster_p=by_cluster,
            threshold=self.threshold,
            null={name: null.largest[name] for name in options.statistics},
            discoveries=permuted_discoveries(t, residuals.df, null.ratios, options.alpha),
            permutations=len(self.rows),
            complete=self.complete,
            tfce=enhanced,
            df=residuals.df,
        )


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
