"""``voxplain trust`` with tests that workers do."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from voxplain.pipeline.shards.cluster import make_parts
from voxplain.pipeline.shards.parts import Part, Workers
from voxplain.pipeline.trust.opening import TrustOptions
from voxplain.pipeline.trust.order import TESTS
from voxplain.pipeline.trust.parts import trust_part
from voxplain.pipeline.trust.run import run_trust
from voxplain.progress import Progress, Silent
from voxplain.results.trust import TrustResult

__all__ = ["trust_on_workers"]


def trust_on_workers(options: TrustOptions, workers: Workers, progress: Progress) -> TrustResult:
    """Judge as `run_trust` does, by tests that workers do, each a part.

    Raises
    ------
    VoxplainError
        As `run_trust` and `voxplain.pipeline.shards.cluster.make_parts`.
    """
    options = replace(options, study=options.study.absolute())
    name = trust_part(options, Part(0, 1), Silent())
    make_parts(partial(_make, options, name), len(TESTS), workers, progress)
    return run_trust(options, progress)


def _make(options: TrustOptions, name: str, part: Part) -> None:
    trust_part(options, part, Silent(), name)
