"""Measures measured: which of them hold still under noise, see nonsense and track the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata, wilcoxon

from voxplain.errors import InputError

__all__ = ["MetaEvaluation", "TruthTracking", "meta_evaluation", "truth_tracking"]

Measure = Callable[[int, NDArray[np.float32]], float]
"""From the number of a scan and a map of it to the measure's score."""

Change = Callable[[NDArray[np.float32], int], ArrayLike]
"""From a map and a seed to a changed map."""

_FEWEST = 6


@dataclass(frozen=True)
class MetaEvaluation:
    """How reliable a measure is, without any truth (MetaQuantus; Hedström et al. 2023, TMLR).

    Each figure lies between 0 and 1; the null level of a measure that answers at random is .5 for
    `noise_scores` and `random_scores`, `orders_chance` for `noise_orders`, and .5 for
    `random_below`.

    Parameters
    ----------
    noise_scores : float
        Mean p of Wilcoxon's test between the scores of maps and of slightly changed maps: near .5
        or above where minor noise leaves the scores alone, 1 where it changes none at all.
    noise_orders : float
        Share of scans and methods whose place among the methods stays the same under minor noise.
    orders_chance : float
        The same for an order by lot.
    random_scores : float
        One minus the mean p of the same test against maps that were made nonsense: 1 for a measure
        that always reacts.
    random_below : float
        Share of scans and methods whose nonsense scores worse than the map.
    reliability : float
        Mean of `noise_scores`, `noise_orders`, `random_scores` and `random_below`.
    methods, scans, repeats : int
    """

    noise_scores: float
    noise_orders: float
    orders_chance: float
    random_scores: float
    random_below: float
    reliability: float
    methods: int
    scans: int
    repeats: int

    @property
    def reacts(self) -> bool:
        """Whether nonsense scores worse in more than two cases of three, and measurably so."""
        return self.random_below > 2 / 3 and self.random_scores > 0.95


def meta_evaluation(
    measure: Measure,
    maps: Sequence[Sequence[ArrayLike]],
    minor: Change,
    nonsense: Change,
    repeats: int = 3,
    higher_is_better: bool = True,
) -> MetaEvaluation:
    """Ask a measure about maps, about slightly changed ones, and about nonsense.

    Parameters
    ----------
    measure : callable
        From the number of a scan and a map of it to a score.
    maps : sequence of sequence of array (X, Y, Z)
        One row a method, with one map a scan; six scans at least.
    minor, nonsense : callable
        From a map and a seed to a map: one with a little noise, and one that knows nothing, such
        as one of its `surrogates`.
    repeats : int, default=3
        Changes of each kind.
    higher_is_better : bool, default=True

    Returns
    -------
    MetaEvaluation

    Raises
    ------
    InputError
        If there are fewer than six scans, or the methods have different numbers of maps.
    """
    scans = len(maps[0]) if maps else 0
    if any(len(row) != scans for row in maps) or scans < _FEWEST:
        raise InputError(
            f"A measure is judged on {_FEWEST} scans or more, the same for each method; there are "
            f"{', '.join(str(len(row)) for row in maps) or 'none'}."
        )
    given = [[np.asarray(m, dtype=np.float32) for m in row] for row in maps]
    sign = 1.0 if higher_is_better else -1.0

    def scored(change: Change) -> NDArray[np.float64]:
        out = np.empty((len(given), scans))
        for number, row in enumerate(given):
            for scan, map_ in enumerate(row):
                seed = number * scans + scan
                changed = np.asarray(change(map_, seed), dtype=np.float32)
                out[number, scan] = sign * measure(scan, changed)
        return out

    size = len(given) * scans
    own = scored(lambda map_, seed: map_)
    noisy, random = (
        [scored(_shifted(change, size * repeat)) for repeat in range(repeats)]
        for change in (minor, nonsense)
    )
    order = rankdata(own, axis=0)
    noise_scores, noise_orders = _mean_p(own, noisy), [rankdata(k, axis=0) == order for k in noisy]
    figures = (
        noise_scores,
        float(np.mean(noise_orders)),
        1 - _mean_p(own, random),
        float(np.mean([own > k for k in random])),
    )
    return MetaEvaluation(
        noise_scores=figures[0],
        noise_orders=figures[1],
        orders_chance=1 / len(given),
        random_scores=figures[2],
        random_below=figures[3],
        reliability=float(np.mean(figures)),
        methods=len(given),
        scans=scans,
        repeats=repeats,
    )


def _shifted(change: Change, by: int) -> Change:
    return lambda map_, seed: change(map_, seed + by)


def _mean_p(own: NDArray[np.float64], others: Sequence[NDArray[np.float64]]) -> float:
    """Average the p of Wilcoxon's test over methods and changes; 1 where no score changed."""
    pairs = [(a, b) for other in others for a, b in zip(own, other, strict=True)]
    found = [
        1.0 if np.array_equal(a, b) else float(wilcoxon(a, b, zero_method="zsplit").pvalue)
        for a, b in pairs
    ]
    return float(np.mean(found))


@dataclass(frozen=True)
class TruthTracking:
    """Whether a measure that knows no truth ranks maps as the truth does.

    Parameters
    ----------
    spearman : float
        Mean over scenarios of the rank correlation, over the maps of each, with the truth.
    low, high : float
        95 % interval, from scenarios drawn with replacement.
    spearman_95 : float
        95th percentile with the measure's scores shuffled within each scenario.
    scenarios : int
    """

    spearman: float
    low: float
    high: float
    spearman_95: float
    scenarios: int

    @property
    def above_chance(self) -> bool:
        """Whether the measure may be trusted at all."""
        return self.spearman > self.spearman_95


def truth_tracking(
    scores: Sequence[ArrayLike], truths: Sequence[ArrayLike], seed: int, draws: int = 2000
) -> TruthTracking:
    """Correlate a measure's scores with scores against a known truth, scenario by scenario.

    Parameters
    ----------
    scores, truths : sequence of array (M,)
        One array a scenario (a cohort, a network), with one score a map; three maps at least.
        Higher is better in both.
    seed : int
    draws : int, default=2000

    Returns
    -------
    TruthTracking

    Raises
    ------
    InputError
        If the arrays do not match, or have fewer than three maps.
    """
    both = zip(scores, truths, strict=False)
    pairs = [(np.asarray(s, float), np.asarray(t, float)) for s, t in both]
    sizes = [(len(s), len(t)) for s, t in pairs]
    if len(scores) != len(truths) or not pairs or any(a != b or a < 3 for a, b in sizes):
        raise InputError(
            "Scores and truths must be of the same three maps or more in each scenario."
        )
    rng = np.random.default_rng(seed)
    ranked = [(_unit_ranks(s), _unit_ranks(t)) for s, t in pairs]
    found = np.array([s @ t for s, t in ranked])
    drawn = found[rng.integers(0, len(found), (draws, len(found)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    shuffled = [rng.permuted(np.tile(s, (draws, 1)), axis=1) @ t for s, t in ranked]
    null = np.mean(shuffled, axis=0)
    return TruthTracking(
        spearman=float(found.mean()),
        low=float(low),
        high=float(high),
        spearman_95=float(np.quantile(null, 0.95, method="higher")),
        scenarios=len(pairs),
    )


def _unit_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks with mean 0 and length 1; zeros where all are the same."""
    centred = rankdata(values) - (len(values) + 1) / 2
    length = float(np.linalg.norm(centred))
    return np.asarray(centred / (length or 1.0))
