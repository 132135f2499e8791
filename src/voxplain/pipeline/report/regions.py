"""Mean maps by regions: the tables that ``explain --atlas`` wrote, or the report's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from voxplain.atlas import Atlas
from voxplain.group import OUTSIDE, region_table
from voxplain.pipeline.report.maps import StudyMaps
from voxplain.pipeline.report.reading import rows_of
from voxplain.pipeline.report.scans import Profiles
from voxplain.results.regions import RegionList, RegionValue
from voxplain.results.study import MeanMap

__all__ = ["regions_of"]

_MOST = 12


def regions_of(
    maps: StudyMaps, profiles: Mapping[tuple[str, str], Profiles]
) -> tuple[RegionList, ...]:
    """List the densest regions of every mean map, those of the report's own atlas first.

    Parameters
    ----------
    maps : StudyMaps
    profiles : mapping of (str, str) to Profiles
        By label of the method and target.

    Returns
    -------
    tuple of RegionList
        Of the report's atlas where the study has none of its own, and of every other atlas that
        ``explain`` was given.
    """
    own = maps.place.atlas
    first: list[RegionList] = []
    others: list[RegionList] = []
    for one in maps.means:
        kept = {atlas: file for atlas, file in one.tables if maps.study.find_file(file)}
        if own is not None and own.name not in kept:
            first.append(_summed(maps, one, own, profiles))
        for atlas, file in kept.items():
            here = own is not None and atlas == own.name
            (first if here else others).append(_kept(maps, one, atlas, file))
    return tuple(one for one in (*first, *others) if one.values)


def _summed(
    maps: StudyMaps, one: MeanMap, atlas: Atlas, profiles: Mapping[tuple[str, str], Profiles]
) -> RegionList:
    """Sum up a mean map here."""
    place, label = maps.place, maps.label(one)
    table = region_table(
        maps.values[one.file],
        atlas,
        place.brain,
        grid=place.grid,
        method=one.method,
        target=one.target,
    )
    of_maps = profiles.get((label, one.target))
    intervals = of_maps.intervals() if of_maps else {}
    rows = [{str(k): v for k, v in row.items()} for row in table.frame.to_dict(orient="records")]
    values = tuple(_value(row, intervals.get(row["region"], (None, None))) for row in _best(rows))
    return RegionList(label, one.target, atlas.name, values)


def _kept(maps: StudyMaps, one: MeanMap, atlas: str, file: str) -> RegionList:
    """Read the table that ``explain`` wrote."""
    rows = [row for row in rows_of(maps.study.read_text(file)) if row.get("class") == "all"]
    people = maps.participants(one)
    numbers: list[dict[str, Any]] = [
        {k: v if k in ("class", "region") else _number(v) for k, v in row.items()} for row in rows
    ]
    values = tuple(_value(row, _interval(row, people)) for row in _best(numbers))
    return RegionList(maps.label(one), one.target, atlas, values, file)


def _number(text: str) -> float:
    return np.nan if text in ("n/a", "") else float(text)


def _interval(row: Mapping[str, Any], people: int) -> tuple[float | None, float | None]:
    """Give the 95 % interval of a region's mean over participants, by Student's t."""
    count = int(row.get("participants", people))
    if count < 2 or not np.isfinite(row["sd"]):
        return None, None
    half = float(stats.t.ppf(0.975, count - 1)) * row["sd"] / np.sqrt(count)
    return row["mean"] - half, row["mean"] + half


def _best(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    ranked = [row for row in rows if row["region"] != OUTSIDE and np.isfinite(row["rank"])]
    return sorted(ranked, key=lambda row: float(row["rank"]))[:_MOST]


def _value(row: Mapping[str, Any], interval: tuple[float | None, float | None]) -> RegionValue:
    place = [float(row.get(f"peak_{axis}", np.nan)) for axis in "xyz"]
    low, high = (float(row.get(f"rank_{end}", np.nan)) for end in ("low", "high"))
    return RegionValue(
        region=str(row["region"]),
        mean=float(row["mean"]),
        peak=float(row.get("peak", np.nan)),
        density=float(row["density"]),
        rank=int(row["rank"]),
        low=interval[0],
        high=interval[1],
        share=float(row["share"]),
        place=(place[0], place[1], place[2]) if np.isfinite(place).all() else None,
        ranks=(round(low), round(high)) if np.isfinite([low, high]).all() else None,
    )
