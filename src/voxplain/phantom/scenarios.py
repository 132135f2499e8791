"""Scenarios by name, each as hard as is asked for."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from scipy.special import ndtr, ndtri

from voxplain.errors import InputError, unknown_name
from voxplain.phantom.cohort import Scenario
from voxplain.phantom.effects import Effect
from voxplain.phantom.patterns import Interaction, Suppression

__all__ = ["SCENARIOS", "make_scenario"]

# Strengths would leave no signal, or no class, beyond these.
_LEAST, _MOST = 0.1, 4.0


def _additive(dprime: float) -> Scenario:
    return Scenario(effect=Effect(strength=dprime * Effect().spread))


def _interaction(dprime: float) -> Scenario:
    # Right about both parts or wrong about both: q² + (1 - q)² is the accuracy of d'.
    accuracy = ndtr(dprime / 2)
    right = (1 + np.sqrt(2 * accuracy - 1)) / 2
    spread = Interaction().strength / (2 * float(ndtri(right)))
    return Scenario(effect=Interaction(spread=spread))


def _suppressor(dprime: float) -> Scenario:
    usual = Suppression()
    own, shared = usual.noise**2 + usual.spread**2, usual.noise**2
    strength = dprime / float(np.sqrt(own / (own**2 - shared**2)))
    return Scenario(effect=Suppression(strength=strength))


def _head_size(dprime: float) -> Scenario:
    return Scenario(effect=Effect(strength=0.0), head_size=dprime)


def _head_size_and_effect(dprime: float) -> Scenario:
    # Half of what there is to know lies in either.
    share = dprime / float(np.sqrt(2))
    return Scenario(effect=Effect(strength=share * Effect().spread), head_size=share)


def _shortcut(dprime: float) -> Scenario:
    return Scenario(effect=Effect(strength=0.0), mark=dprime)


def _families(dprime: float) -> Scenario:
    return Scenario(effect=Effect(strength=dprime * Effect().spread), family_size=2)


def _null(dprime: float) -> Scenario:
    return Scenario(effect=Effect(strength=0.0))


SCENARIOS = MappingProxyType[str, Callable[[float], Scenario]](
    {
        "additive": _additive,
        "interaction": _interaction,
        "suppressor": _suppressor,
        "head-size": _head_size,
        "head-size-and-effect": _head_size_and_effect,
        "shortcut": _shortcut,
        "families": _families,
        "null": _null,
    }
)
"""From d' to a scenario whose best observer is right Phi(d' / 2) of the time (null: half)."""


def make_scenario(name: str, dprime: float = 3.0) -> Scenario:
    """Make a scenario of a stated difficulty.

    Parameters
    ----------
    name : str
        From `SCENARIOS`.
    dprime : float, default=3.0
        The best observer is right Phi(d' / 2) of the time.

    Returns
    -------
    Scenario

    Raises
    ------
    InputError
        If the name is unknown, or d' lies outside 0.1 to 4.
    """
    if name not in SCENARIOS:
        raise unknown_name("scenario", name, SCENARIOS)
    if not _LEAST <= dprime <= _MOST:
        raise InputError(f"dprime must lie from {_LEAST} to {_MOST:g}; {dprime} was given.")
    return SCENARIOS[name](dprime)
