"""Parts of a run: who makes them, and what is told of one."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxplain.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from voxplain.pipeline.shards.parts import Part, Workers

__all__ = [
    "DaskOption", "ManifestOption", "ShardOption", "WorkersOption", "read_shard", "read_workers",
    "tell_part",
]  # fmt: skip

ShardOption = Annotated[
    str | None,
    typer.Option(help="Make part i of n, as 3/10; the command without it joins."),
]
ManifestOption = Annotated[
    str | None, typer.Option(help="Run that the part belongs to, as part 0/n names it.")
]
WorkersOption = Annotated[
    int | None, typer.Option(help="Of a study, make the parts in so many processes, with Dask.")
]
DaskOption = Annotated[
    str | None, typer.Option(help="Of a study, make them on the workers of this Dask scheduler.")
]


def read_shard(shard: str | None, manifest: str | None) -> Part | None:
    """Read ``--shard``; None where it is not given.

    Raises
    ------
    InputError
        If there is no such part, or ``--manifest`` is given alone.
    """
    from voxplain.pipeline.shards.parts import read_part

    if manifest and not shard:
        raise InputError("--manifest belongs to --shard; give both.")
    return read_part(shard) if shard else None


def read_workers(count: int | None, address: str | None, shard: str | None) -> Workers | None:
    """Read ``--workers`` and ``--dask``; None where neither is given.

    Raises
    ------
    InputError
        If two ways of making parts are given, no worker is asked for, or Dask is not installed.
    """
    from voxplain.pipeline.shards.parts import Workers

    if count is None and address is None:
        return None
    if (count is not None) + (address is not None) + bool(shard) > 1:
        raise InputError("--workers, --dask and --shard exclude each other; give one of them.")
    if count is not None and count < 1:
        raise InputError(f"--workers must be 1 or more; {count} was given.")
    if find_spec("distributed") is None:
        raise InputError(
            "--workers and --dask need Dask; install it with: pip install 'voxplain[cluster]', or "
            "start the parts yourself with --shard."
        )
    return Workers(count or 0, address or "")


def tell_part(run: str, part: Part, study: Path, console: Console) -> None:
    """Say that a part is done, or that its run is fixed, and what comes next."""
    done = f"Part {part} of {run} is done" if part.number else f"{run} is fixed"
    console.print(
        f"{done}; the same command without --shard joins all parts of {study}.",
        highlight=False,
        soft_wrap=True,
    )
