"""Scenarios by name, each as hard as is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from scipy.special import ndtr, ndtri

from voxplain.errors import InputError, unknown_name
from voxplain.phantom.anatomy import Anatomy
from voxplain.phantom.effects import Effect
from voxplain.phantom.growth import Growth
from voxplain.phantom.patterns import Interaction, Suppression
from voxplain.phantom.scenario import Scenario

__all__ = ["PRESETS", "SCENARIOS", "make_scenario"]

# Strengths would leave no signal, or no class, beyond these.
_LEAST, _MOST = 0.1, 4.0
_USUAL = 3.0
_HEADS, _HEADS_DPRIME = 1.156, 1.77


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


def _sex_like() -> Scenario:
    # The logarithm of a head's linear size is a third of that of its volume.
    size_sd = float(np.log(_HEADS)) / 3 / _HEADS_DPRIME
    return Scenario(
        effect=Growth(), anatomy=replace(Anatomy(), size_sd=size_sd), head_size=_HEADS_DPRIME
    )


PRESETS = MappingProxyType[str, Callable[[], Scenario]]({"sex-like": _sex_like})
"""Scenarios that follow measured effects and are as hard as these are.

*sex-like*: heads of the two classes as those of women and men in IXI (n = 291; ratio of the
intracranial volumes 1.156, d = 1.77), and regions that differ by 2 to 5 % once size is gone
(d = 0.3 each, where .3 to .35 was the largest found). Which regions, is made up.
"""

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


def make_scenario(name: str, dprime: float | None = None) -> Scenario:
    """Make a scenario of a stated difficulty.

    Parameters
    ----------
    name : str
        From `SCENARIOS` or `PRESETS`.
    dprime : float, optional
        The best observer is right Phi(d' / 2) of the time; 3 by default. A preset takes none.

    Returns
    -------
    Scenario

    Raises
    ------
    InputError
        If the name is unknown, d' lies outside 0.1 to 4, or a preset was given one.
    """
    if name in PRESETS:
        if dprime is not None:
            raise InputError(
                f"{name} is as hard as the effects that were measured; leave dprime out "
                f"({dprime} was given)."
            )
        return PRESETS[name]()
    if name not in SCENARIOS:
        raise unknown_name("scenario", name, [*SCENARIOS, *PRESETS])
    dprime = _USUAL if dprime is None else dprime
    if not _LEAST <= dprime <= _MOST:
        raise InputError(f"dprime must lie from {_LEAST} to {_MOST:g}; {dprime} was given.")
    return SCENARIOS[name](dprime)
