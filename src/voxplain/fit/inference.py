"""How sure a cross-validated score is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from voxplain.errors import InputError
from voxplain.fit.metrics import Score, scorer
from voxplain.fit.outcome import Outcome

__all__ = [
    "FEW_FOLDS",
    "bootstrap",
    "classification_scores",
    "corrected_interval",
    "moderated_interval",
    "permutation_p",
    "shuffler",
]

FEW_FOLDS = 5
"""Fewer folds than this say too little of their own spread."""

_CONFIDENCE = 0.95
_PRIOR = 4
_SHARES = ("accuracy", "balanced_accuracy", "roc_auc")


def corrected_interval(
    values: Sequence[float], train: Sequence[int], test: Sequence[int]
) -> Score | None:
    """Give the mean over folds an interval that knows that training parts overlap.

    The variance of the mean is taken as ``(1/k + n_test/n_train)`` times that of the folds, with
    k - 1 degrees of freedom (Nadeau & Bengio 2003, Machine Learning 52:239).

    Parameters
    ----------
    values : sequence of k floats
        One score a fold.
    train, test : sequence of k ints
        Sizes of the parts.

    Returns
    -------
    Score or None
        None for fewer than two folds with a score.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    k = len(known)
    if k < 2:
        return None
    ratio = float(np.mean(test)) / float(np.mean(train))
    error = np.sqrt((1 / k + ratio) * known.var(ddof=1))
    half = float(stats.t.ppf((1 + _CONFIDENCE) / 2, k - 1) * error)
    mean = float(known.mean())
    return Score(mean, mean - half, mean + half)


def moderated_interval(
    values: Sequence[float], train: Sequence[int], test: Sequence[int], pooled: Score
) -> Score | None:
    """Give the mean over folds an interval that few folds do not make meaningless.

    Two folds foretell nothing of a third: `corrected_interval` then takes 12.7 standard errors of
    a standard error that is itself a guess. The variance of a fold's score is therefore taken to be
    a mean of that between the folds, weighed by its k - 1 degrees of freedom, and of that which
    the number of participants alone foretells, weighed as four (as Smyth 2004, Stat Appl Genet Mol
    Biol 3:3, moderates variances). The correction for training parts that overlap is the same.

    Parameters
    ----------
    values : sequence of k floats
        One score a fold; NaN where a fold has none, as all of those that leave one scan out.
    train, test : sequence of k ints
        Sizes of the parts.
    pooled : Score
        Of all predictions together, with its standard error.

    Returns
    -------
    Score or None
        None where the standard error is not known.
    """
    if pooled.error is None or not np.isfinite(pooled.error):
        return None
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    freedom = max(len(known) - 1, 0)
    foretold = pooled.error**2 * (float(np.mean(train)) / float(np.mean(test)) + 1)
    between = float(known.var(ddof=1)) if freedom else 0.0
    variance = (_PRIOR * foretold + freedom * between) / (_PRIOR + freedom)
    # Without a spread over folds there is one standard error alone, of many participants.
    reach = stats.t.ppf((1 + _CONFIDENCE) / 2, _PRIOR + freedom if freedom else np.inf)
    ratio = float(np.mean(test)) / float(np.mean(train))
    count = len(known) if freedom else len(values)
    half = float(reach * np.sqrt((1 / count + ratio) * variance))
    mean = float(known.mean()) if freedom else pooled.value
    return Score(mean, mean - half, mean + half)


def bootstrap(
    outcome: Outcome,
    output: NDArray[np.floating],
    groups: NDArray[np.int64] | None = None,
    draws: int = 1000,
    seed: int = 0,
    only: str | None = None,
) -> dict[str, Score]:
    """Give pooled scores an interval over other draws of participants, or of families.

    Whole groups are drawn with replacement, because those who belong together are not independent.

    Parameters
    ----------
    outcome : Outcome
        Of the scans that were predicted.
    output : array (N, K)
        See `voxplain.fit.metrics.measures`.
    groups : array (N,), optional
    draws : int, default=1000
    seed : int, default=0
    only : str, optional
        The one measure of classes that is wanted.

    Returns
    -------
    dict of str to Score
        By measure: the percentile interval of the draws that have it, Wilson's for a perfect
        score; and the standard error, of shares not less than that of four more groups of which
        half are wrong (Agresti & Coull 1998).
    """
    rng = np.random.default_rng(seed)
    own = np.arange(len(outcome)) if groups is None else np.unique(groups, return_inverse=True)[1]
    members = [np.flatnonzero(own == g) for g in range(own.max() + 1)]
    count = len(members)
    samples = (
        np.concatenate([members[g] for g in rng.integers(count, size=count)]) for _ in range(draws)
    )
    found = _resampled(outcome, output, samples, only)
    for name in (name for name in _SHARES if name in found):
        score = found[name]
        share = (count * score.value + 2) / (count + 4)
        least = float(np.sqrt(share * (1 - share) / count))
        error = least if score.error is None else max(score.error, least)
        found[name] = replace(score, error=error).unless_perfect(count)
    return found


