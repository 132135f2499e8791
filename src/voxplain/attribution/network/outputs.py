"""What a network gives back, brought to logits (N, K)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from voxplain.errors import NetworkError

__all__ = ["Head", "as_logits", "find_head", "head_words", "probabilities"]

Head = Literal["logits", "softmax", "sigmoid"]

# By their names in torch's own list of operations, as `Trace.last` gives them.
_SOFTMAX = ("_softmax", "_safe_softmax", "exp", "div", "")
_SIGMOID = ("sigmoid",)


@dataclass(frozen=True)
class _Found:
    values: torch.Tensor | None
    words: str


def as_logits(output: object, network: str, count: int, head: Head = "logits") -> torch.Tensor:
    """Bring a network's output to logits of shape (N, K).

    Parameters
    ----------
    output : tensor (N, K), (N, 1), (N,) or (N, K, 1, 1, 1)
        Also without the axis of a single volume or of a single output, as ``squeeze()`` leaves it,
        alone in a list, a tuple or a mapping, or under the key ``"logits"`` of one.
    network : str
        Name of the network's class, for the error.
    count : int
        N, the volumes that the network was given.
    head : {"logits", "softmax", "sigmoid"}
        See `find_head`. Probabilities become logits: their logarithms after a softmax, their
        log-odds after a sigmoid.

    Returns
    -------
    tensor (N, K)

    Raises
    ------
    NetworkError
        If the output is anything else, or keeps not as many samples as it was given.
    """
    found = _only_tensor(output)
    if found.values is None or not found.values.is_floating_point():
        raise NetworkError(
            f"{network} gives {found.words}, but logits of shape (N, K), (N, 1) or (N,) are "
            "needed; wrap it in a module that returns the logits alone."
        )
    logits = _two_axes(found.values, count)
    if logits is None:
        raise NetworkError(
            f"{network} gives {found.words} for {count} volume{'s' * (count > 1)}, but logits of "
            "shape (N, K), (N, 1) or (N,) are needed; wrap it in a module that returns one row "
            "of logits for each volume."
        )
    if head == "logits":
        return logits
    small = torch.finfo(logits.dtype).tiny
    if head == "softmax" and logits.shape[1] > 1:
        return logits.clamp_min(small).log()
    # A softmax of which one column was kept is the probability of that class as well.
    return logits.clamp_min(small).log() - torch.log1p(-logits.clamp_max(1 - 2.0**-24))


def _only_tensor(output: object) -> _Found:
    if isinstance(output, torch.Tensor):
        kind = "" if output.is_floating_point() else f" of {str(output.dtype)[6:]}"
        return _Found(output, f"a tensor{kind} of shape {tuple(output.shape)}")
    if isinstance(output, Mapping):
        named = {str(key): value for key, value in output.items()}
        if "logits" in named:
            return _only_tensor(named["logits"])
        items, words = list(named.values()), f"a {type(output).__name__} of {', '.join(named)}"
    elif isinstance(output, Sequence) and not isinstance(output, str):
        items, words = list(output), f"a {type(output).__name__} of {len(output)}"
    else:
        return _Found(None, f"a {type(output).__name__}")
    if len(items) == 1:
        return _only_tensor(items[0])
    return _Found(None, words)


def _two_axes(values: torch.Tensor, count: int) -> torch.Tensor | None:
    while values.ndim > 2 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim == 2 and len(values) == count:
        return values
    if values.ndim == 0 and count == 1:
        return values.reshape(1, 1)
    if values.ndim == 1 and len(values) == count:
        return values[:, None]
    if values.ndim == 1 and count == 1:
        return values[None]
    return None


def find_head(logits: torch.Tensor, last: str) -> Head:
    """Tell whether a network ends in a softmax or a sigmoid.

    Parameters
    ----------
    logits : tensor (N, K)
        The output as `as_logits` brings it to two axes.
    last : str
        The operation that gave it, see `Trace`; empty where unknown.

    Returns
    -------
    {"logits", "softmax", "sigmoid"}
        Probabilities lie between 0 and 1; in several columns they come out of a sigmoid, or add up
        to 1 in every row; in a single one they come out of a sigmoid or a softmax.
    """
    if not bool(((logits >= 0) & (logits <= 1)).all()):
        return "logits"
    if logits.shape[1] == 1:
        return "sigmoid" if last in (*_SIGMOID, "_softmax") else "logits"
    if last in _SIGMOID:
        return "sigmoid"
    adds_up = bool(((logits.sum(1) - 1).abs() < 1e-3).all())
    return "softmax" if adds_up and last in _SOFTMAX else "logits"


def head_words(head: Head, network: str) -> str:
    """Say what was found and what follows from it."""
    if head == "softmax":
        return (
            f"{network} ends in a softmax, so its probabilities are turned into logits by their "
            "logarithm, and the log-odds are explained"
        )
    return (
        f"{network} ends in a sigmoid, so its probabilities are turned into logits, and the "
        "log-odds are explained"
    )


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Turn logits into probabilities.

    Parameters
    ----------
    logits : array (N, K), logit

    Returns
    -------
    array (N, K), probability
        Softmax over K >= 2 classes; for a single logit (N, 1) its sigmoid, the probability of
        class 1.
    """
    z = np.asarray(logits, dtype=np.float64)
    if z.shape[1] == 1:
        return np.asarray(np.exp(-np.logaddexp(0, -z)))
    return np.asarray(softmax(z, axis=1))
