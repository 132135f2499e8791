"""Whether scans and predictions are like those that a network was trained for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import nn

from voxplain.attribution import Engine
from voxplain.attribution.network.probe import probe
from voxplain.errors import InputError
from voxplain.phantom import background_of
from voxplain.pipeline.explain.networks import predict_scans, read_network_weights
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.outputs import Outputs
from voxplain.pipeline.streams import Some
from voxplain.progress import Progress
from voxplain.volume import Cohort, Volume

__all__ = [
    "HeadSize",
    "Plausibility",
    "implausible_numbers",
    "implausible_outputs",
    "judge_weights",
    "reads_head_size",
    "require_plausible",
    "unlike_training",
]

_SATURATED = 20.0
_FEWEST, _RARER = 8, 3
_YEARS = (0.0, 110.0)
_REACH = 5.0
_SHIFT, _FACTOR = 2.0, 10.0
_ENOUGH = 0.9
_DRAWS = 1000


@dataclass(frozen=True)
class HeadSize:
    """How much of what tells two classes apart is the size of the brain.

    All are areas under the ROC curve, in the sense in which they are .5 or more.

    Parameters
    ----------
    names : tuple of 2 str
        Of the classes.
    network : float
    low, high : float
        95 % interval, by a bootstrap within the classes.
    size : float
        Of the brain's volume alone.
    removed : float
        Of the network's output once the volume is regressed out.
    masks : float or None
        Of the network shown nothing but brain masks; None where it was not asked.
    r : float
        Correlation of the network's output with the volume.
    scans : int
    """

    names: tuple[str, str]
    network: float
    low: float
    high: float
    size: float
    removed: float
    masks: float | None
    r: float
    scans: int

    @property
    def reads_size(self) -> bool:
        """Whether more than half of what the network knows goes with the volume.

        A network that is no better than chance knows nothing to be explained by size.
        """
        knows = self.low > 0.5
        return knows and (self.network - self.removed) > 0.5 * (self.network - 0.5)

    @property
    def sentence(self) -> str:
        """What was found, with its figures."""
        masks = (
            ""
            if self.masks is None
            else f", the network shown nothing but brain masks {_plain(self.masks)}"
        )
        figures = (
            f"the network tells {' from '.join(self.names)} with AUC {_plain(self.network)} "
            f"({_plain(self.low)} to {_plain(self.high)}, {self.scans} scans), brain volume alone "
            f"{_plain(self.size)}, the network once volume is regressed out "
            f"{_plain(self.removed)}{masks}"
        )
        if self.reads_size:
            return f"This network reads head size: {figures}. Its maps explain head size."
        if self.low <= 0.5:
            return f"This network does not tell these scans apart: {figures}."
        return f"This network reads more than head size: {figures}."


@dataclass(frozen=True)
class Plausibility:
    """Whether a network may be explained on some scans at all.

    Parameters
    ----------
    scans : int
    share : float
        Of the scans, those whose input and prediction are like what the network was trained for.
    doubts : tuple of str
        What is not, in sentences.
    head_size : HeadSize or None
        None where there are not two classes, or brain volumes are not known.
    first : str
        The first line of the verdict.
    """

    scans: int
    share: float
    doubts: tuple[str, ...]
    head_size: HeadSize | None
    first: str

    @property
    def plausible(self) -> bool:
        """Whether nine scans of ten are."""
        return self.share >= _ENOUGH


def judge_weights(options: ScanOptions, cohort: Cohort, progress: Progress) -> Plausibility:
    """Ask somebody's weights about a study's scans, and say whether their answers can be right.

    Nothing is trained. Of several files of weights, the first one's inputs and the mean of all
    predictions are judged.

    Parameters
    ----------
    options : ScanOptions
        Network, weights, and what is said of the outputs; no images.
    cohort : Cohort
        Prepared as the network wants its scans.
    progress : Progress

    Returns
    -------
    Plausibility

    Raises
    ------
    VoxplainError
        If the weights do not fit the network, or the network not the scans.
    """
    weights = read_network_weights(options, progress)
    scans = Some(cohort, range(len(cohort)))
    networks = weights.networks(options, scans[0], progress)
    engine = Engine(device=options.device, precision=options.precision)  # type: ignore[arg-type]
    with engine.run() as shared:
        predicted = predict_scans(options, weights.said, networks, scans, shared, progress)
        told, outputs = predicted.of_scans, predicted.outputs
        odd, doubts = np.zeros(len(cohort), bool), list[str]()
        for found, doubt in (
            _odd_predictions(outputs, told, cohort, weights.said.records),
            unlike_training(networks[0], scans),
        ):
            odd |= found
            doubts += [doubt] if doubt else []
        head_size = _head_size(networks[0], told, cohort, shared)
    share = float(1 - odd.mean())
    if share < _ENOUGH:
        first = (
            f"{options.network} with these weights is not at home on these scans: "
            f"{' '.join(doubts)} Maps of it explain nothing."
        )
    elif head_size is not None:
        first = head_size.sentence
    else:
        first = "Predictions and scans are like what the network was trained for."
    return Plausibility(len(cohort), share, tuple(doubts), head_size, first)


def require_plausible(found: Plausibility, forced: bool = False) -> None:
    """Refuse to explain nonsense.

    Parameters
    ----------
    found : Plausibility
    forced : bool, default=False
        Whether it is asked for all the same.

    Raises
    ------
    InputError
        If less than nine scans of ten are plausible.
    """
    if not found.plausible and not forced:
        raise InputError(
            f"{found.first} Prepare the scans as those of the training, or give --force to have "
            "them explained all the same."
        )


def _odd_predictions(
    outputs: Outputs, told: Sequence[Mapping[str, Any]], cohort: Cohort, records: Sequence[Any]
) -> tuple[NDArray[np.bool_], str]:
    if outputs.task == "classification":
        logits = np.array([one["logits"] for one in told])
        if logits.shape[1] == 1:
            logits = np.hstack([np.zeros_like(logits), logits])
        return implausible_outputs(logits, outputs.names, cohort.labels)
    numbers = np.array([float(one["prediction"]) for one in told])
    if outputs.task != "regression":
        return np.zeros(len(told), bool), ""
    unit, low, high = outputs.unit or "", -np.inf, np.inf
    for record in records:
        if record.bins:
            low, high = min(record.bins), max(record.bins)
        elif record.scale != 1.0:
            low, high = (record.mean + sign * _REACH * abs(record.scale) for sign in (-1, 1))
    if unit == "years":
        low, high = max(low, _YEARS[0]), min(high, _YEARS[1])
    return implausible_numbers(numbers, unit, (low, high))


def implausible_outputs(
    logits: NDArray[np.floating], names: Sequence[str], labels: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], str]:
    """Find predictions of classes that cannot be meant.

    Parameters
    ----------
    logits : array (N, K)
    names : sequence of K str
    labels : array (N,)
        The scans' own classes, whose names may be others.

    Returns
    -------
    odd : array (N,), bool
        Logits that lie more than 20 apart; all scans, where all are given one class although three
        or more are of another.
    doubt : str
        In a sentence; empty where there is none.
    """
    ordered = np.sort(logits, axis=1)
    odd: NDArray[np.bool_] = (ordered[:, -1] - ordered[:, -2]) > _SATURATED
    chosen = logits.argmax(axis=1)
    rest = len(labels) - int(np.bincount(labels).max())
    if len(labels) >= _FEWEST and rest >= _RARER and (chosen == chosen[0]).all():
        return np.ones(len(labels), bool), (
            f"All {len(labels)} scans are given class {names[int(chosen[0])]}, although they are "
            "of several classes."
        )
    if not odd.any():
        return odd, ""
    return odd, (
        f"{odd.sum()} of {len(odd)} scans have saturated logits, more than {_SATURATED:g} apart, as "
        "scans of another intensity have."
    )


def implausible_numbers(
    numbers: NDArray[np.floating], unit: str, limits: tuple[float, float]
) -> tuple[NDArray[np.bool_], str]:
    """Find predicted numbers that cannot be meant.

    Parameters
    ----------
    numbers : array (N,), in `unit`
    unit : str
    limits : tuple of 2 floats
        Least and largest number that the network can have been trained for.

    Returns
    -------
    odd : array (N,), bool
        All scans, where all are given the same number.
    doubt : str
    """
    low, high = limits
    odd: NDArray[np.bool_] = (numbers < low) | (numbers > high) | ~np.isfinite(numbers)
    if odd.any():
        worst = numbers[odd][np.abs(numbers[odd] - (low + high) / 2).argmax()]
        return odd, (
            f"{odd.sum()} of {len(odd)} predictions are no possible {unit} from {low:g} to "
            f"{high:g}, such as {worst:.0f}."
        )
    size = max(float(np.abs(numbers).max()), 1e-12)
    if len(numbers) >= _FEWEST and np.ptp(numbers) < 1e-3 * size:
        return np.ones(len(numbers), bool), (
            f"All {len(numbers)} scans are given about the same number, {numbers[0]:.3g} {unit}."
        )
    return odd, ""


def unlike_training(network: nn.Module, scans: Iterable[Volume]) -> tuple[NDArray[np.bool_], str]:
    """Find scans whose features are unlike those that the first batch norm has seen in training.

    Batch norm keeps mean and variance of what it was trained on. A scan of another intensity,
    resolution or without its skull off gives others; one in the place of a training scan does not.

    Parameters
    ----------
    network : torch.nn.Module
        In eval mode.
    scans : iterable of Volume

    Returns
    -------
    odd : array (N,), bool
        Scans at which the typical channel's mean is more than two standard deviations off, or its
        variance more than a factor of ten; none where the network has no batch norm.
    doubt : str
    """
    norms = (
        m for m in network.modules() if isinstance(m, nn.BatchNorm3d) and m.running_mean is not None
    )
    norm = next(norms, None)
    if norm is None or norm.running_mean is None or norm.running_var is None:
        return np.zeros(sum(1 for _ in scans), bool), ""
    seen: list[torch.Tensor] = []
    handle = norm.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach()))
    mean, spread = norm.running_mean, (norm.running_var + norm.eps).sqrt()
    shifts, factors = [], []
    try:
        with probe(network) as p, torch.no_grad():
            for scan in scans:
                p.logits(torch.from_numpy(scan.values)[None, None].to(mean))
                features = seen.pop().flatten(2)[0]
                shifts.append(float(((features.mean(1) - mean) / spread).abs().median()))
                factors.append(float((features.var(1).add(norm.eps) / spread**2).log().median()))
                seen.clear()
    finally:
        handle.remove()
    odd = (np.array(shifts) > _SHIFT) | (np.abs(factors) > np.log(_FACTOR))
    if not odd.any():
        return odd, ""
    return odd, (
        f"{odd.sum()} of {len(odd)} scans give features unlike those of the training (typical "
        f"channel: mean {np.median(np.array(shifts)[odd]):.1f} standard deviations off, variance "
        f"times {np.exp(np.median(np.array(factors)[odd])):.2g})."
    )


def _head_size(
    network: nn.Module, told: Sequence[Mapping[str, Any]], cohort: Cohort, engine: Engine
) -> HeadSize | None:
    two = len(cohort.class_names) == 2 and "brain_ml" in cohort.participants
    logits = np.array([one["logits"] for one in told])
    if not two or logits.shape[1] > 2:
        return None
    masks = _margins(engine.logits(network, _masks(cohort)))
    return reads_head_size(_margins(logits), cohort, masks)


def _margins(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    values = np.asarray(logits, dtype=np.float64)
    return values[:, 0] if values.shape[1] == 1 else values[:, 1] - values[:, 0]


def _masks(cohort: Cohort) -> Iterable[NDArray[np.float32]]:
    """Show every brain in one grey level: that which the cohort's brains have on average."""
    levels = []
    for i in range(len(cohort)):
        values = cohort.load(i)
        levels.append(float(values[values != background_of(values)].mean()))
    level = np.float32(np.mean(levels))
    for i in range(len(cohort)):
        values = cohort.load(i)
        floor = np.float32(background_of(values))
        yield np.where(values != floor, level, floor)


