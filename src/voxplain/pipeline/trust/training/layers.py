"""Which layer finds a planted effect, for the methods that look at a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxplain.attribution import METHODS, Engine
from voxplain.attribution.methods import make_method
from voxplain.attribution.network.probe import probe
from voxplain.cohort.store.reader import open_store
from voxplain.errors import VoxplainError
from voxplain.pipeline.fit.fitted import Fitted
from voxplain.pipeline.streams import Some
from voxplain.pipeline.trust.training.own import OwnStudy, kept
from voxplain.pipeline.trust.training.planted import Planted
from voxplain.pipeline.trust.training.trainings import explained, options_of
from voxplain.pipeline.trust.training.trial import networks_of_trial
from voxplain.pipeline.truth import Truth, read_truth
from voxplain.progress import Progress
from voxplain.trust import FWHM_MM, chance_of, localise, strength
from voxplain.volume import Cohort

__all__ = ["LayerFinding", "LayerScore", "layer_sweep", "layers_of", "needs_layer"]

_CASES = 20
_DRAWS = 100


@dataclass(frozen=True)
class LayerScore:
    """How the mean map of one layer finds the planted effect.

    Parameters
    ----------
    layer : str
        Dotted path.
    shape : tuple of int
        Of its feature maps, voxels.
    average_precision, chance, chance_95 : float
        See `voxplain.pipeline.trust.training.trial.TrialMap`.
    failed : str
        Why the method could not be asked there; empty where it could.
    """

    layer: str
    shape: tuple[int, ...]
    average_precision: float
    chance: float
    chance_95: float
    failed: str = ""

    @property
    def found(self) -> bool:
        """Whether the map exceeds 95 % of random maps."""
        return not self.failed and self.average_precision > self.chance_95


@dataclass(frozen=True)
class LayerFinding:
    """The layers of one method, from the input on.

    Parameters
    ----------
    label : str
    taken : str
        The layer that the study's maps were made at.
    scores : tuple of LayerScore
    """

    label: str
    taken: str
    scores: tuple[LayerScore, ...]

    @property
    def best(self) -> LayerScore:
        """The layer that finds the effect best."""
        return max(self.scores, key=lambda one: one.average_precision)

    @property
    def own(self) -> LayerScore | None:
        """The layer that the study's maps were made at."""
        return next((one for one in self.scores if one.layer == self.taken), None)


def needs_layer(method: str) -> bool:
    """Tell whether a method looks at a layer."""
    return METHODS[method].needs.layer


