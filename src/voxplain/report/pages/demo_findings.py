"""The demo's sections on the maps themselves: truth, agreement, regions, and provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping

from voxplain.report.figures.charts.bars import LocalisationRow
from voxplain.report.html.sections import (
    Code,
    Finding,
    Findings,
    Heading,
    Item,
    MapViewer,
    Picture,
    SideBySide,
    Table,
    Text,
)
from voxplain.report.pages.demo_words import (
    captioned,
    class_words,
    listed,
    region_name,
    standing,
    subject_words,
    whose_figures,
)
from voxplain.report.words.numbers import duration, number
from voxplain.results.demo import DemoResult
from voxplain.results.localisation import MethodResult, RegionRow

__all__ = ["agreement", "localisation", "localisation_rows", "maps", "provenance", "regions"]


def maps(result: DemoResult, pictures: Mapping[str, bytes], viewer: str) -> list[Item]:
    """Build the section of the maps: a viewer; unit, sign and mosaics, method by method."""
    explained = "the predicted class" if result.target == "predicted" else "the class"
    items: list[Item] = [
        Text(
            (
                f"Each map explains the network's answer for {explained} of a held-out subject. "
                "Shown are means over the subjects of a class, raw: no absolute value, clipping or "
                "min-max. The outline is the true effect.",
            )
        )
    ]
    if viewer:
        caption = (
            f"Mean maps, smoothed by {result.fwhm_mm:g} mm, over the template. Click, drag or use "
            "the arrow keys in a cut to move the cross, page up and page down to move the cut."
        )
        items.append(MapViewer("maps-viewer", viewer, caption))
    for name, method in result.methods.items():
        items += [Heading(method.label), Text((_method_words(method),))]
        if not method.better_than_chance:
            sentence = f"{method.label} is no better than chance: do not read anatomy into its map."
            items.append(Findings((Finding(method.label, sentence, *standing(method)),)))
        for label in result.cohort.classes:
            items += captioned(
                pictures,
                f"mosaic:{name}:{label}",
                f"{method.label}, mean over held-out subjects, class “{label}”.",
                f"Cuts through the brain with the map of {method.label} for class {label}.",
            )
    return items


def _method_words(method: MethodResult) -> str:
    words = [f"{method.citation}.", f"Unit: {method.unit}.", f"Sign: {method.sign.rstrip('.')}."]
    if method.complete:
        words.append("The map adds up to the difference that it explains.")
    many = "pass" if method.passes == 1 else "passes"
    cost = f"{method.passes} {many} through the network and {duration(method.seconds_per_subject)}"
    words.append(f"{subject_words(method.subjects)} explained, each in {cost}.")
    return " ".join(words)


def localisation_rows(result: DemoResult) -> list[LocalisationRow]:
    """Give `figures.localisation_bars` its rows: methods, and controls."""
    methods = [
        LocalisationRow(m.label, m.group_ap, m.subject_ap, m.subject_ap_ci, m.group_class)
        for m in result.methods.values()
    ]
    controls = [
        LocalisationRow(c.label, c.group_ap, control=True) for c in result.controls.values()
    ]
    return methods + controls


def localisation(result: DemoResult, pictures: Mapping[str, bytes]) -> list[Item]:
    """Build the section that marks the maps against the truth, beside the controls."""
    classes = result.cohort.classes
    order = sorted(result.methods.values(), key=lambda m: -m.group_ap)
    rows: list[tuple[object, ...]] = [
        (
            m.label,
            m.group_ap,
            m.chance_ap_95,
            *(m.group_ap_by_class.get(label) for label in classes),
            m.group_ap_raw,
            m.subject_ap,
            m.subject_ap_ci,
            m.auroc,
            m.dice,
            m.subjects,
        )
        for m in order
    ]
    unmeasured = (None,) * (len(classes) + 4)
    rows += [
        (f"{c.label} (control)", c.group_ap, *unmeasured, c.auroc, c.dice, None)
        for c in result.controls.values()
    ]
    weak = frozenset(n for n, m in enumerate(order) if not m.better_than_chance)
    chance = f"A map without information has an average precision of {result.chance_ap:.3f}"
    chance += f", and 95 % of such maps stay below {result.chance_ap_95:.3f}."
    chance += " By chance a smoother map finds more, and so does one without a negative side: each "
    chance += "is held to the limit of random maps of its own kind."
    words = (
        "Average precision (AP) sorts the voxels by the map and asks how many of the first ones "
        "lie in the true effect; it is 1 for a perfect map. AUROC is 0.5 by chance. Dice compares "
        "the truth with as many of the map's strongest voxels. The controls know nothing of the "
        "network: a map that does not beat them has not shown what the network learned."
        f"{whose_figures(order[0])}",
        f"{chance} {result.scoring}",
    )
    columns = (
        "Map",
        f"AP, group map{class_words(order[0])}",
        "95 % of chance below",
        *(f"AP, class {label}" for label in classes),
        "AP, group, unsmoothed",
        "AP, mean of subjects",
        "95 % interval",
        "AUROC",
        "Dice",
        "Subjects",
    )
    note = "Marked rows are no better than chance." if weak else ""
    return [
        Text(words),
        *captioned(
            pictures,
            "localisation",
            "Average precision of methods (blue) and of controls that know no network (grey).",
            "Bars of the average precision of every method and control, with the chance level.",
        ),
        Table(columns, tuple(rows), "Localisation of the true effect", note, weak),
    ]


def agreement(result: DemoResult, pictures: Mapping[str, bytes]) -> list[Item]:
    """Build the section on how far methods agree, with what chance gives."""
    data = result.agreement
    if not data.pairs:
        return []
    label = {name: m.label for name, m in result.methods.items()}
    percent = f"{100 * data.fraction:g} %"
    of_class = f" of class “{data.class_name}”"
    words = (
        f"Dice is the overlap of the top {percent} of voxels of two group maps{of_class}; "
        "Spearman is the correlation of their ranks within the brain. Smooth maps agree by "
        "accident, so each number stands beside the level below which 95 % of maps placed by "
        "chance stay. Methods can agree and be wrong together: agreement is no proof of truth."
    )
    rows = tuple(
        (
            label.get(p.a, p.a),
            label.get(p.b, p.b),
            p.dice,
            p.dice_chance,
            p.dice_95,
            p.spearman,
            p.spearman_95,
        )
        for p in data.pairs
    )
    columns = (
        "Method",
        "Method",
        f"Dice, top {percent}",
        "Dice by chance",
        "95 % of chance below",
        "Spearman",
        "95 % of chance below",
    )
    return [
        Text((words,)),
        *captioned(
            pictures,
            "agreement",
            "Agreement between methods. Numbers in brackets are within what chance gives.",
            "Matrices of Dice and of Spearman correlation between methods.",
        ),
        Table(columns, rows, "Agreement between methods"),
    ]


def regions(result: DemoResult, pictures: Mapping[str, bytes]) -> list[Item]:
    """Build the section of the region tables, truly affected regions marked."""
    data = result.regions
    affected = listed(data.affected)
    items: list[Item] = [
        Text(
            (
                f"The group maps summed up by the regions of {data.atlas}. The effect lies in "
                f"{affected}: a good map ranks these first. They are marked in the tables.",
            )
        )
    ]
    ranks = [
        (result.methods[name].label, label, found)
        for name, by_class in data.methods.items()
        for label, found in by_class.items()
    ]
    rows = tuple(
        (
            method,
            label,
            *(found.affected_ranks.get(region) for region in data.affected),
            found.n_regions,
        )
        for method, label, found in ranks
    )
    columns = ("Method", "Class", *map(region_name, data.affected), "Regions in all")
    items.append(Table(columns, rows, "Rank of each truly affected region"))
    for name, by_class in data.methods.items():
        title = result.methods[name].label
        items.append(Heading(title))
        parts: list[Picture | Table] = []
        for label in by_class:
            parts += captioned(
                pictures,
                f"regions:{name}:{label}",
                f"{title}, class “{label}”: the first regions, truly affected ones in colour.",
                f"Bars of the first regions by {title} for class {label}.",
            )
        parts += [_top_regions(found.top, title, label) for label, found in by_class.items()]
        items.append(SideBySide(tuple(parts)))
    return items


def _top_regions(top: tuple[RegionRow, ...], method: str, label: str) -> Table:
    # Means and peaks have three digits, whatever the unit of the map.
    rows = tuple(
        (r.rank, region_name(r.region), number(r.mean, 3), number(r.peak, 3), r.share, r.density)
        for r in top
    )
    marked = frozenset(n for n, r in enumerate(top) if r.affected)
    measures = ("Mean", "Peak", "Share", "Density") if top else ()
    return Table(
        ("Rank", "Region", *measures), rows, f"{method}, class “{label}”", highlight=marked
    )


def provenance(result: DemoResult) -> list[Item]:
    """Build the section with all that a rerun needs, and what this one cost."""
    rows = (
        ("Seed", str(result.seed)),
        ("Target", result.target),
        ("Grid", str(result.grid)),
        ("Network", result.network.name),
        ("Layer of Grad-CAM", result.network.layer),
        ("SHA-256 of the weights", result.network.weights_sha256),
        *((f"Version of {name}", version) for name, version in result.versions.items()),
        ("Memory at most", f"{result.peak_rss_mb:.0f} MB"),
    )
    steps = tuple((name.replace("_", " "), duration(s)) for name, s in result.seconds.items())
    options = tuple(
        (m.label, json.dumps(m.options, sort_keys=True) if m.options else "none")
        for m in result.methods.values()
    )
    return [
        Text(("The same command with the same versions gives the same numbers, to rounding.",)),
        Code(result.command),
        Table(("What", "Value"), rows, "Provenance"),
        Table(("Step", "Time"), steps, "Time"),
        Table(("Method", "Options"), options, "Options of the methods"),
    ]
