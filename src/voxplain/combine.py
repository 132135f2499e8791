"""Two maps of one thing made into one."""

from __future__ import annotations

from typing import Any

__all__ = ["agreeing_mean"]


def agreeing_mean(first: Any, second: Any, weight: float) -> Any:
    """Take the weighted geometric mean of two signed maps where they agree in sign, else 0.

    Parameters
    ----------
    first, second : array or tensor of one shape
    weight : float
        Of the second map, from 0 to 1.

    Returns
    -------
    array or tensor
        ``|first| ** (1 - weight) * |second| ** weight``, with the sign of both.
    """
    size = abs(first) ** (1 - weight) * abs(second) ** weight
    return size * ((first > 0) & (second > 0)) - size * ((first < 0) & (second < 0))
