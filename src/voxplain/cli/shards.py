"""What is told of a part of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from voxplain.pipeline.shards.parts import Part

__all__ = ["tell_part"]


def tell_part(run: str, part: Part, study: Path, console: Console) -> None:
    """Say that a part is done, or that its run is fixed, and what comes next."""
    done = f"Part {part} of {run} is done" if part.number else f"{run} is fixed"
    console.print(
        f"{done}; the same command without --shard joins all parts of {study}.",
        highlight=False,
        soft_wrap=True,
    )
