"""``voxplain group`` with nulls that workers find."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial

from voxplain.pipeline.group.null.pieces import pieces_of
from voxplain.pipeline.group.opening import open_group
from voxplain.pipeline.group.options import GroupOptions
from voxplain.pipeline.group.parts import group_part, shared_setting
from voxplain.pipeline.group.run import GroupFound, group_study
from voxplain.pipeline.shards.cluster import make_parts
from voxplain.pipeline.shards.parts import Part, Workers
from voxplain.progress import Progress, Silent

__all__ = ["group_on_workers"]


def group_on_workers(options: GroupOptions, workers: Workers, progress: Progress) -> GroupFound:
    """Test as `group_study` does; workers share out the arrangements.

    Raises
    ------
    VoxplainError
        As `group_study` and `voxplain.pipeline.shards.cluster.make_parts`.
    """
    options = replace(options, study=options.study.absolute())
    name = group_part(options, Part(0, 1), Silent())
    asked = open_group(options, progress)
    count = shared_setting(asked).ways.count(options.test.permutations)
    units = len(asked.chosen) * len(pieces_of(count))
    each = max((os.cpu_count() or 1) // max(workers.count, 1), 1)
    shared = replace(options, test=replace(options.test, threads=each))
    make_parts(partial(_make, shared, name), workers.parts(units), workers, progress)
    return group_study(options, progress)


def _make(options: GroupOptions, name: str, part: Part) -> None:
    group_part(options, part, Silent(), name)
