"""The verdict in one sentence, and what was asked of whom."""

from __future__ import annotations

from pathlib import PurePath

from voxplain.report.html.sections import (
    Finding,
    Findings,
    Heading,
    Item,
    NotRun,
    Standing,
    Table,
    Text,
)
from voxplain.report.pages.demo_words import listed
from voxplain.report.pages.study.shown import Shown
from voxplain.report.words.group import effect_words
from voxplain.report.words.maps import shown_label
from voxplain.report.words.scores import at_chance, score_cell
from voxplain.results.study import StudyFound
from voxplain.results.trust import CALL_WORDS, Call

__all__ = ["asked", "verdict", "verdict_sentence"]

_MOST = 40
_CALLS: dict[Call, str] = {
    "believe": "may be believed",
    "believe with care": "may be believed with care",
    "do not believe": "may not be believed",
    "not tested": "were not tested",
}


def verdict_sentence(found: StudyFound) -> tuple[str, Standing]:
    """Say in one sentence what the study shows, and how good that is."""
    if found.trust:
        groups = {
            call: [one.label for one in found.trust.methods if one.call == call]
            for call in CALL_WORDS
        }
        said = [f"maps of {listed(labels)} {_CALLS[c]}" for c, labels in groups.items() if labels]
        worst: Standing = "good" if not groups["do not believe"] else "chance"
        if worst == "good" and (groups["believe with care"] or groups["not tested"]):
            worst = "weak"
        return f"{found.trust.first.rstrip('.')}; {', '.join(said) or 'no map was judged'}.", worst
    if found.fit:
        fit, first = found.fit, found.fit.first
        score = score_cell(first.judged, fit.main).replace("(", "(95 % interval ")
        what = "accuracy" if fit.class_names else f"mean absolute error of {fit.outcome}"
        chance = at_chance(first.judged)
        said = [f"The {what} of {first.name} on held-out scans is {score}"]
        said.append("which cannot be distinguished from chance" if chance else "better than chance")
        maps = (
            "whether its maps may be believed was not tested"
            if found.means
            else "no maps were made"
        )
        return f"{', '.join(said)}; {maps}.", "chance" if chance else "weak"
    if found.cohort:
        return f"{found.cohort.scans} scans are ready; no network was trained on them yet.", "plain"
    return "The study holds no cohort and no network yet.", "plain"


def verdict(found: StudyFound, shown: Shown) -> list[Item]:
    """Put the verdict into one sentence."""
    sentence, standing = verdict_sentence(found)
    items: list[Item] = [Findings((Finding("The verdict", sentence, standing),))]
    if not found.trust:
        items.append(
            NotRun(
                "Whether the maps may be believed was not tested.", f"voxplain trust {found.path}"
            )
        )
    if found.remarks:
        items.append(Text(found.remarks))
    return items


def asked(found: StudyFound, shown: Shown) -> list[Item]:
    """Show who took part, who was left out, and who is in which fold."""
    cohort = found.cohort
    if cohort is None:
        return [NotRun("The study has no cohort.", "voxplain cohort --help")]
    items: list[Item] = [Text((_question(found),)), _flow(found)]
    if cohort.exclusions:
        more = len(cohort.exclusions) - _MOST
        items.append(
            Table(
                ("participant", "found", "reason"),
                tuple((who, _named(at), why) for who, at, why in cohort.exclusions[:_MOST]),
                caption="Who was left out, and why",
                note=f"{more} more in exclusions.tsv." if more > 0 else "",
            )
        )
    for one in cohort.told.get("doubts", ()):
        badge = f"{len(one['scans'])} scans"
        items.append(
            Findings((Finding(one["name"].capitalize(), one["sentence"], "chance", badge),))
        )
    if cohort.folds:
        names = tuple(cohort.classes) or ("scans",)
        rows = tuple((f"fold {fold}", *counts) for fold, counts in cohort.folds)
        items += [
            Heading("Folds"),
            Table(("held out in", *names), rows, caption="Scans of each class in each fold"),
        ]
        if found.fit:
            items.append(Text((found.fit.grouping,)))
    elif not found.fit:
        items.append(NotRun("No network was trained.", f"voxplain fit {found.path}"))
    return items


def _question(found: StudyFound) -> str:
    cohort = found.cohort
    if cohort is None:
        return ""
    names = [f"{count} {name}" for name, count in cohort.classes.items()]
    who = f"{cohort.scans} scans" + (f" ({', '.join(names)})" if names else "")
    if found.fit:
        what = (
            f"tell {listed(found.fit.class_names)} apart"
            if found.fit.class_names
            else f"predict {found.fit.outcome}"
        )
        asked = f"Can a network {what} from the scan alone, and where does it look?"
        return f"{asked} {who}, {cohort.grid}."
    return f"{who}, {cohort.grid}."


def _named(found: str) -> str:
    """Leave out the folders of a file: a page for a paper does not tell where a disk has it."""
    return PurePath(found).name if found.startswith("/") else found


def _flow(found: StudyFound) -> Table:
    """Show the flow of data, from those who were found to the tests."""
    cohort, rows = found.cohort, []
    if cohort:
        excluded = len(cohort.exclusions)
        if cohort.told:
            rows.append(("found", cohort.scans + excluded, "in the source of the cohort"))
            reasons = ", ".join(f"{k} {v}" for k, v in cohort.told.get("excluded", {}).items())
            rows.append(("left out", excluded, reasons or "nobody"))
        rows.append(
            ("prepared", cohort.scans, ", ".join(f"{k} {v}" for k, v in cohort.classes.items()))
        )
    if found.fit:
        fit = found.fit
        repeats = f", {fit.repeats} repeats" * (fit.repeats > 1)
        rows.append(("predicted while held out", fit.scans, f"{fit.folds} folds{repeats}"))
    explained: dict[tuple[str, str], int] = {}
    for one in found.means:
        name = shown_label(one, found.means), one.rule
        explained[name] = explained.get(name, 0) + one.scans
    rows += [("explained", count, label) for (label, _), count in explained.items()]
    for test in found.tests:
        rows.append(
            (
                "tested over scans",
                test.told["scans"],
                f"{test.label}, {test.target}: {effect_words(test)}",
            )
        )
    return Table(("step", "scans", "which"), tuple(rows), caption="Flow of the data")