def reads_head_size(
    score: NDArray[np.floating],
    cohort: Cohort,
    masks: NDArray[np.floating] | None = None,
    seed: int = 0,
) -> HeadSize | None:
    """Say how much of what a network tells of two classes goes with the brain's volume.

    Parameters
    ----------
    score : array (N,)
        The network's output for each scan, such as the logit of one class less that of the other.
    cohort : Cohort
        Of two classes, with ``brain_ml``.
    masks : array (N,), optional
        The same for its brain masks.
    seed : int, default=0

    Returns
    -------
    HeadSize or None
        None where volumes are missing or a class has fewer than two scans.
    """
    table, labels = cohort.participants, cohort.labels
    if len(cohort.class_names) != 2 or "brain_ml" not in table or min(np.bincount(labels)) < 2:
        return None
    size = table["brain_ml"].to_numpy(dtype=np.float64)
    if not np.isfinite(size).all() or np.ptp(size) == 0:
        return None
    score = np.asarray(score, dtype=np.float64)
    second = labels == 1
    line = np.polyfit(size, score, 1)
    network = _auc(score, second)
    rng = np.random.default_rng(seed)
    parts = np.flatnonzero(second), np.flatnonzero(~second)
    turn = 1.0 if _signed_auc(score, second) >= 0.5 else -1.0
    drawn = [np.concatenate([rng.choice(part, len(part)) for part in parts]) for _ in range(_DRAWS)]
    low, high = np.quantile(
        [_signed_auc(turn * score[d], second[d]) for d in drawn], [0.025, 0.975]
    )
    return HeadSize(
        names=(cohort.class_names[0], cohort.class_names[1]),
        network=network,
        low=float(low),
        high=float(high),
        size=_auc(size, second),
        removed=_auc(score - np.polyval(line, size), second),
        masks=None if masks is None else _auc(np.asarray(masks, dtype=np.float64), second),
        r=float(np.corrcoef(score, size)[0, 1]) if np.ptp(score) else 0.0,
        scans=len(score),
    )


def _signed_auc(score: NDArray[np.float64], second: NDArray[np.bool_]) -> float:
    """Area under the ROC curve, by the ranks (Mann and Whitney)."""
    count = int(second.sum())
    above = rankdata(score)[second].sum() - count * (count + 1) / 2
    return float(above / (count * (len(score) - count)))


def _auc(score: NDArray[np.float64], second: NDArray[np.bool_]) -> float:
    found = _signed_auc(score, second)
    return max(found, 1 - found)


def _plain(value: float) -> str:
    return f"{value:.2f}".removeprefix("0") if value < 1 else f"{value:.2f}"
