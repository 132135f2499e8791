"""Whether scans and predictions are like those that a network was trained for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxplain.attribution import Engine
from voxplain.attribution.network.probe import probe
from voxplain.errors import InputError
from voxplain.pipeline.explain.options import ScanOptions
from voxplain.pipeline.explain.scans.nonsense import SATURATED, YEARS
from voxplain.pipeline.streams import Some
from voxplain.pipeline.trust.weights.asked import Answers, engine_of
from voxplain.pipeline.trust.weights.head_size import HeadSize, mask_scans, reads_head_size
from voxplain.results.trust import Measurement
from voxplain.volume import Cohort, Volume

__all__ = [
    "Plausibility",
    "implausible_numbers",
    "implausible_outputs",
    "judge_weights",
    "plausibility_measurement",
    "require_plausible",
    "unlike_training",
]

_FEWEST, _RARER = 8, 3
_REACH = 5.0
_SHIFT, _FACTOR = 2.0, 10.0
_ENOUGH = 0.9


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


def judge_weights(options: ScanOptions, cohort: Cohort, answers: Answers) -> Plausibility:
    """Say whether what somebody's weights answer of a study's scans can be right.

    Nothing is trained. Of several files of weights, the first one's inputs and the mean of all
    predictions are judged.

    Parameters
    ----------
    options : ScanOptions
        Network, weights, and what is said of the outputs; no images.
    cohort : Cohort
        Prepared as the network wants its scans.
    answers : Answers
        See `voxplain.pipeline.trust.weights.asked.ask_weights`.

    Returns
    -------
    Plausibility
    """
    scans, networks = Some(cohort, range(len(cohort))), answers.networks
    with engine_of(options).run() as shared:
        told = answers.predicted.of_scans
        odd, doubts = np.zeros(len(cohort), bool), list[str]()
        for found, doubt in (
            _odd_predictions(answers, cohort),
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


def _odd_predictions(answers: Answers, cohort: Cohort) -> tuple[NDArray[np.bool_], str]:
    outputs, told = answers.predicted.outputs, answers.predicted.of_scans
    if outputs.task == "classification":
        return implausible_outputs(answers.logits, outputs.names, cohort.labels)
    numbers = np.array([float(one["prediction"]) for one in told])
    if outputs.task != "regression":
        return np.zeros(len(told), bool), ""
    unit, low, high = outputs.unit or "", -np.inf, np.inf
    for record in answers.said.records:
        if record.bins:
            low, high = min(record.bins), max(record.bins)
        elif record.scale != 1.0:
            low, high = (record.mean + sign * _REACH * abs(record.scale) for sign in (-1, 1))
    if unit == "years":
        low, high = max(low, YEARS[0]), min(high, YEARS[1])
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
    odd: NDArray[np.bool_] = (ordered[:, -1] - ordered[:, -2]) > SATURATED
    chosen = logits.argmax(axis=1)
    rest = len(labels) - int(np.bincount(labels).max())
    said = []
    if odd.any():
        said.append(
            f"{odd.sum()} of {len(odd)} scans have saturated logits, more than {SATURATED:g} "
            "apart, as scans of another intensity have."
        )
    if len(labels) >= _FEWEST and rest >= _RARER and (chosen == chosen[0]).all():
        odd = np.ones(len(labels), bool)
        said.append(
            f"All {len(labels)} scans are given {names[int(chosen[0])]}, although they are of "
            "several classes."
        )
    return odd, " ".join(said)


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
    masks = _margins(engine.logits(network, mask_scans(cohort)))
    return reads_head_size(_margins(logits), cohort, masks)


def _margins(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    values = np.asarray(logits, dtype=np.float64)
    return values[:, 0] if values.shape[1] == 1 else values[:, 1] - values[:, 0]


def plausibility_measurement(found: Plausibility) -> Measurement:
    """Say whether scans and predictions are like those of the training, or what these go with."""
    figures = asdict(found) | {"plausible": found.plausible}
    return Measurement("plausibility", None, found.share, found.first, figures=figures)
