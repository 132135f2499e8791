"""How often a test may be wrong, and of how little it may judge."""

from __future__ import annotations

from typing import Final

__all__ = ["FEWEST_DELETED", "LEVEL"]

LEVEL: Final = 0.05
"""How often a test may fail a study in which nothing is wrong."""

FEWEST_DELETED: Final = 3
"""Scans of which deletion is judged: of one alone, a clean study's map lost against random maps."""
