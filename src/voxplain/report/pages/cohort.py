"""The cohort's page: who is in it, what looks odd, and what could mislead a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voxplain.report.html.sections import (
    Fact,
    Finding,
    Findings,
    Item,
    Page,
    Picture,
    Section,
    Table,
    Text,
)

__all__ = ["cohort_page"]

_MOST_ROWS = 60


def cohort_page(
    summary: Mapping[str, Any],
    pictures: Mapping[str, bytes],
    outliers: Sequence[Mapping[str, Any]],
    exclusions: Sequence[tuple[str, str, str]],
) -> Page:
    """Assemble the page.

    Parameters
    ----------
    summary : mapping
        The content of ``cohort.json``.
    pictures : mapping of str to bytes
        PNGs under ``sheet``, ``intensities`` and ``covariates``; what is missing is left out.
    outliers : sequence of mapping
        Rows of `voxplain.cohort.check.quality.Quality` that stand out.
    exclusions : sequence of (participant, what was found, reason)

    Returns
    -------
    Page
    """
    doubts = summary.get("doubts", ())
    sections = (
        Section("Place and masks first", "doubts", _doubts(doubts)),
        Section("What could mislead a network", "balance", _balance(summary, pictures)),
        Section("The scans", "scans", _scans(summary, pictures, outliers)),
        Section("Who was left out", "exclusions", _excluded(exclusions)),
        Section("How the scans were prepared", "recipe", _recipe(summary)),
    )
    counts = " and ".join(f"{n} {name}" for name, n in summary["classes"].items())
    several = summary["scans"] != summary["subjects"]
    whole = f"{summary['scans']} scans: " if several else ""
    facts = (
        Fact(str(summary["subjects"]), "participants", whole + counts),
        *[Fact(str(len(doubts)), "doubts about place and masks", "see section 1")] * bool(doubts),
        Fact(str(len(outliers)), "scans stand out", f"see section {3 if doubts else 2}"),
        Fact(str(len(exclusions)), "left out", "each with its reason"),
    )
    return Page(
        title="Quality of the cohort",
        subtitle=f"{counts}. {summary['coding']}",
        sections=tuple(section for section in sections if section.items),
        facts=facts,
    )


def _doubts(doubts: Sequence[Mapping[str, Any]]) -> list[Item]:
    if not doubts:
        return []
    return [
        Findings(
            tuple(
                Finding(one["name"], one["sentence"], "chance", f"{len(one['scans'])} scans")
                for one in doubts
            )
        )
    ]


def _balance(summary: Mapping[str, Any], pictures: Mapping[str, bytes]) -> list[Item]:
    items: list[Item] = []
    told = summary["balance"]
    if summary["warnings"]:
        items.append(
            Findings(
                tuple(
                    Finding(one["name"], warning, "chance", f"AUC {one['auc']:.2f}")
                    for one, warning in zip(
                        (b for b in told if b["telling"]), summary["warnings"], strict=True
                    )
                )
            )
        )
    elif told:
        items.append(
            Text(("No covariate that the table has tells the classes apart beyond doubt.",))
        )
    if told:
        names = list(summary["classes"])
        items.append(
            Table(
                ("covariate", "AUC alone", "95 % interval", "participants", *names),
                tuple(
                    (
                        one["name"],
                        one["auc"],
                        tuple(one["interval"]),
                        one["n"],
                        *(one["by_class"][name] for name in names),
                    )
                    for one in told
                ),
                caption="The label, predicted from one covariate without any image",
                note="A number as it is; levels such as sites in the order that other participants "
                "give them; .5 is chance. "
                "By class: means ± standard deviations, or counts.",
                highlight=frozenset(i for i, one in enumerate(told) if one["telling"]),
            )
        )
    items += _picture(
        pictures,
        "covariates",
        "Each participant is a dot; the line is the median of the class.",
        "Brain volume and age of the participants by class",
    )
    return items


def _scans(
    summary: Mapping[str, Any],
    pictures: Mapping[str, bytes],
    outliers: Sequence[Mapping[str, Any]],
) -> list[Item]:
    items: list[Item] = []
    if outliers:
        columns = tuple(outliers[0])
        items.append(
            Table(
                columns,
                tuple(tuple(row.values()) for row in outliers),
                caption="Scans that stand out: look at them before you train",
                note="More than 3.5 robust standard deviations from the median of the cohort.",
            )
        )
    else:
        items.append(
            Text(("No scan stands out in brain volume, intensity or likeness to the others.",))
        )
    items += _picture(
        pictures,
        "sheet",
        "An axial and a sagittal cut through the same point of every scan that is shown, on the "
        "network's grid; left is left. The line is the rim of what is not 0. Names of scans that "
        "stand out are orange.",
        "Cuts through the scans of the cohort",
    )
    items += _picture(
        pictures,
        "intensities",
        "Grey: every scan. Scans that stand out are drawn by name.",
        "Histograms of the intensities of all scans",
    )
    if summary["notes"]:
        rows = [(who, " ".join(notes)) for who, notes in sorted(summary["notes"].items())]
        items.append(
            Table(
                ("participant", "remark"),
                tuple(rows[:_MOST_ROWS]),
                caption="Remarks on single scans",
                note=_cut(len(rows), "cohort.json"),
            )
        )
    return items


def _excluded(exclusions: Sequence[tuple[str, str, str]]) -> list[Item]:
    if not exclusions:
        return [Text(("Nobody: every participant has a scan and a label that can be used.",))]
    return [
        Table(
            ("participant", "found", "reason"),
            tuple(exclusions[:_MOST_ROWS]),
            note=_cut(len(exclusions), "exclusions.tsv"),
        )
    ]


def _recipe(summary: Mapping[str, Any]) -> list[Item]:
    rows = []
    for step in summary["recipe"]:
        more = {k: v for k, v in step.items() if k not in ("step", "how", "grid")}
        told = ", ".join(f"{name} {value:g}" for name, value in more.items())
        if "grid" in step:
            told = "×".join(map(str, step["grid"]["shape"])) + " voxels"
        rows.append((step["step"], step["how"], told))
    return [
        Table(
            ("step", "how", "settings"),
            tuple(rows),
            note=f"Hash of the recipe: {summary['recipe_sha256'][:16]}. A store of another recipe "
            "is another store.",
        )
    ]


def _picture(pictures: Mapping[str, bytes], name: str, caption: str, alt: str) -> list[Item]:
    return [Picture(pictures[name], caption, alt)] if name in pictures else []


def _cut(count: int, file: str) -> str:
    return f"{_MOST_ROWS} of {count}; all of them in {file}." if count > _MOST_ROWS else ""
