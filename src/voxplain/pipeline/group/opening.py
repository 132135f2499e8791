"""What a call tests: which maps of which scans, by which design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from voxplain import __version__
from voxplain.cohort.store.reader import open_store
from voxplain.group.blocks import Arrangements, read_blocks
from voxplain.group.design import make_design
from voxplain.pipeline.group.found.agreement import require_several
from voxplain.pipeline.group.options import GroupOptions
from voxplain.pipeline.group.sample.folds import by_fold
from voxplain.pipeline.group.sample.maps import MapsOfScans, Scans, catalogue
from voxplain.pipeline.group.sample.participants import rows_of, scan_table, with_columns
from voxplain.pipeline.group.setting import Setting
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.volume import Cohort

__all__ = ["AskedGroup", "open_group"]


@dataclass(frozen=True, eq=False)
class AskedGroup:
    """A call, opened.

    Parameters
    ----------
    options : GroupOptions
    study : Study
    cohort : Cohort
    rows : sequence of int
        Scans that are tested, by their positions in the cohort.
    table : pandas.DataFrame
        Of these scans.
    chosen : list of MapsOfScans
        Of each method.
    setting : Setting or None
        What the tests share; None where means alone are asked for.
    """

    options: GroupOptions
    study: Study
    cohort: Cohort
    rows: Sequence[int]
    table: pd.DataFrame
    chosen: list[MapsOfScans]
    setting: Setting | None


def open_group(options: GroupOptions, progress: Progress) -> AskedGroup:
    """Find the maps that are tested, and make the design.

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
    setting = None
    if not options.means_only:
        ways, words, units = _designed(options, table, tuple(held.subjects), cohort.class_names)
        scans = Scans(cohort, rows, every.network, units)
        setting = Setting(options, study, ways, words, scans, progress)
    return AskedGroup(options, study, cohort, rows, table, chosen, setting)


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
