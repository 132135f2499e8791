"""The maps by regions of an atlas, and what was tested of these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxplain.report.html.sections import (
    Case,
    Cases,
    Heading,
    Item,
    NotRun,
    SideBySide,
    Table,
    Text,
)
from voxplain.report.pages.study.captions import picture_of
from voxplain.report.pages.study.shown import Shown
from voxplain.report.words.group import coordinates, p_cells, p_columns, test_title
from voxplain.report.words.numbers import number, two_decimals
from voxplain.results.regions import RegionList, RegionValue
from voxplain.results.study import GroupTest, StudyFound

__all__ = ["regions"]

_MOST, _NAMED, _TESTED = 10, 3, 8


def regions(found: StudyFound, shown: Shown) -> list[Item]:
    """Sum the maps up by the regions of an atlas."""
    if not found.means:
        return [NotRun("There are no maps to sum up by regions.")]
    if not found.regions:
        return [NotRun("Regions were not named.", f"voxplain report {found.path} --atlas AAL")]
    items: list[Item] = [Text(_how(found))]
    pictures = [
        picture_of(name, png, found)
        for name, png in shown.pictures.items()
        if name.startswith("regions:")
    ]
    pairs = [tuple(pictures[i : i + 2]) for i in range(0, len(pictures), 2)]
    items += [SideBySide(pair) if len(pair) > 1 else pair[0] for pair in pairs]
    first = found.regions[0]
    main = [one for one in found.regions if (one.label, one.atlas) == (first.label, first.atlas)]
    items += [_table(one) for one in main]
    others = tuple(_case(one) for one in found.regions if one not in main)
    items += [Cases(others)] if others else []
    if not any(one.file for one in found.regions):
        items.append(_not_kept(found))
    tested = [test for test in found.tests if test.regions]
    if tested:
        items.append(Heading("Tested over scans"))
    items += [_region_tests(test) for test in tested]
    return items


def _how(found: StudyFound) -> tuple[str, ...]:
    atlases = list(dict.fromkeys(one.atlas for one in found.regions))
    said = (
        f"Regions of {' and '.join(atlases)}, densest first. Density is the mean magnitude of the "
        "map in the region over that in the brain, 1 for what size alone would give; share is the "
        "region's part of the summed magnitudes in the brain; the peak is the value of largest "
        "magnitude, with its sign. Intervals of means are 95 %, over participants"
    )
    drawn = any(value.ranks for one in found.regions for value in one.values)
    more = "; those of ranks are 95 % of bootstrap draws of the participants" * drawn
    return (f"{said}{more}.",)


def _not_kept(found: StudyFound) -> NotRun:
    network = found.means[0].network or "NAME"
    rule = found.means[0].rule or "own"
    command = f"voxplain explain {found.path} --network {network} --target {rule} --atlas AAL"
    return NotRun("Intervals of ranks and whole tables were not made.", command)


def _case(listed: RegionList) -> Case:
    """Close a table whose first regions can be seen."""
    best = ", ".join(one.region.replace("_", " ") for one in listed.values[:_NAMED])
    title = f"{listed.label}, {listed.target}: regions of {listed.atlas}"
    return Case(title, best, "plain", (_table(listed),))


def _table(listed: RegionList) -> Table:
    values = listed.values[:_MOST]
    columns: dict[str, list[str | None]] = {
        "region": [one.region.replace("_", " ") for one in values],
        "peak at x, y, z (mm)": [
            None if one.place is None else coordinates(one.place) for one in values
        ],
        "peak": [number(one.peak) for one in values],
        "mean": [number(one.mean) for one in values],
        "95 % interval": [_interval(one) for one in values],
        "share": [None if one.share is None else _percent(one.share) for one in values],
        "density": [f"{one.density:.2f}" for one in values],
        "rank": [str(one.rank) for one in values],
        "95 % of ranks": [_ranks(one) for one in values],
    }
    told = {name: cells for name, cells in columns.items() if any(cells)}
    return Table(
        tuple(told),
        tuple(zip(*told.values(), strict=True)),
        caption=f"{listed.label}, {listed.target}: regions of {listed.atlas}",
        note=f"All regions: {listed.file}." if listed.file else "",
    )


def _percent(share: float) -> str:
    """One decimal, and one digit of what that would write as nothing."""
    return f"{100 * share:.1f} %" if share >= 0.001 else f"{number(100 * share, 1)} %"


def _interval(one: RegionValue) -> str | None:
    if one.low is None or one.high is None:
        return None
    return f"{number(one.low)} to {number(one.high)}"


def _ranks(one: RegionValue) -> str | None:
    return None if one.ranks is None else f"{one.ranks[0]} to {one.ranks[1]}"


def _region_tests(test: GroupTest) -> Table:
    rows = tuple(
        (
            row["region"].replace("_", " "),
            int(row["voxels"]),
            *([coordinates(_place(row))] if "x" in row else []),
            *(two_decimals(float(row[name])) for name in ("peak_t", "mean_t")),
            *p_cells(row),
            f"{100 * float(row['true_share']):.0f} %",
        )
        for row in test.regions[:_TESTED]
    )
    places = ("peak at x, y, z (mm)",) if "x" in test.regions[0] else ()
    heads = ("region", "voxels", *places, "peak t", "mean t", *p_columns(test.regions[0]))
    return Table(
        (*heads, "truly differ, at least"),
        rows,
        caption=test_title(test),
        note="p is the smallest of the region's voxels, corrected for all voxels of the brain. "
        "At least so many of its voxels truly differ, all regions at once, with "
        f"{100 * float(test.told['confidence']):.0f} % confidence. "
        f"All regions: {test.start}_regions.tsv.",
    )


def _place(row: Mapping[str, Any]) -> tuple[float, float, float]:
    return float(row["x"]), float(row["y"]), float(row["z"])
