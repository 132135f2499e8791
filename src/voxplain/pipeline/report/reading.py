"""What a study says of itself in its tables and JSON files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from voxplain.attribution import METHODS
from voxplain.pipeline.fit.places import FOLDS, folder_of
from voxplain.results.fit import FitResult
from voxplain.results.study import CohortFound, GroupTest, MeanMap, MethodTold, ScanFound
from voxplain.study import StudyReader
from voxplain.tables.formulas import given_cell
from voxplain.volume import Cohort

__all__ = [
    "PAGES",
    "cohort_found",
    "group_tests",
    "mean_maps",
    "method_told",
    "predictions",
    "rows_of",
]

PAGES = (
    ("cohort.html", "The cohort and its quality"),
    ("fit.html", "Cross-validated models"),
    ("explain.html", "Maps held against a known truth"),
    ("reclassify.html", "Masked scans"),
    ("features.html", "Feature maps"),
    ("trust.html", "The verdict"),
    ("trust-weights.html", "The verdict on somebody's weights"),
)
"""Pages of single commands: file and title."""


def rows_of(text: str | None) -> list[dict[str, str]]:
    """Read a table with tabs."""
    if not text:
        return []
    head, *lines = ([*map(given_cell, line.split("\t"))] for line in text.splitlines())
    return [dict(zip(head, line, strict=False)) for line in lines]


def cohort_found(study: StudyReader, cohort: Cohort) -> CohortFound:
    """Gather who takes part, who was left out, and who is in which fold."""
    told, summary = study.read_json("cohort.json"), study.read_json("summary.json")
    recipe = _recipe(told) or _spoken(str(summary.get("phantom", {}).get("recipe", "")))
    names = cohort.class_names
    labels = cohort.participants["label"].astype(str)
    classes = {name: int((labels == name).sum()) for name in names}
    of_scan = dict(zip(cohort.subjects, labels, strict=True))
    folds: dict[str, Counter[str]] = {}
    for row in rows_of(study.read_text(FOLDS)):
        if row["repeat"] == "1":
            scan = row["scan"].removeprefix("sub-")
            folds.setdefault(row["fold"], Counter())[of_scan.get(scan, "")] += 1
    exclusions = tuple(
        (row["participant_id"], row["found"], row["reason"])
        for row in rows_of(study.read_text("exclusions.tsv"))
    )
    return CohortFound(
        len(cohort),
        classes,
        str(cohort.grid),
        recipe,
        told,
        exclusions,
        tuple(
            (fold, tuple(count[name] for name in names) if names else (count.total(),))
            for fold, count in folds.items()
        ),
    )


def _recipe(told: Mapping[str, Any]) -> str:
    steps = told.get("recipe", ())
    return "; ".join(f"{one['step']}: {one['how']}" for one in steps)


def _spoken(recipe: str) -> str:
    """Write the recipe of a phantom for readers: values with their names, and no Python."""
    said = re.sub(r", (?:grid=Grid\([^)]*\)|\w+=None)", "", recipe)
    said = re.sub(r"Scenario\((.*)\)$", r"\1", said)
    said = re.sub(r"(\w+)=[A-Z]\w*\(", r"\1 (", said)
    return said.replace("'", "").replace("=", " ").replace("_", " ")


def mean_maps(study: StudyReader, explain: Mapping[str, Any]) -> tuple[MeanMap, ...]:
    """List the mean maps that ``explain.json`` names and that are there."""
    groups = explain.get("group") or {}
    return tuple(
        MeanMap(
            method,
            _label(method),
            one["target"],
            one["scans"],
            one["map"],
            one.get("unit", ""),
            one.get("network", ""),
            one.get("rule", ""),
            tuple((table["atlas"], table["table"]) for table in one.get("regions", ())),
        )
        for method, maps in groups.items()
        for one in maps
        if study.find_file(one["map"])
    )


def _label(method: str) -> str:
    return METHODS[method].info.label if method in METHODS else method


def method_told(method: str, options: Mapping[str, Any]) -> MethodTold:
    """Say what the registry says of a method."""
    if method not in METHODS:
        return MethodTold(method, method, options=options)
    info = METHODS[method].info
    return MethodTold(method, info.label, info.citation, info.unit, info.sign, options)


def group_tests(study: StudyReader, group: Mapping[str, Any]) -> tuple[GroupTest, ...]:
    """List the tests over participants that ``group.json`` tells of."""
    out = []
    for start, told in group["tests"].items():
        asked = study.read_json(f"{start}_test.json").get("request", {})
        regions = tuple(rows_of(study.read_text(f"{start}_regions.tsv")))
        out.append(GroupTest(start, told["label"], told["target"], told, asked, regions))
    return tuple(out)


def predictions(
    study: StudyReader, cohort: Cohort, fit: FitResult | None, network: str
) -> dict[str, ScanFound]:
    """Read what a network, or the fit's first, predicted of each scan that was held out."""
    found = {f"sub-{name}": ScanFound(f"sub-{name}") for name in cohort.subjects}
    if fit is None:
        return found
    name = network if network in fit.models else fit.first.name
    for row in rows_of(study.read_text(f"{folder_of(name)}/predictions.tsv")):
        if row["repeat"] != "1" or row["scan"] not in found:
            continue
        chosen = row.get(f"p_{row['predicted']}")
        sure = None if chosen in (None, "", "n/a") else float(chosen)
        found[row["scan"]] = ScanFound(
            row["scan"],
            row["truth"],
            row["predicted"],
            sure if sure is not None and np.isfinite(sure) else None,
            row["fold"],
        )
    return found
