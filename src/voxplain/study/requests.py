"""What a result was made from, and whether it is what is asked for now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["LOGITS", "changed", "same_request"]

LOGITS = "logits_on_noise"
"""Entry of a request that holds outputs of networks, which rounding may change."""

_RELATIVE, _ROUNDING = 1e-3, 2e-6
_WORDS = {
    LOGITS: "network's code",
    "class": "network",
    "image_sha256": "image",
    "input_sha256": "image",
    "weights_sha256": "weights",
    "cohort_sha256": "other scans",
    "output_unit": "unit",
    "class_names": "class names",
}


def same_request(kept: Any, wanted: Any) -> bool:
    """Tell whether two requests ask for the same.

    Parameters
    ----------
    kept, wanted : mapping
        As JSON holds them. Outputs of networks may differ by rounding, which depends on the number
        of threads and on the machine; all else must be equal.

    Returns
    -------
    bool
    """
    return isinstance(kept, Mapping) and not _differing(kept, wanted)


def changed(kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Name in words, each once, the entries in which two requests differ."""
    keys = _differing(kept, wanted)
    if "weights_sha256" in keys:
        # Other weights give other outputs, whatever the code.
        keys = [key for key in keys if key != LOGITS]
    return list(dict.fromkeys(_WORDS.get(key, key) for key in keys))


def _differing(kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    found = []
    for key in dict.fromkeys([*kept, *wanted]):
        old, new = kept.get(key), wanted.get(key)
        if key not in kept or key not in wanted:
            found.append(key)
        elif key == LOGITS:
            found += [] if _close(old, new) else [key]
        elif isinstance(old, Mapping) and isinstance(new, Mapping):
            inner = _differing(old, new)
            found += [name if name in _WORDS else key for name in inner]
        elif old != new:
            found.append(key)
    return found


def _close(old: Any, new: Any) -> bool:
    """Compare the outputs of each network; what could not be computed is equal to nothing."""
    same_count = bool(old) and bool(new) and len(old) == len(new)
    return same_count and all(_close_rows(*pair) for pair in zip(old, new, strict=True))


def _close_rows(old: Any, new: Any) -> bool:
    if not old or not new or np.shape(old) != np.shape(new):
        return False
    a, b = np.asarray(old, np.float64), np.asarray(new, np.float64)
    largest = np.abs(b).max(1)
    # What is the same for all inputs, such as a mean age of 60, says nothing about the network.
    varies = np.minimum(largest, np.ptp(b, axis=0).max())
    return bool((np.abs(a - b).max(1) <= _RELATIVE * varies + _ROUNDING * largest).all())
