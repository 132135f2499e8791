"""The maps themselves, and what they were tested for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxplain.report.html.sections import (
    Cards,
    Finding,
    Findings,
    Item,
    MapViewer,
    NotRun,
    Table,
    Text,
)
from voxplain.report.pages.study.captions import picture_of
from voxplain.report.pages.study.shown import Shown
from voxplain.report.words.cards import cards_of
from voxplain.report.words.group import (
    coordinates,
    p_cells,
    p_columns,
    p_text,
    statistic_words,
    test_title,
)
from voxplain.report.words.judgement import JUDGED_COLUMNS, judged_rows
from voxplain.report.words.maps import shown_label
from voxplain.report.words.numbers import number, two_decimals
from voxplain.results.study import GroupTest, StudyFound

__all__ = ["group", "maps", "truth"]

_CLUSTERS, _PEAKS = 6, 3
_LEVEL = 0.05
_VIEWER = (
    "Cuts at the study's own grid, without interpolation; left is left. Click, drag or use the "
    "arrow keys in a cut to move the cross, page up and page down to move the cut. Values are the "
    "map's own, right to four digits of the map's range (three of a single scan's). Maps are "
    "transparent below the threshold; a corrected p is shown on a logarithmic scale."
)
_CORTEX = (
    " On the cortex (FreeSurfer's average, fsaverage5, in MNI152) the map that is chosen is read "
    "between pial and white surface and averaged. Drag to turn it, or use the arrow keys; click "
    "to bring the cross there; the ring is where the cross is. Sulci are dark."
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
        words = _VIEWER + _CORTEX * (not found.off_cortex)
        items.append(MapViewer("maps-viewer", shown.viewer, words))
    for name, png in shown.pictures.items():
        if name.startswith("gallery:"):
            items.append(picture_of(name, png, found))
    for name, png in shown.pictures.items():
        if name.startswith(("mosaic:", "surface:")) or name == "glass":
            items.append(picture_of(name, png, found))
    if found.off_cortex:
        items.append(NotRun(f"Maps were not laid on the cortex: {found.off_cortex}."))
    items.append(_peaks(found))
    if "pattern" in found.methods:
        items.append(Cards(cards_of(["pattern"])))
    signs = [f"{one.label}: {one.sign}." for one in found.methods.values() if one.sign]
    items.append(Text(("What the sign of a value says. " + " ".join(signs),)))
    return items


def _peaks(found: StudyFound) -> Table:
    rows = [
        (
            f"{shown_label(one, found.means)}, {one.target}",
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
        p = p_text(one["smallest_p"])
        if one["smallest_p"] < _LEVEL:
            said.append(
                f"{statistic_words(name)} {p}, {one['voxels_05']} voxels, "
                f"{one['positive_05']} of them positive"
            )
        else:
            said.append(f"{statistic_words(name)} {p}")
    zero = " from zero" if told["effect"] == "mean" else ""
    some = any(one["smallest_p"] < _LEVEL for one in told["found"].values())
    words = (
        f"{told['scans']} scans, {told['voxels']:,} voxels, {told['permutations']:,} permutations. "
        f"Smallest corrected p: {'; '.join(said)}."
    )
    if told["null"] == "permutation":
        share = f"{100 * told['confidence']:.0f} %"
        words += f" At least {told['true_voxels']} voxels truly differ{zero} (confidence {share})."
    return Finding(
        test_title(test),
        words,
        "good" if some else "chance",
        f"differs{zero}" if some else f"no difference{zero} shown",
    )


def _clusters(test: GroupTest, clusters: list[Mapping[str, Any]], count: int) -> Table:
    rows = tuple(
        (
            one["cluster"],
            str(one["direction"]).replace(" - ", " − "),
            one["voxels"],
            number(one["volume_ml"]),
            two_decimals(one["peak_t"]),
            coordinates((one["x"], one["y"], one["z"])),
            one["region"].replace("_", " "),
            *p_cells(one),
            f"{100 * one['true_share']:.0f} %",
        )
        for one in clusters
    )
    heads = p_columns(clusters[0])
    columns = ("no.", "direction", "voxels", "mL", "peak t", "x, y, z (mm)", "region", *heads)
    more = f" The other {count - len(clusters)} are in {test.start}_clusters.tsv." * (
        count > len(clusters)
    )
    return Table(
        (*columns, "true at least"),
        rows,
        caption=f"Clusters, {test_title(test)}",
        note="p is corrected for all voxels, over both directions." + more,
    )
