"""Numbers as a reader meets them, the same in figures, tables and sentences."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["cell", "duration", "interval", "number", "share", "two_decimals"]

MISSING: Final = "–"
_SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 2) -> str:
    """Write a number for a reader: ``0.25``, ``−3.1×10⁻⁵``."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e4:
        text = f"{value:.{digits}g}"
        if "e" in text:
            text = f"{float(text):.0f}"
        return text.replace("-", "−")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa.replace('-', '−')}×10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def share(value: float) -> str:
    """Write a share or a correlation as short as can be: ``.61``, ``−.04``, ``.002``, ``1.00``."""
    small = 0 < abs(value) < 0.005
    text = f"{abs(value):.1g}" if small else f"{abs(value):.2f}"
    if "e" in text:
        return number(value, 1)
    text = text.removeprefix("0") if abs(value) < 1 else text
    return f"−{text}" if value < 0 else text


def two_decimals(value: float) -> str:
    """Write a correlation or a t with two decimals, one below the other: ``−0.04``, ``0.00``."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def cell(value: object) -> str:
    """Write a value for a table: three decimals, ``–`` for what is missing.

    Parameters
    ----------
    value : object
        A number, truth value, pair of numbers (an interval), text, or None.

    Returns
    -------
    str
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list) and len(value) == 2:
        return interval(value)
    if isinstance(value, int):
        return str(value).replace("-", "−")
    if not isinstance(value, float):
        return str(value)
    if value != 0 and not 5e-4 <= abs(value) < 1e5:
        return number(value, 3)
    return f"{value:.3f}".replace("-", "−")


def interval(bounds: object) -> str:
    """Write two bounds as ``0.874 to 0.981``; ``–`` for what is missing."""
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        return MISSING
    return f"{cell(_real(bounds[0]))} to {cell(_real(bounds[1]))}"


def duration(seconds: float | None) -> str:
    """Write a time in the unit that suits it: ``0.12 s``, ``4.6 s``, ``3 min 20 s``."""
    if seconds is None:
        return MISSING
    if seconds >= 90:
        whole = round(seconds)
        return f"{whole // 60} min {whole % 60} s"
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"


def _real(value: object) -> object:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
