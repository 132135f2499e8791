"""Networks that a user's own module builds."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["importable_here"]


@contextlib.contextmanager
def importable_here() -> Iterator[None]:
    """Let ``--network mymodule:build`` find a module in the working folder."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
