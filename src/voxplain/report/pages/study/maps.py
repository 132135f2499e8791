"""The maps themselves, what they were tested for, and the regions in which they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voxplain.report.html.sections import (
    Cards,
    Finding,
    Findings,
    Heading,
    Item,
    MapViewer,
    NotRun,
    Picture,
    SideBySide,
    Table,
    Text,
)
from voxplain.report.pages.study.captions import caption_of
from voxplain.report.pages.study.shown import Shown
from voxplain.report.words.cards import cards_of
from voxplain.report.words.judgement import JUDGED_COLUMNS, judged_rows
from voxplain.report.words.numbers import number
from voxplain.results.study import GroupTest, StudyFound

__all__ = ["group", "maps", "regions", "truth"]

_CLUSTERS, _REGIONS, _FEWER, _PEAKS = 6, 10, 5, 3
_LEVEL = 0.05
_STATISTIC = {
    "voxel": "single voxels",
    "size": "cluster size",
    "mass": "cluster mass",
    "tfce": "TFCE",
}
_VIEWER = (
    "Cuts at the study's own grid, without interpolation; left is left. Click, drag or use the "
    "arrow keys in a cut to move the cross, page up and page down to move the cut. Values are the "
    "map's own, right to four digits of the map's range (three of a single scan's). Maps are "
    "transparent below the threshold; a corrected p is shown on a logarithmic scale."
)


def maps(found: StudyFound, shown: Shown) -> list[Item]:
    """Show the mean maps, to move through and as figures, and list their peaks."""
    if not found.means:
        network = found.fit.first.name if found.fit else "NAME"
        return [
            NotRun(
                "No maps were made.",
                f"voxplain explain {found.path} --network {network} --target own",
            )
        ]
    items: list[Item] = []
    if shown.viewer:
        items.append(MapViewer("maps-viewer", shown.viewer, _VIEWER))
    for name, png in shown.pictures.items():
        if name.startswith("gallery:"):
            items.append(_picture(name, png, found))
    for name, png in shown.pictures.items():
        if name.startswith("mosaic:") or name == "glass":
            items.append(_picture(name, png, found))
    items.append(_peaks(found))
    if "pattern" in found.methods:
        items.append(Cards(cards_of(["pattern"])))
    signs = [f"{one.label}: {one.sign}." for one in found.methods.values() if one.sign]
    items.append(Text(("What the sign of a value says. " + " ".join(signs),)))
    return items


def _picture(name: str, png: bytes, found: StudyFound) -> Picture:
    caption = caption_of(name, found)
    return Picture(png, caption, caption.partition(". ")[0] + ".")


def _peaks(found: StudyFound) -> Table:
    rows = [
        (
            f"{one.label}, {one.target}"
            + f", {one.network}" * (len({m.network for m in found.means}) > 1),
            *(round(x) for x in peak.place),
            number(peak.value, 3),
            peak.region.replace("_", " ") or None,
        )
        for one in found.means
        for peak in found.peaks.get(one.file, ())[:_PEAKS]
    ]
    return Table(
        ("mean map", "x", "y", "z", "value", "region"),
        tuple(rows),
        caption="Peaks of the mean maps, mm",
        note="The largest magnitudes in the brain, 16 mm apart. Values are in the map's own unit: "
        + "; ".join(dict.fromkeys(f"{one.label}, {one.unit}" for one in found.means))
        + ".",
    )


def truth(found: StudyFound, shown: Shown) -> list[Item]:
    """Hold the maps against the truth, where it is known."""
    if not found.judged:
        return []
    rows = tuple(judged_rows(found.judged))
    words = (
        "Average precision (AP) of the maps, smoothed and made absolute, against the voxels where "
        "the effect was planted. By chance it is the share of the brain that these fill; 95 % of "
        "random maps as smooth stay below the figure beside it. The ceiling is the score of the "
        "true change itself. explain.html has all measures."
    )
    return [
        Table(JUDGED_COLUMNS, rows, caption="Do the maps find the truth?"),
        Text((words,)),
        Cards(cards_of(["spike-in"])),
    ]


def group(found: StudyFound, shown: Shown) -> list[Item]:
    """Show the tests over participants."""
    if not found.tests:
        return [
            NotRun("The maps were not tested over participants.", f"voxplain group {found.path}")
        ]
    items: list[Item] = [Findings(tuple(_tested(one) for one in found.tests))]
    for test in found.tests:
        clusters = test.told["clusters"]
        if clusters:
            items.append(_clusters(test, clusters[:_CLUSTERS], len(clusters)))
    return items


def _tested(test: GroupTest) -> Finding:
    told, said = test.told, []
    for name, one in told["found"].items():
        p = _p(one["smallest_p"])
        if one["smallest_p"] < _LEVEL:
            said.append(
                f"{_STATISTIC.get(name, name)} {p}, {one['voxels_05']} voxels, "
                f"{one['positive_05']} of them positive"
            )
        else:
            said.append(f"{_STATISTIC.get(name, name)} {p}")
    some = any(one["smallest_p"] < _LEVEL for one in told["found"].values())
    words = (
        f"{told['scans']} scans, {told['voxels']} voxels, {told['permutations']} permutations. "
        f"Smallest corrected p: {'; '.join(said)}."
    )
    if told["null"] == "permutation":
        share = f"{100 * told['confidence']:.0f} %"
        words += f" At least {told['true_voxels']} voxels truly differ (confidence {share})."
    return Finding(
        _title(test),
        words,
        "good" if some else "chance",
        "differs" if some else "no difference shown",
    )


def _title(test: GroupTest) -> str:
    only = test.request.get("only")
    return f"{test.label} for {test.target}: {test.told['effect']}" + (f", {only}" if only else "")


def _p(value: float) -> str:
    return "p < .001" if value < 0.001 else f"p = {value:.3f}"


def _together(text: str) -> str:
    """Write numbers that no line breaks."""
    return text.replace("-", "−").replace(" ", "\u00a0")


def _clusters(test: GroupTest, clusters: list[Mapping[str, Any]], count: int) -> Table:
    names = [name for name in clusters[0] if name.startswith("p_")]
    rows = tuple(
        (
            one["cluster"],
            one["direction"],
            one["voxels"],
            round(one["volume_ml"], 1),
            round(one["peak_t"], 2),
            _together(f"{one['x']:g}, {one['y']:g}, {one['z']:g}"),
            one["region"].replace("_", " "),
            *(_p(one[name]).removeprefix("p ").removeprefix("= ") for name in names),
            f"{100 * one['true_share']:.0f} %",
        )
        for one in clusters
    )
    heads = tuple(f"p, {_STATISTIC.get(name[2:], name[2:])}" for name in names)
    columns = ("no.", "direction", "voxels", "mL", "peak t", "x, y, z (mm)", "region", *heads)
    more = f" The other {count - len(clusters)} are in {test.start}_clusters.tsv." * (
        count > len(clusters)
    )
    return Table(
        (*columns, "true at least"),
        rows,
        caption=f"Clusters, {_title(test)}",
        note="p is corrected for all voxels, over both directions." + more,
    )


def regions(found: StudyFound, shown: Shown) -> list[Item]:
    """Sum the maps up by the regions of an atlas."""
    if not found.means:
        return [NotRun("There are no maps to sum up by regions.")]
    if not found.regions:
        return [NotRun("Regions were not named.", f"voxplain report {found.path} --atlas AAL")]
    items: list[Item] = [
        Text(
            (
                f"Regions of {found.atlas} by density: the mean magnitude of the map in the region "
                "over that in the brain, 1 for what size alone would give. Intervals are 95 %, "
                "over scans.",
            )
        )
    ]
    pictures = [
        _picture(name, png, found)
        for name, png in shown.pictures.items()
        if name.startswith("regions:")
    ]
    items += _pairs(pictures)
    tables: list[Picture | Table] = []
    first = next(iter(found.regions))[0]
    for (label, target), values in found.regions.items():
        most = _REGIONS if label == first else _FEWER
        rows = tuple(
            (
                one.region.replace("_", " "),
                f"{one.density:.2f}",
                number(one.mean),
                None
                if one.low is None or one.high is None
                else f"{number(one.low)} to {number(one.high)}",
            )
            for one in values[:most]
        )
        tables.append(
            Table(
                ("region", "density", "mean", "95 % interval"),
                rows,
                caption=f"{label}, {target}",
            )
        )
    items += _pairs(tables)
    tested = [test for test in found.tests if test.regions]
    if tested:
        items.append(Heading("Tested over scans"))
    items += [_region_tests(test) for test in tested]
    return items


def _pairs(items: Sequence[Picture | Table]) -> list[Item]:
    """Put items side by side, two at a time."""
    return [SideBySide(tuple(items[i : i + 2])) for i in range(0, len(items), 2)]


def _region_tests(test: GroupTest) -> Table:
    names = [name for name in test.regions[0] if name.startswith("p_")]
    rows = tuple(
        (
            row["region"].replace("_", " "),
            int(row["voxels"]),
            float(row["mean_t"]),
            float(row["peak_t"]),
            *(_p(float(row[name])).removeprefix("p ").removeprefix("= ") for name in names),
            f"{100 * float(row['true_share']):.0f} %",
        )
        for row in test.regions[:_CLUSTERS]
    )
    heads = tuple(f"p, {_STATISTIC.get(name[2:], name[2:])}" for name in names)
    return Table(
        ("region", "voxels", "mean t", "peak t", *heads, "true at least"),
        rows,
        caption=_title(test),
        note=f"Smallest corrected p of the region's voxels. All regions: {test.start}_regions.tsv.",
    )
