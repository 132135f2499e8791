"""What ``benchmarks/`` measured, read for the docs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["read", "short"]

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def read(name: str) -> dict[str, Any]:
    """Read a file of measurements."""
    found: dict[str, Any] = json.loads((BENCHMARKS / name).read_text(encoding="utf-8"))
    return found


def short(value: float, digits: int = 2) -> str:
    """Write a share without its zero."""
    return f"{value:.{digits}f}".removeprefix("0")
