"""Mean and variance of maps per class, per correctness of the prediction, and per fold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxplain import __version__
from voxplain.group import Summaries
from voxplain.pipeline.group.sample.maps import MapsOfScans
from voxplain.progress import Progress
from voxplain.study import Study
from voxplain.study.names import described, spelled
from voxplain.tables.cells import missing

if TYPE_CHECKING:
    import pandas as pd
from voxplain.tables.formulas import plain_lines

__all__ = ["write_means"]

_FACTORS = {"class": "label", "correct": "correct", "fold": "fold"}


def write_means(
    study: Study, maps: MapsOfScans, table: pd.DataFrame, only: str | None, progress: Progress
) -> dict[str, dict[str, int]]:
    """Write the mean and the variance of all maps, and of those of each class, fold and the like.

    Maps are read one after the other, and none is held. Below ``group/`` appear, for each level,
    ``..._scans-<factor><level>_stat-mean`` and ``_stat-variance``, and ``..._scans.tsv`` last. What
    is there already, of the same maps, is kept.

    Parameters
    ----------
    study : Study
    maps : MapsOfScans
    table : pandas.DataFrame
        A row per map, with ``label``, ``correct`` and ``fold`` where they are known.
    only : str or None
        Which scans were taken, for the names of the files.
    progress : Progress

    Returns
    -------
    dict of str to dict of str to int
        How many maps each level of each factor has; ``all`` holds all.
    """
    start = f"group/desc-{described('', maps.label, maps.target)}"
    start += f"_only-{spelled(only)}" if only else ""
    cells = [
        {
            factor: str(row[column])
            for factor, column in _FACTORS.items()
            if column in table.columns and not missing(row[column])
        }
        for row in table.to_dict(orient="records")
    ]
    request = {"maps_sha256": maps.sha256, "cells": cells, "version": __version__}
    kept = study.find_json(f"{start}_scans.json", request)
    if kept and all(study.find_file(name) for name in kept["files"]):
        counts: dict[str, dict[str, int]] = kept["counts"]
        return counts
    sums = Summaries()
    with progress.step(f"Means of {maps.label}", len(cells)) as advance:
        for row, (one, cell) in enumerate(zip(maps.each(), cells, strict=True)):
            sums.add(one, cell)
            advance(row + 1)
    counts, files = sums.counts(), []
    rows = [["factor", "level", "scans", "mean", "variance"]]
    for factor, levels in counts.items():
        for level, count in levels.items():
            place = f"{start}_scans-{spelled(f'{factor} {level}' if factor != 'all' else 'all')}"
            names = []
            for statistic in ("mean", "variance")[: 1 + (count > 1)]:
                told: dict[str, Any] = {"Statistic": f"{statistic} over {count} scans"}
                map_ = sums.map(statistic, factor, level)
                path = study.write_statistic(place, map_, maps.label, told)
                names.append(f"group/{path.name}")
            files += names
            rows.append([factor, level, str(count), *names, *["n/a"] * (count == 1)])
    study.write_text(f"{start}_scans.tsv", plain_lines(rows))
    files.append(f"{start}_scans.tsv")
    told = {"request": request, "counts": counts, "files": files}
    study.write_json(f"{start}_scans.json", told)
    return counts
