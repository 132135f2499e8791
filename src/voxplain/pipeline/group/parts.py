"""``voxplain group`` in parts: some arrangements of one method's test are a unit."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import Any

from voxplain.errors import InputError
from voxplain.pipeline.brain import brain_of
from voxplain.pipeline.group.null.device import null_on
from voxplain.pipeline.group.null.pieces import NullPieces, pieces_of
from voxplain.pipeline.group.opening import AskedGroup, open_group
from voxplain.pipeline.group.options import GroupOptions
from voxplain.pipeline.group.setting import Setting
from voxplain.pipeline.shards.manifest import BUSY, STORE, cohort_hashes, find_manifest, fixed_run
from voxplain.pipeline.shards.parts import Part, PartRecord
from voxplain.pipeline.shards.stopping import stoppable
from voxplain.progress import Progress
from voxplain.study.locks import at_work

__all__ = ["find_pieces", "group_part", "shared_setting"]


def group_part(
    options: GroupOptions, part: Part, progress: Progress, name: str | None = None
) -> str:
    """Find a part of the nulls of all tests, for `group_study` to join.

    Parameters
    ----------
    options : GroupOptions
    part : Part
    progress : Progress
    name : str, optional
        Of the run, as part 0 returns it; by default the one that was asked the same.

    Returns
    -------
    str
        Name of the run.

    Raises
    ------
    StoppedError
        If the end was asked for by a signal.
    VoxplainError
        As `group_study`; and if maps or table changed since the run was fixed.
    """
    busy = BUSY.format(options.study)
    with at_work(options.study / STORE, together=True, busy=busy), stoppable() as stop:
        asked = open_group(options, progress)
        setting = shared_setting(asked)
        manifest = fixed_run(asked.study, "group", _asked(options), _found(asked, setting), name)
        every = pieces_of(setting.ways.count(options.test.permutations))
        mine = part.cut([(maps, piece) for maps in asked.chosen for piece in every])
        if not part.number:
            return manifest.name
        pieces = NullPieces(asked.study, manifest)
        record = PartRecord(asked.study, manifest.name, part, len(mine))
        with record.kept():
            for maps in asked.chosen:
                test = setting.name(maps)
                own = [piece for other, piece in mine if other is maps]
                missing = [piece for piece in own if pieces.read(test, piece) is None]
                record.done += len(own) - len(missing)
                if not missing:
                    continue
                mask = brain_of(asked.cohort, asked.rows, progress)
                _, prepared = setting.prepared(maps, mask)
                find = partial(prepared.null, progress, null_on(options.device))
                for piece in missing:
                    pieces.write(test, piece, find(part=piece))
                    record.done += 1
                    record.tell("running")
                    stop()
        return manifest.name


def shared_setting(asked: AskedGroup) -> Setting:
    """Return the setting of tests whose arrangements can be shared out.

    Raises
    ------
    InputError
        If nothing is tested, or not by arrangements of the subjects.
    """
    if asked.setting is None or asked.options.null != "permutation":
        raise InputError(
            "--shard and --workers share out arrangements of the subjects; leave them out with "
            "--means-only, --null labels and --null untrained."
        )
    return asked.setting


def find_pieces(asked: AskedGroup, setting: Setting) -> NullPieces | None:
    """Find the run whose parts made pieces of what is asked; None where there is none.

    Raises
    ------
    StudyError
        If maps or table changed since the run was fixed.
    """
    kept = find_manifest(asked.study, _asked(asked.options), None)
    if kept is None:
        return None
    kept.require(_found(asked, setting), asked.study)
    return NullPieces(asked.study, kept)


def _asked(options: GroupOptions) -> dict[str, Any]:
    return options.told()


def _found(asked: AskedGroup, setting: Setting) -> dict[str, Any]:
    """Hash what the tests read: the cohort, the table, and the maps and design of each method."""
    tests = {}
    for maps in asked.chosen:
        text = json.dumps(setting.request(maps), sort_keys=True)
        tests[setting.name(maps)] = hashlib.sha256(text.encode()).hexdigest()
    return {**cohort_hashes(asked.study), "tests_sha256": tests}
