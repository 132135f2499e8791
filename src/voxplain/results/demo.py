"""What the demonstration found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from voxplain.grid import Grid
from voxplain.results.localisation import (
    AgreementResult,
    ControlResult,
    MethodResult,
    RegionsResult,
)
from voxplain.results.training import Epoch

__all__ = [
    "CohortFacts",
    "DemoResult",
    "EffectFacts",
    "Estimate",
    "NetworkFacts",
    "TrainingFacts",
]


@dataclass(frozen=True)
class Estimate:
    """A figure of held-out subjects and its 95 % interval.

    Parameters
    ----------
    value : float
    ci : tuple of 2 floats
    """

    value: float
    ci: tuple[float, float]


@dataclass(frozen=True)
class EffectFacts:
    """What was planted in the brains of one class.

    Parameters
    ----------
    regions : tuple of str
    description : str
        In a sentence.
    strength, spread : float
        Mean darkening of the affected tissue, as a share, and its spread over subjects.
    bayes_accuracy : float
        Of the best possible observer.
    volume_ml : float, mL
        In the template.
    """

    regions: tuple[str, ...]
    description: str
    strength: float
    spread: float
    bayes_accuracy: float
    volume_ml: float


@dataclass(frozen=True)
class CohortFacts:
    """Who was there.

    Parameters
    ----------
    subjects, train, held_out : int
    classes : tuple of str
        The second one carries the effect.
    class_counts : mapping of str to int
    effect : EffectFacts
    seconds_per_subject : float
        To make one.
    """

    subjects: int
    train: int
    held_out: int
    classes: tuple[str, ...]
    class_counts: Mapping[str, int]
    effect: EffectFacts
    seconds_per_subject: float


@dataclass(frozen=True)
class NetworkFacts:
    """What was trained, and how the engine ran it.

    Parameters
    ----------
    name : str
    parameters : int
    weights_sha256 : str
    layer : str or None
        That Grad-CAM looks at.
    precision, device : str
    """

    name: str
    parameters: int
    weights_sha256: str
    layer: str | None
    precision: str
    device: str


@dataclass(frozen=True)
class TrainingFacts:
    """How it was trained.

    Parameters
    ----------
    schedule : str
        In words.
    history : tuple of Epoch
    seconds : float
    """

    schedule: str
    history: tuple[Epoch, ...]
    seconds: float


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration found.

    Parameters
    ----------
    title, command, target : str
        What it is called, how it is repeated, and what was explained.
    seed : int
    grid : Grid
    cohort : CohortFacts
    accuracy, balanced_accuracy, roc_auc : Estimate
        On held-out subjects.
    network : NetworkFacts
    training : TrainingFacts
    fwhm_mm : float, mm
        By which maps are smoothed before they are scored.
    scoring : str
        How a map becomes a ranking of voxels, in a sentence.
    chance_ap, chance_ap_95 : float
        Of maps without information: on average, and what 95 % stay below.
    methods : mapping of str to MethodResult
    controls : mapping of str to ControlResult
    agreement : AgreementResult
    regions : RegionsResult
    versions : mapping of str to str
    seconds : mapping of str to float
        ``total``, and of every part.
    peak_rss_mb : float, MB
        Memory at most.
    """

    title: str
    command: str
    seed: int
    target: str
    grid: Grid
    cohort: CohortFacts
    accuracy: Estimate
    balanced_accuracy: Estimate
    roc_auc: Estimate
    network: NetworkFacts
    training: TrainingFacts
    fwhm_mm: float
    scoring: str
    chance_ap: float
    chance_ap_95: float
    methods: Mapping[str, MethodResult]
    controls: Mapping[str, ControlResult]
    agreement: AgreementResult
    regions: RegionsResult
    versions: Mapping[str, str]
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_rss_mb: float = 0.0
