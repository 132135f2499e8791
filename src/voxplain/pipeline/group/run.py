"""The maps of a study, tested over its subjects, and written as maps and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxplain import __version__
from voxplain.cohort.store.reader import open_store
from voxplain.errors import remarks
from voxplain.group.blocks import Arrangements, read_blocks
from voxplain.group.design import make_design
from voxplain.pipeline.brain import brain_of
from voxplain.pipeline.group.agreement import require_several, write_conjunction
from voxplain.pipeline.group.folds import by_fold
from voxplain.pipeline.group.maps import Scans, catalogue
from voxplain.pipeline.group.means import write_means
from voxplain.pipeline.group.options import GroupOptions
from voxplain.pipeline.group.setting import Setting
from voxplain.pipeline.group.table import rows_of, scan_table, with_columns
from voxplain.pipeline.group.tables import Places
from voxplain.pipeline.regions.placing import place_atlases
from voxplain.pipeline.shards.alone import works_alone
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.volume import Cohort

if TYPE_CHECKING:
    import pandas as pd

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
    cohort = open_store(options.study / "cohort")
    study = Study(options.study, "voxplain study", __version__)
    every = catalogue(study, cohort.subjects, options.network)
    table = scan_table(study, cohort, every.network)
    if options.table is not None:
        table = with_columns(table, options.table)
    rows = rows_of(table, options.only)
    held, table = every.rows(rows), table.iloc[rows].reset_index(drop=True)
    chosen = [
        held.of(name, options.target, cohort.grid, options.transform)
        for name in options.methods or held.methods
    ]
    if options.conjunction:
        statistics = options.test.statistics
        require_several([m.label for m in chosen], {m.target for m in chosen}, statistics)
    for maps in chosen:
        if maps.words:
            progress.say(f"{maps.label}: {maps.words}")
    if options.means_only:
        means = {m.label: write_means(study, m, table, options.only, progress) for m in chosen}
        return GroupFound({}, {}, means)
    ways, words, units = _designed(options, table, tuple(held.subjects), cohort.class_names)
    scans = Scans(cohort, rows, every.network, units)
    setting = Setting(options, study, ways, words, scans, progress)
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
            mask = brain_of(cohort, rows, progress)
            places = _places(options, cohort, rows, mask, progress)
        found[start] = setting.write(maps, start, request, mask, places)
    briefly = {
        start: {key: value for key, value in told.items() if key != "request"}
        for start, told in found.items()
    }
    means = {m.label: write_means(study, m, table, options.only, progress) for m in chosen}
    agreed: dict[str, Any] = {}
    if options.conjunction:
        start = setting.name(replace(chosen[0], label="Conjunction"))
        mask = brain_of(cohort, rows, progress) if mask is None else mask
        agreed[start] = write_conjunction(study, start, found, mask)
    before = study.read_json(RECORD)
    told = {
        "tests": {**before.get("tests", {}), **briefly},
        "conjunctions": {**before.get("conjunctions", {}), **agreed},
        "versions": {"voxplain": __version__},
    }
    study.write_json(RECORD, told)
    return GroupFound(found, agreed, means)


def _designed(
    options: GroupOptions, table: pd.DataFrame, subjects: tuple[str, ...], classes: tuple[str, ...]
) -> tuple[Arrangements, str, list[list[int]]]:
    """Make the design and its blocks; also tell which scans each row is the mean of."""
    model, blocks = options.model, options.blocks
    units: list[list[int]] = [[row] for row in range(len(subjects))]
    if options.fold_means:
        table, model, units, subjects = by_fold(table, model)
        blocks = "fold" if blocks == "auto" else blocks
    design = make_design(table, model, options.contrast, subjects=subjects, class_names=classes)
    tree, words = read_blocks(table, blocks)
    words += "; each scan here is the mean of a fold" * options.fold_means
    return Arrangements(design, tree), words, units


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
