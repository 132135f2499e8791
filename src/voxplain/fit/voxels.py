"""Linear and kernel models on all voxels, through the scans' inner products alone.

A support vector machine, a principal component analysis and the removal of a confound need of N
scans no more than the N × N matrix of their inner products, which is worked out from a few volumes
at a time. The results are those on the flattened voxels, whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.fit.outcome import Outcome
from voxplain.fit.splits import Fold, most_folds
from voxplain.volume import Cohort

__all__ = ["Products", "inner_products", "voxel_models"]

Matrix = NDArray[np.float64]

_BLOCK_BYTES = 512 << 20
_VARIANCE = 0.95
_SEED = 0


@dataclass(frozen=True, eq=False)
class Products:
    """Inner products of all scans.

    Parameters
    ----------
    values : array (N, N)
    """

    values: Matrix

    def without(self, confounds: Matrix, train: NDArray[np.int64]) -> Products:
        """Return the products of scans from which confounds have been regressed, voxel by voxel.

        The regression is fitted on the training part alone, and taken away from all scans: each
        residual is a linear combination of scans, so that their products follow from these.

        Parameters
        ----------
        confounds : array (N, c)
        train : array (n,)
        """
        design = np.column_stack([np.ones(len(confounds)), confounds])
        weights = design @ np.linalg.pinv(design[train])
        combination = np.eye(len(self.values))
        combination[:, train] -= weights
        return Products(combination @ self.values @ combination.T)

    def centred(self, train: NDArray[np.int64]) -> Matrix:
        """Return products after the training part's mean is taken away, in its mean square."""
        k = self.values
        mean = k[:, train].mean(axis=1)
        made = k - mean[:, None] - mean[None, :] + k[np.ix_(train, train)].mean()
        size = float(np.diagonal(made)[train].mean())
        return np.asarray(made / size) if size > 0 else made


def inner_products(
    cohort: Cohort, on_progress: Callable[[int], None] = lambda done: None
) -> Products:
    """Multiply every scan with every other.

    Parameters
    ----------
    cohort : Cohort
        Its volumes are loaded in blocks of half a gigabyte, two at a time.
    on_progress : callable
        Takes the number of pairs of scans that are done.

    Returns
    -------
    Products
    """
    count, voxels = len(cohort), int(np.prod(cohort.grid.shape))
    size = max(1, _BLOCK_BYTES // (4 * voxels))
    starts = range(0, count, size)
    out = np.empty((count, count))
    done = 0
    for a in starts:
        first = _block(cohort, a, size)
        for b in range(a, count, size):
            second = first if b == a else _block(cohort, b, size)
            part = first @ second.T
            out[a : a + len(first), b : b + len(second)] = part
            out[b : b + len(second), a : a + len(first)] = part.T
            done += len(first) * len(second) * (1 if a == b else 2)
            on_progress(done)
    return Products(out)


def _block(cohort: Cohort, start: int, size: int) -> NDArray[np.float32]:
    indices = np.arange(start, min(start + size, len(cohort)))
    return cohort.stack(indices).reshape(len(indices), -1)


def _support_vectors(
    products: Products, outcome: Outcome, fold: Fold, groups: object, kernel: str
) -> Matrix:
    from sklearn.svm import SVC, SVR

    k = products.centred(fold.train)
    if kernel == "rbf":
        square = np.diagonal(k)
        distance = np.maximum(square[:, None] + square[None, :] - 2 * k, 0)
        inside = distance[np.ix_(fold.train, fold.train)]
        k = np.exp(-distance / np.median(inside[~np.eye(len(inside), dtype=bool)]))
    model = SVC(kernel="precomputed") if outcome.class_names else SVR(kernel="precomputed")
    return _fitted(
        model, k[np.ix_(fold.train, fold.train)], k[np.ix_(fold.test, fold.train)], outcome, fold
    )


def _principal_components(
    products: Products, outcome: Outcome, fold: Fold, groups: NDArray[np.int64] | None
) -> Matrix:
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.model_selection import GridSearchCV

    k = products.centred(fold.train)
    values, vectors = np.linalg.eigh(k[np.ix_(fold.train, fold.train)])
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    kept = int(np.searchsorted(values.cumsum() / values.sum(), _VARIANCE)) + 1
    axes = vectors[:, :kept] / np.sqrt(np.maximum(values[:kept], 1e-12))
    learn, test = k[np.ix_(fold.train, fold.train)] @ axes, k[np.ix_(fold.test, fold.train)] @ axes
    inner = _inner(outcome, fold, groups)
    model: Any = RidgeCV(np.logspace(-3, 3, 13))
    if outcome.class_names:
        model = GridSearchCV(
            LogisticRegression(max_iter=2000),
            {"C": np.logspace(-3, 3, 7)},
            scoring="neg_log_loss",
            cv=inner,
        )
    return _fitted(model, learn, test, outcome, fold)


def _inner(
    outcome: Outcome, fold: Fold, groups: NDArray[np.int64] | None
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Split the training part again, in positions of it, families together."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    own = None if groups is None else groups[fold.train]
    part = Outcome(outcome.name, outcome.values[fold.train], outcome.class_names)
    strata, folds = part.strata, max(2, min(5, most_folds(part, own)))
    kind = StratifiedKFold if own is None else StratifiedGroupKFold
    splitter = kind(folds, shuffle=True, random_state=_SEED)
    return list(splitter.split(strata, strata, own))


def _fitted(model: Any, learn: Matrix, test: Matrix, outcome: Outcome, fold: Fold) -> Matrix:
    """Fit, and give outputs for the held-out part as a network would, array (n, K)."""
    model.fit(learn, outcome.values[fold.train])
    if not outcome.class_names:
        return np.asarray(model.predict(test), dtype=np.float64)[:, None]
    scores = np.asarray(model.decision_function(test), dtype=np.float64)
    return np.stack([-scores / 2, scores / 2], axis=1) if scores.ndim == 1 else scores


def voxel_models(classes: bool) -> dict[str, Callable[..., Matrix]]:
    """Name the models.

    The linear and RBF kernels are in units of the training part's mean square and median distance,
    so that C = 1 means the same whatever the scale of intensities; components explain 95 % of the
    training part's variance, and the strength of the penalty on them is chosen inside it.

    Parameters
    ----------
    classes : bool
        Whether classes are told apart, or numbers predicted.

    Returns
    -------
    dict of str to callable
        From products, outcome, fold and groups to the outputs for the held-out part, array (n, K).
    """
    machine, linear = ("SVC", "logistic") if classes else ("SVR", "ridge")
    return {
        f"voxels, linear {machine}": partial(_support_vectors, kernel="linear"),
        f"voxels, RBF {machine}": partial(_support_vectors, kernel="rbf"),
        f"voxels, PCA and {linear} regression": _principal_components,
    }
