"""The demo's sections on the maps themselves: truth, agreement, regions, and provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from voxplain.report.html.sections import (
    Code,
    Finding,
    Findings,
    Heading,
    Item,
    Picture,
    SideBySide,
    Table,
    Text,
    Viewer,
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

__all__ = ["agreement", "localisation", "maps", "provenance", "regions"]


def maps(
    summary: Mapping[str, Any], pictures: Mapping[str, bytes], viewers: Mapping[str, str]
) -> list[Item]:
    """Build the section of the maps: unit, sign, mosaics and viewers, method by method."""
    classes = summary["cohort"]["classes"]
    explained = "the predicted class" if summary.get("target") == "predicted" else "the class"
    items: list[Item] = [
        Text(
            (
                f"Each map explains the network's answer for {explained} of a held-out subject. "
                "Shown are means over the subjects of a class, raw: no absolute value, clipping or "
                "min-max. The outline is the true effect.",
            )
        )
    ]
    for name, method in summary["methods"].items():
        items += [Heading(method["label"]), Text((_method_words(method),))]
        if not method["better_than_chance"]:
            sentence = (
                f"{method['label']} is no better than chance: do not read anatomy into its map."
            )
            items.append(Findings((Finding(method["label"], sentence, *standing(method)),)))
        for label in classes:
            items += captioned(
                pictures,
                f"mosaic:{name}:{label}",
                f"{method['label']}, mean over held-out subjects, class “{label}”.",
                f"Cuts through the brain with the map of {method['label']} for class {label}.",
            )
        for key, html in viewers.items():
            owner, _, label = key.partition(":")
            if owner == name:
                of_class = f", class “{label}”" if label else ""
                caption = f"{method['label']}{of_class}: click into the slices to move."
                items.append(Viewer(html, caption))
    return items


def _method_words(method: Mapping[str, Any]) -> str:
    words = []
    if method.get("citation"):
        words.append(f"{method['citation']}.")
    if method.get("unit"):
        words.append(f"Unit: {method['unit']}.")
    if method.get("sign"):
        words.append(f"Sign: {str(method['sign']).rstrip('.')}.")
    if method.get("complete"):
        words.append("The map adds up to the difference that it explains.")
    if method.get("subjects") is not None:
        cost = []
        if method.get("passes") is not None:
            passes = method["passes"]
            many = "pass" if passes == 1 else "passes"
            cost.append(f"{passes} {many} through the network")
        if method.get("seconds_per_subject") is not None:
            cost.append(duration(method["seconds_per_subject"]))
        each = f", each in {' and '.join(cost)}" if cost else ""
        words.append(f"{subject_words(method['subjects'])} explained{each}.")
    return " ".join(words)


def localisation(summary: Mapping[str, Any], pictures: Mapping[str, bytes]) -> list[Item]:
    """Build the section that marks the maps against the truth, beside the controls."""
    classes, scoring = summary["cohort"]["classes"], summary.get("scoring", {})
    order = sorted(summary["methods"].values(), key=lambda m: -m["group_ap"])
    rows: list[tuple[object, ...]] = []
    for m in order:
        by_class = m.get("group_ap_by_class", {})
        rows.append(
            (
                m["label"],
                m["group_ap"],
                m.get("chance_ap_95"),
                *(by_class.get(label) for label in classes),
                m.get("group_ap_raw"),
                m.get("subject_ap"),
                m.get("subject_ap_ci"),
                m.get("auroc"),
                m.get("dice"),
                m.get("subjects"),
            )
        )
    unmeasured = (None,) * (len(classes) + 4)
    rows += [
        (f"{c['label']} (control)", c["group_ap"], *unmeasured, c.get("auroc"), c.get("dice"), None)
        for c in summary.get("controls", {}).values()
    ]
    weak = frozenset(n for n, m in enumerate(order) if not m["better_than_chance"])
    limit = summary.get("chance_ap_95")
    chance = f"A map without information has an average precision of {summary['chance_ap']:.3f}"
    chance += f", and 95 % of such maps stay below {limit:.3f}." if limit is not None else "."
    chance += " A smoother map has more luck, and so has one without a negative side: each is held "
    chance += "to the limit of random maps of its own kind."
    smoothed = scoring.get("description") or (
        f"Maps are smoothed by {scoring['fwhm_mm']:g} mm before they are marked."
        if scoring.get("fwhm_mm")
        else ""
    )
    words = (
        "Average precision (AP) sorts the voxels by the map and asks how many of the first ones "
        "lie in the true effect; it is 1 for a perfect map. AUROC is 0.5 by chance. Dice compares "
        "the truth with as many of the map's strongest voxels. The controls know nothing of the "
        "network: a map that does not beat them has not shown what the network learned."
        f"{whose_figures(order[0])}",
        f"{chance} {smoothed}".strip(),
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


def agreement(summary: Mapping[str, Any], pictures: Mapping[str, bytes]) -> list[Item]:
    """Build the section on how far methods agree, with what chance gives."""
    data = summary.get("agreement") or {}
    if not data.get("pairs"):
        return []
    label = {name: m["label"] for name, m in summary["methods"].items()}
    percent = f"{100 * data['fraction']:g} %"
    of_class = f" of class “{data['class']}”" if data.get("class") else ""
    words = (
        f"Dice is the overlap of the top {percent} of voxels of two group maps{of_class}; "
        "Spearman is the correlation of their ranks within the brain. Smooth maps agree by "
        "accident, so each number stands beside the level below which 95 % of maps placed by "
        "chance stay. Methods can agree and be wrong together: agreement is no proof of truth."
    )
    rows = tuple(
        (
            label.get(p["a"], p["a"]),
            label.get(p["b"], p["b"]),
            p["dice"],
            p.get("dice_chance"),
            p.get("dice_95"),
            p["spearman"],
            p.get("spearman_95"),
        )
        for p in data["pairs"]
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


def regions(summary: Mapping[str, Any], pictures: Mapping[str, bytes]) -> list[Item]:
    """Build the section of the region tables, truly affected regions marked."""
    data = summary.get("regions") or {}
    if not data.get("methods"):
        return []
    affected = listed(data["affected"])
    items: list[Item] = [
        Text(
            (
                f"The group maps summed up by the regions of {data['atlas']}. The effect lies in "
                f"{affected}: a good map ranks these first. They are marked in the tables.",
            )
        )
    ]
    ranks = [
        (summary["methods"].get(name, {}).get("label", name), label, found)
        for name, by_class in data["methods"].items()
        for label, found in by_class.items()
    ]
    rows = tuple(
        (
            method,
            label,
            *(found["affected_ranks"].get(region) for region in data["affected"]),
            found.get("n_regions"),
        )
        for method, label, found in ranks
    )
    columns = ("Method", "Class", *map(region_name, data["affected"]), "Regions in all")
    items.append(Table(columns, rows, "Rank of each truly affected region"))
    for name, by_class in data["methods"].items():
        title = summary["methods"].get(name, {}).get("label", name)
        items.append(Heading(title))
        parts: list[Picture | Table] = []
        for label in by_class:
            parts += captioned(
                pictures,
                f"regions:{name}:{label}",
                f"{title}, class “{label}”: the first regions, truly affected ones in colour.",
                f"Bars of the first regions by {title} for class {label}.",
            )
        parts += [_top_regions(found["top"], title, label) for label, found in by_class.items()]
        items.append(SideBySide(tuple(parts)))
    return items


def _top_regions(top: list[Mapping[str, Any]], method: str, label: str) -> Table:
    measures = [m for m in ("mean", "peak", "share", "density") if any(m in r for r in top)]
    rows = tuple(
        (r.get("rank"), region_name(r["region"]), *(_measured(m, r.get(m)) for m in measures))
        for r in top
    )
    marked = frozenset(n for n, r in enumerate(top) if r.get("affected"))
    columns = ("Rank", "Region", *(measure.capitalize() for measure in measures))
    return Table(columns, rows, f"{method}, class “{label}”", highlight=marked)


def _measured(measure: str, value: Any) -> object:
    """Give means and peaks three digits, whatever the unit of the map."""
    return number(value, 3) if measure in ("mean", "peak") and value is not None else value


def provenance(summary: Mapping[str, Any]) -> list[Item]:
    """Build the section with all that a rerun needs, and what this one cost."""
    network, seconds = summary["network"], summary.get("seconds", {})
    rows: list[tuple[object, ...]] = [
        ("Seed", str(summary["seed"])),
        ("Target", str(summary.get("target", "–"))),
        ("Grid", summary.get("grid", {}).get("text")),
        ("Network", network["name"]),
        ("Layer of Grad-CAM", network.get("layer")),
        ("SHA-256 of the weights", network.get("weights_sha256")),
        *((f"Version of {name}", str(v)) for name, v in summary.get("versions", {}).items()),
    ]
    if summary.get("peak_rss_mb") is not None:
        rows.append(("Memory at most", f"{summary['peak_rss_mb']:.0f} MB"))
    items: list[Item] = [
        Text(("The same command with the same versions gives the same numbers, to rounding.",)),
        Code(str(summary["command"])),
        Table(("What", "Value"), tuple(rows), "Provenance"),
    ]
    if seconds:
        steps = tuple((name.replace("_", " "), duration(s)) for name, s in seconds.items())
        items.append(Table(("Step", "Time"), steps, "Time"))
    options = tuple(
        (m["label"], json.dumps(m["options"], sort_keys=True) if m["options"] else "none")
        for m in summary["methods"].values()
        if "options" in m
    )
    if options:
        items.append(Table(("Method", "Options"), options, "Options of the methods"))
    if summary.get("notes"):
        items += [Heading("Notes"), Text(tuple(str(note) for note in summary["notes"]))]
    return items
