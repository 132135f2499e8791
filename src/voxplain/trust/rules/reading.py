"""Rules of one's own, read from what a TOML or JSON file holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, cast, get_args

from voxplain.errors import InputError
from voxplain.results.trust import Rule, Weight
from voxplain.trust.rules.table import RULES

__all__ = ["read_rules"]

_CHANGED = ("threshold", "weight", "off")


def read_rules(given: Mapping[str, Any]) -> dict[str, Rule]:
    """Change the table of rules.

    Parameters
    ----------
    given : mapping
        For each test that is to be judged otherwise, ``threshold``, a number; ``weight``,
        ``"decisive"`` or ``"care"``; or ``off``, true, to leave the test out.

    Returns
    -------
    dict of str to Rule
        All rules, changed or not, in their order.

    Raises
    ------
    InputError
        If a test is not known, or something else of it is to be changed, or to what is not allowed.
    """
    rules = dict(RULES)
    for test, changes in given.items():
        if test not in RULES:
            close = get_close_matches(str(test), RULES, n=1)
            hint = f" did you mean {close[0]!r}?" if close else f" there are {', '.join(RULES)}."
            raise InputError(f"The rules name a test {str(test)!r} that is not known;{hint}")
        if not isinstance(changes, Mapping):
            raise InputError(
                f"The rule of {test!r} must say a threshold, a weight or off; {changes!r} was "
                "given."
            )
        changed = _changed(rules[test], changes)
        if changed is None:
            del rules[test]
        else:
            rules[test] = changed
    return rules


def _changed(rule: Rule, changes: Mapping[str, Any]) -> Rule | None:
    for what in changes:
        if what not in _CHANGED:
            raise InputError(
                f"The rule of {rule.test!r} may change {', '.join(_CHANGED)}; {str(what)!r} was "
                "given."
            )
    off = changes.get("off", False)
    if not isinstance(off, bool):
        raise InputError(f"'off' of the rule of {rule.test!r} must be true or false; got {off!r}.")
    if off:
        return None
    if "threshold" in changes:
        limit = changes["threshold"]
        number = isinstance(limit, int | float) and not isinstance(limit, bool)
        if not number or not math.isfinite(limit):
            raise InputError(
                f"The threshold of {rule.test!r} must be a finite number; {limit!r} was given."
            )
        rule = replace(rule, threshold=float(limit))
    if "weight" in changes:
        weight = changes["weight"]
        if weight not in get_args(Weight):
            raise InputError(
                f"The weight of {rule.test!r} must be decisive or care; {weight!r} was given."
            )
        rule = replace(rule, weight=cast("Weight", weight))
    return rule
