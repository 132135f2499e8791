"""The maps of a study, tested over its subjects, and written as maps and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.errors import remarks
from voxplain.pipeline.brain import brain_of
from voxplain.pipeline.group.found.agreement import write_conjunction
from voxplain.pipeline.group.found.tables import Places
from voxplain.pipeline.group.opening import AskedGroup, open_group
from voxplain.pipeline.group.options import GroupOptions
from voxplain.pipeline.group.parts import find_pieces
from voxplain.pipeline.group.sample.means import write_means
from voxplain.pipeline.regions.placing import place_atlases
from voxplain.pipeline.shards.alone import works_alone
from voxplain.progress import Progress
from voxplain.volume import Cohort

if TYPE_CHECKING:
    pass

__all__ = ["RECORD", "GroupFound", "group_study"]

RECORD = "group.json"


@dataclass(frozen=True)
class GroupFound:
    """What a call found, each by the start of its files' names.

    Parameters
    ----------
    tests, conjunctions : mapping of str to dict
    means : mapping of str to dict
        By label of the method, how many maps each mean is of.
    """

    tests: Mapping[str, dict[str, Any]]
    conjunctions: Mapping[str, dict[str, Any]]
    means: Mapping[str, Mapping[str, Mapping[str, int]]]


@works_alone
def group_study(options: GroupOptions, progress: Progress) -> GroupFound:
    """Test the maps of a study over its subjects.

    Writes below ``group/``, for each method, the t map, its uncorrected and family-wise p, the
    table of clusters and that of regions, and the design as a picture, ``..._test.json`` last;
    ``group.json`` holds all tests, earlier ones too. A test that is there already, of the same maps
    and options, is kept. Means over the maps are written beside the tests, see `write_means`.

    Parameters
    ----------
    options : GroupOptions
    progress : Progress

    Returns
    -------
    GroupFound

    Raises
    ------
    VoxplainError
        If the study has no such maps, or they cannot be tested so.
    """
    asked = open_group(options, progress)
    study, setting, chosen = asked.study, asked.setting, asked.chosen
    if setting is None:
        return GroupFound({}, {}, _means(asked, progress))
    pieces = find_pieces(asked, setting)
    found: dict[str, Any] = {}
    mask: NDArray[np.bool_] | None = None
    places: Places | None = None
    for maps in chosen:
        start, request = setting.name(maps), setting.request(maps)
        kept = setting.kept(start, request)
        if kept:
            progress.say(f"{maps.label}: this test is there already, of the same maps")
            found[start] = kept
            continue
        if mask is None or places is None:
            mask = brain_of(asked.cohort, asked.rows, progress)
            places = _places(options, asked.cohort, asked.rows, mask, progress)
        found[start] = setting.write(maps, start, request, places, pieces)
    briefly = {
        start: {key: value for key, value in told.items() if key != "request"}
        for start, told in found.items()
    }
    means = _means(asked, progress)
    agreed: dict[str, Any] = {}
    if options.conjunction:
        start = setting.name(replace(chosen[0], label="Conjunction"))
        mask = brain_of(asked.cohort, asked.rows, progress) if mask is None else mask
        agreed[start] = write_conjunction(study, start, found, mask)
    before = study.read_json(RECORD)
    told = {
        "tests": {**before.get("tests", {}), **briefly},
        "conjunctions": {**before.get("conjunctions", {}), **agreed},
        "versions": {"voxplain": __version__},
    }
    study.write_json(RECORD, told)
    if pieces is not None:
        pieces.join()
    return GroupFound(found, agreed, means)


def _means(asked: AskedGroup, progress: Progress) -> dict[str, Mapping[str, Mapping[str, int]]]:
    return {
        maps.label: write_means(asked.study, maps, asked.table, asked.options.only, progress)
        for maps in asked.chosen
    }


def _places(
    options: GroupOptions,
    cohort: Cohort,
    rows: Sequence[int],
    mask: NDArray[np.bool_],
    progress: Progress,
) -> Places:
    """Bring the atlases to the study, and say where they do not fit its brains."""
    with remarks() as said:
        tissue = np.where(mask, cohort.mean(rows), 0).astype(np.float32)
        placed = place_atlases(options.atlases, tissue, cohort.grid, move=options.move_atlas)
    for one in said:
        progress.say(one)
    return Places(mask, cohort.grid, placed)