def layers_of(network: nn.Module, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Find the last layer of each resolution, in the order in which they run.

    Parameters
    ----------
    network : torch.nn.Module
    shape : tuple of 3 ints
        Of the volumes that it takes.

    Returns
    -------
    dict of str to tuple of 3 ints
        Dotted paths, and the shape of what they give.
    """
    last: dict[tuple[int, ...], str] = {}

    def taker(name: str) -> Any:
        def take(module: nn.Module, args: object, out: object) -> None:
            if isinstance(out, torch.Tensor) and out.ndim == 5 and max(out.shape[2:]) > 1:
                size = tuple(out.shape[2:])
                last.pop(size, None)
                last[size] = name

        return take

    leaves = [(n, m) for n, m in network.named_modules() if n and not list(m.children())]
    handles = [module.register_forward_hook(taker(name)) for name, module in leaves]
    try:
        with probe(network) as p, torch.no_grad():
            p.logits(torch.zeros(1, 1, *shape))
    finally:
        for handle in handles:
            handle.remove()
    return {name: size for size, name in last.items()}


def layer_sweep(own: OwnStudy, planted: Planted, progress: Progress) -> dict[str, LayerFinding]:
    """Ask every method that looks at a layer about each layer, on a planted effect.

    No network is trained: those of the spike-in are explained once more, for 20 scans with the
    effect at most. What an earlier run has found is kept.

    Parameters
    ----------
    own : OwnStudy
    planted : Planted
        See `voxplain.pipeline.trust.training.spike.spike_in`.
    progress : Progress

    Returns
    -------
    dict of str to LayerFinding
        By method; empty where none looks at a layer, or the network has no feature maps.
    """
    methods = [name for name in planted.trial.maps if needs_layer(name)]
    if not methods:
        return {}
    folder = own.place(f"spike-{planted.number}")
    request = own.request(folds=planted.trial.folds, spike=planted.number, dprime=planted.dprime)
    told = kept(folder, "layers.json", request, lambda: _swept(own, planted, methods, progress))
    return {
        name: LayerFinding(
            one["label"],
            one["taken"],
            tuple(LayerScore(**{**row, "shape": tuple(row["shape"])}) for row in one["scores"]),
        )
        for name, one in told.items()
    }


def _swept(
    own: OwnStudy, planted: Planted, methods: list[str], progress: Progress
) -> dict[str, Any]:
    folder = own.place(f"spike-{planted.number}")
    cohort, truth = open_store(folder / "cohort"), read_truth(folder)
    folds = networks_of_trial(own, folder, planted.trial.folds, cohort)
    if truth is None:
        return {}
    rows = _cases(cohort, folds)
    layers = layers_of(folds[0].load(), cohort.grid.shape)
    given = options_of(own, methods, cohort)
    found: dict[str, Any] = {}
    with progress.step("Layer by layer", len(methods) * max(len(layers), 1)) as advance:
        for number, name in enumerate(methods):
            width = 0.0 if make_method(name).smooth_mm else FWHM_MM
            scores, taken = [], own.layer_of(name)
            asked = dict(layers)
            # The layer that the study's maps were made at may be none of the last ones.
            for done, layer in enumerate([*asked, own.layer_of(name)], start=1):
                try:
                    mean, path = _mean(own, name, layer, folds, rows, cohort, given[name])
                except VoxplainError as error:
                    scores.append(
                        LayerScore(layer, asked.get(layer, ()), 0.0, 0.0, 0.0, str(error))
                    )
                    continue
                if layer == own.layer_of(name):
                    taken = path
                    if path in asked:
                        break
                scores.append(_score(path, asked.get(path, ()), mean, truth, cohort, width, own))
                advance(number * len(layers) + min(done, len(layers)))
            told = LayerFinding(METHODS[name].info.label, taken, tuple(scores))
            found[name] = asdict(told)
    return found


def _cases(cohort: Cohort, folds: list[Fitted]) -> list[list[int]]:
    """Choose scans with the effect, about as many of each fold."""
    most = max(1, _CASES // len(folds))
    case = len(cohort.class_names) - 1
    return [[row for row in one.rows if cohort.labels[row] == case][:most] for one in folds]


def _mean(
    own: OwnStudy,
    method: str,
    layer: str,
    folds: list[Fitted],
    rows: list[list[int]],
    cohort: Cohort,
    given: Mapping[str, Any],
) -> tuple[NDArray[np.float32], str]:
    """Return the mean map at a layer, and the path of the layer that was taken."""
    total, count, path = np.zeros(cohort.grid.shape), 0, layer
    engine = Engine(device=own.device)
    for fold, some in zip(folds, rows, strict=True):
        if not some:
            continue
        case = len(cohort.class_names) - 1
        made = explained(own, fold.load(), Some(cohort, some), method, case, given, engine, layer)
        total += np.sum([one.values for one in made], axis=0, dtype=np.float64)
        count += len(made)
        path = made[0].provenance.layer or layer
    return (total / count).astype(np.float32), path


def _score(
    layer: str,
    shape: tuple[int, ...],
    mean: NDArray[np.float32],
    truth: Truth,
    cohort: Cohort,
    width: float,
    own: OwnStudy,
) -> LayerScore:
    found = localise(strength(mean, cohort.grid, width), truth.support, truth.brain)
    null = chance_of(mean, truth.support, truth.brain, cohort.grid, width, own.seed, _DRAWS)
    return LayerScore(layer, shape, found.average_precision, found.chance_ap, null.percentile_95)
