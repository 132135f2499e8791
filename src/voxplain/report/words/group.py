"""Tests over participants in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxplain.results.study import GroupTest

__all__ = [
    "coordinates",
    "effect_words",
    "p_cells",
    "p_columns",
    "p_text",
    "statistic_words",
    "test_title",
]

_STATISTIC = {
    "voxel": "single voxels",
    "size": "cluster size",
    "mass": "cluster mass",
    "tfce": "TFCE",
}


def statistic_words(name: str) -> str:
    """Name a statistic."""
    return _STATISTIC.get(name, name)


def test_title(test: GroupTest) -> str:
    """Say what was tested."""
    only = test.request.get("only")
    return f"{test.label} for {test.target}: {effect_words(test)}" + (
        f", {only.replace('=', ' ')}" if only else ""
    )


def effect_words(test: GroupTest) -> str:
    """Name what was tested, with a minus sign between two levels."""
    return str(test.told["effect"]).replace(" - ", " − ")


def p_text(value: float) -> str:
    """Write a p: ``p = 0.020``, ``p < .001``."""
    return "p < .001" if value < 0.001 else f"p = {value:.3f}"


def p_columns(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Head the columns of corrected p that a row of a table has."""
    return tuple(f"p, {statistic_words(name[2:])}" for name in row if name.startswith("p_"))


def p_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Write the corrected p of a row."""
    values = [float(value) for name, value in row.items() if name.startswith("p_")]
    return tuple(p_text(one).removeprefix("p ").removeprefix("= ") for one in values)


def coordinates(place: tuple[float, float, float]) -> str:
    """Write a place, mm, which no line breaks."""
    return ",\u00a0".join(str(round(x)).replace("-", "−") for x in place)