def classification_scores(
    logits: NDArray[np.float32], labels: NDArray[np.int64], *, draws: int = 2000, seed: int = 0
) -> dict[str, Score]:
    """Score two-class predictions, with bootstrap intervals.

    The intervals are the 2.5th and 97.5th percentile over bootstrap samples of the subjects, drawn
    within each class so that both are always there; Wilson's for a perfect score. They tell what
    another draw of subjects would change, not what another training would.

    Parameters
    ----------
    logits : array (N, 2), logit
    labels : array (N,)
        Class indices 0 and 1, both present.
    draws : int, default=2000
    seed : int, default=0

    Returns
    -------
    dict of str to Score
        ``accuracy``, ``balanced_accuracy`` and ``roc_auc``.

    Raises
    ------
    InputError
        If a class is absent or there are more than two.
    """
    if set(np.unique(labels)) != {0, 1} or logits.shape != (len(labels), 2):
        raise InputError(
            f"Two-class scores need logits (N, 2) and subjects of both classes; logits "
            f"{logits.shape} with classes {sorted(set(labels.tolist()))} were given."
        )
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == c) for c in (0, 1)]
    samples = (np.concatenate([rng.choice(m, len(m)) for m in members]) for _ in range(draws))
    found = _resampled(Outcome("label", labels, ("0", "1")), logits, samples)
    counted = {name: 2 * min(map(len, members)) for name in _SHARES} | {"accuracy": len(labels)}
    return {name: found[name].unless_perfect(counted[name]) for name in _SHARES}


def _resampled(
    outcome: Outcome,
    output: NDArray[np.floating],
    samples: Iterable[NDArray[np.int64]],
    only: str | None = None,
) -> dict[str, Score]:
    """Score predictions, with the percentile interval and the spread of samples of the rows."""
    score = scorer(outcome, output, only)
    whole = score(outcome.values)
    drawn: dict[str, list[float]] = {name: [] for name in whole}
    for rows in samples:
        for name, value in score(outcome.values[rows], rows).items():
            if np.isfinite(value):
                drawn[name].append(value)
    found = {}
    for name, value in whole.items():
        low, high = np.percentile(drawn[name] or [np.nan], [2.5, 97.5])
        error = float(np.std(drawn[name])) if drawn[name] else np.nan
        found[name] = Score(value, float(low), float(high), error)
    return found


def permutation_p(
    outcome: Outcome,
    output: NDArray[np.floating],
    measure: str,
    groups: NDArray[np.int64] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> float:
    """Test held-out predictions against shuffled truths.

    The p-value is ``(1 + those at least as good) / (1 + draws)``. It says whether these
    predictions know the truth at all; networks are not trained again. Truths are shuffled between
    groups of one size, and within each, so that those who belong together stay together.

    Parameters
    ----------
    outcome : Outcome
    output : array (N, K)
    measure : str
        A key of `voxplain.fit.metrics.measures`; of ``brier``, ``mae`` and ``rmse`` less is better.
    groups : array (N,), optional
    draws : int, default=1000
    seed : int, default=0

    Returns
    -------
    float
    """
    sign = -1.0 if measure in ("brier", "mae", "rmse") else 1.0
    shuffle = shuffler(outcome, groups, np.random.default_rng(seed))

    score = scorer(outcome, output, measure)
    found = sign * score(outcome.values)[measure]
    as_good = sum(sign * score(shuffle())[measure] >= found - 1e-12 for _ in range(draws))
    return (1 + as_good) / (1 + draws)


def shuffler(
    outcome: Outcome, groups: NDArray[np.int64] | None, rng: np.random.Generator
) -> Callable[[], NDArray[np.int64] | NDArray[np.float64]]:
    """Make what shuffles an outcome anew at each call.

    Values go between groups of one size, and are shuffled within each, so that those who belong
    together stay together.

    Parameters
    ----------
    outcome : Outcome
    groups : array (N,), optional
    rng : numpy.random.Generator

    Returns
    -------
    callable
        That returns values in the order of the scans, array (N,).
    """
    truth = outcome.values
    if groups is None:
        return lambda: truth[rng.permutation(len(truth))]
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    sizes = np.array([len(m) for m in members])
    alike = [np.flatnonzero(sizes == size) for size in np.unique(sizes)]

    def shuffled() -> NDArray[np.int64] | NDArray[np.float64]:
        out = truth.copy()
        for same in alike:
            for to, source in zip(same, rng.permutation(same), strict=True):
                # Within a group the order is shuffled too: siblings have no rank.
                out[members[to]] = truth[rng.permutation(members[source])]
        return out

    return shuffled
