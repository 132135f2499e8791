"""How often a test may be wrong."""

from __future__ import annotations

from typing import Final

__all__ = ["LEVEL"]

LEVEL: Final = 0.05
"""How often a test may fail a study in which nothing is wrong."""
