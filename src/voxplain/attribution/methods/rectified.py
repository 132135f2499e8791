"""The gradient with respect to the input under another rule for ReLUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxplain.attribution.method import Note
from voxplain.attribution.network.insides import is_scripted
from voxplain.attribution.network.rectifiers import Rectifiers
from voxplain.errors import NetworkError

if TYPE_CHECKING:
    import torch

    from voxplain.attribution.network.probe import Probe
    from voxplain.attribution.network.rectifiers import Rule
    from voxplain.attribution.network.target import Chosen, Target

__all__ = ["rectified_gradient"]

_WORDS: dict[Rule, str] = {"guided": "guided backpropagation", "deconvolution": "deconvolution"}


def rectified_gradient(
    probe: Probe, x: torch.Tensor, target: Target, rule: Rule
) -> tuple[torch.Tensor, Chosen, tuple[Note, ...]]:
    """Differentiate the target's logit with respect to the input, under a rule for ReLUs.

    Parameters
    ----------
    probe : Probe
    x : tensor (N, 1, X, Y, Z)
    target : Target
    rule : {"guided", "deconvolution"}

    Returns
    -------
    gradient : tensor (N, 1, X, Y, Z)
    chosen : Chosen
    notes : tuple of Note
        The number of calls reached, for every sample of the batch alike.

    Raises
    ------
    NetworkError
        If the network runs no ReLU, or runs compiled TorchScript, whose ReLUs are out of reach.
    """
    name = type(probe.model).__name__
    if is_scripted(probe.model):
        raise NetworkError(
            f"{name} contains TorchScript modules, whose ReLUs {_WORDS[rule]} cannot reach; give "
            "the network as Python modules."
        )
    with Rectifiers(rule) as mode:
        gradient, chosen = probe.input_gradient(x, target)
    if not mode.relus:
        raise NetworkError(
            f"{name} runs no ReLU, so {_WORDS[rule]} would be the plain gradient; use method "
            "'gradient'."
        )
    notes = [Note(f"negative gradients stopped at {mode.relus} ReLU calls")]
    if mode.others:
        notes.append(Note(f"{mode.others} calls of other activations keep their plain gradient"))
    return gradient, chosen, tuple(notes)
