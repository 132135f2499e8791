"""Whether a method of Captum that works by hooks does on a network what its name says."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from torch import nn

from voxplain.attribution.method import Note
from voxplain.attribution.methods.captum.stand_ins import StandIns, stand_ins
from voxplain.attribution.network.rectifiers import Rectifiers, Rule
from voxplain.errors import NetworkError, VoxplainWarning

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.target import Chosen

__all__ = [
    "DEEPLIFT",
    "RECTIFIED",
    "Scored",
    "check_rectified",
    "hookable",
    "incomplete",
    "passed_on_warnings",
]

RECTIFIED: dict[str, tuple[Rule, str]] = {
    "GuidedBackprop": ("guided", "guided-backprop"),
    "GuidedGradCam": ("guided", "guided-grad-cam"),
    "Deconvolution": ("deconvolution", "deconvolution"),
}
"""Methods that change the gradient of ReLUs: the rule, and voxplain's own method."""

DEEPLIFT = ("DeepLift", "DeepLiftShap", "LayerDeepLift", "LayerDeepLiftShap")
"""Methods that compare every activation with that of a baseline."""

# What Captum says of its own doings, on every run.
_ROUTINE = ("Setting forward, backward hooks", "Setting backward hooks on ReLU")
# Of the largest value; of the difference; of the sum of sizes.
_SAME, _ADDS_UP, _ROUNDING = 1e-3, 1e-2, 1e-5


class Scored(nn.Module):
    """The network up to the one number that is explained, for a single volume's target.

    Captum finds the stand-ins for activations as its modules, and not those of the network.

    Parameters
    ----------
    probe : Probe
    chosen : Chosen
    modules : StandIns
    """

    def __init__(self, probe: Probe, chosen: Chosen, modules: StandIns) -> None:
        super().__init__()
        self.training = False
        self.probe, self.chosen, self.mode = probe, chosen, modules
        self.activations = modules.modules

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map volumes (N, 1, X, Y, Z) to the explained scalar (N,)."""
        with self.mode:
            logits = self.probe.logits(x)
        return self.chosen.repeat(len(x)).score(logits)


def hookable(name: str, probe: Probe, x: torch.Tensor) -> tuple[StandIns, tuple[Note, ...]]:
    """Make modules for the activations that a method changes, however the network calls them.

    Parameters
    ----------
    name : str
        Of Captum's class.
    probe : Probe
    x : tensor (1, 1, X, Y, Z)

    Returns
    -------
    modules : StandIns
        None in it for methods that do not work by hooks.
    notes : tuple of Note
        What is left as it is.

    Raises
    ------
    NetworkError
        If there is nothing that the method changes, or it is out of reach.
    """
    if name not in RECTIFIED and name not in DEEPLIFT:
        return StandIns(frozenset()), ()
    network = type(probe.model).__name__
    if any(isinstance(module, torch.jit.ScriptModule) for module in probe.model.modules()):
        raise NetworkError(
            f"{network} contains TorchScript modules, which the hooks of Captum's {name} cannot "
            "reach; give the network as Python modules."
        )
    if name in DEEPLIFT:
        made = stand_ins(probe, x)
        others = _counted(made.others)
        words = (
            f"Captum's {name} has no rule for {others} and takes the plain gradient there, so that "
            "the map is not DeepLIFT in full"
        )
        return made, (Note(words, warn=True),) if others else ()
    made = stand_ins(probe, x, frozenset({"relu"}))
    if not made.modules:
        raise NetworkError(
            f"{network} runs no ReLU, so Captum's {name} would use the plain gradient; use method "
            "'gradient'."
        )
    others = _counted({n: c for n, c in made.others.items() if "pool" not in n})
    return made, (Note(f"other activations keep their plain gradient: {others}"),) if others else ()


def _counted(calls: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in calls.items())


def check_rectified(
    name: str, probe: Probe, x: torch.Tensor, chosen: Chosen, made: torch.Tensor
) -> None:
    """Refuse a gradient that is not that of the rule, compared with voxplain's own.

    Parameters
    ----------
    name : str
        Of Captum's class.
    probe : Probe
    x : tensor (1, 1, X, Y, Z)
    chosen : Chosen
        What is explained.
    made : tensor (1, 1, X, Y, Z)
        Captum's gradient.

    Raises
    ------
    NetworkError
        If the two differ by more than rounding.
    """
    rule, own = RECTIFIED[name]
    leaf = x.detach().clone().requires_grad_()
    with Rectifiers(rule):
        wanted = probe.gradient(chosen.score(probe.logits(leaf)), leaf)
    if float((made - wanted).abs().max()) > _SAME * float(wanted.abs().max()):
        raise NetworkError(
            f"Captum's {name} gives something else on {type(probe.model).__name__} than the rule "
            f"it is named after; use method {own!r}."
        )


def incomplete(name: str, made: torch.Tensor, delta: torch.Tensor) -> tuple[Note, ...]:
    """Warn where a map of DeepLIFT does not add up to the difference that it divides.

    Parameters
    ----------
    name : str
        Of Captum's class.
    made : tensor (1, ...)
        Captum's attributions.
    delta : tensor (M,)
        By how much they exceed the difference, for each baseline.

    Returns
    -------
    tuple of Note
    """
    excess = float(delta.double().mean())
    total = float(made.double().sum())
    size = float(made.double().abs().sum())
    if abs(excess) <= _ADDS_UP * abs(total - excess) + _ROUNDING * size:
        return ()
    return (
        Note(
            f"Captum's {name} adds up to {total:.3g} where the logit differs from the baseline's "
            f"by {total - excess:.3g}, so that it does not account for the logit",
            warn=True,
        ),
    )


def passed_on_warnings(name: str, caught: Iterable[warnings.WarningMessage]) -> tuple[Note, ...]:
    """Say what Captum, or the network, warned of; voxplain's own warnings are given as they are.

    Parameters
    ----------
    name : str
        Of Captum's class.
    caught : iterable of warnings.WarningMessage

    Returns
    -------
    tuple of Note
        Each warning once, without those that come on every run and those for programmers.
    """
    told: dict[str, None] = {}
    for one in caught:
        if issubclass(one.category, VoxplainWarning):
            warnings.warn(str(one.message), one.category, stacklevel=3)
        elif issubclass(one.category, UserWarning | RuntimeWarning):
            text = " ".join(str(one.message).split()).rstrip(".")
            if not text.startswith(_ROUTINE):
                told[text] = None
    return tuple(Note(f"Captum's {name} warns: {text}", warn=True) for text in told)
