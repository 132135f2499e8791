"""How to repeat the study: its commands, versions and files."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from voxplain.report.html.sections import Code, Heading, Item, Links, Table, Text
from voxplain.report.pages.study.shown import Shown
from voxplain.results.study import StudyFound

__all__ = ["commands", "repeat"]

_FIT = {"outcome": ("--outcome", "label"), "folds": ("--cv", 10), "repeats": ("--repeats", 1)}
_SCHEDULE = {
    "epochs": "--epochs",
    "batch_size": "--batch-size",
    "learning_rate": "--learning-rate",
    "parts": "--parts",
    "patience": "--patience",
    "precision": "--precision",
}
_EXPLAIN = {
    "layer": ("--layer", "auto"),
    "option": ("--option", []),
    "sample": ("--sample", None),
    "precision": ("--precision", "auto"),
    "atlas": ("--atlas", []),
    "move_atlas": ("--move-atlas", False),
    "latex": ("--latex", False),
    "grid": ("--grid", None),
    "maps": ("--maps", None),
}
_GROUP = {
    "model": ("--model", "class"),
    "contrast": ("--contrast", None),
    "blocks": ("--blocks", "auto"),
    "methods": ("--method", []),
    "target": ("--target", None),
    "network": ("--network", None),
    "only": ("--only", None),
    "statistics": ("--statistic", ["voxel", "mass", "tfce"]),
    "permutations": ("--permutations", 5000),
    "fast": ("--fast", False),
    "fwhm": ("--fwhm", 0.0),
    "cluster_p": ("--cluster-p", 0.001),
    "atlases": ("--atlas", ["AAL"]),
    "move_atlas": ("--move-atlas", False),
    "latex": ("--latex", False),
    "table": ("--table", None),
    "null": ("--null", "permutation"),
    "null_studies": ("--null-study", []),
    "null_networks": ("--null-networks", 19),
    "transform": ("--transform", None),
    "fold_means": ("--fold-means", False),
    "conjunction": ("--conjunction", False),
    "device": ("--device", "cpu"),
}
_OPTIONS = "options"
_FAST = 500
_BEFORE = " Tests by an earlier version, which kept no options, are left out."


def repeat(found: StudyFound, shown: Shown) -> list[Item]:
    """Show commands, versions and the pages of single commands."""
    lines = commands(found)
    items: list[Item] = []
    if lines:
        items += [
            Text(
                (
                    "From the options that the study keeps of each part. The same seeds give the "
                    "same figures on the same machine."
                    + _BEFORE
                    * any(_OPTIONS not in test.told for test in found.tests),
                )
            ),
            Code("\n".join(lines)),
        ]
    if found.cohort and found.cohort.recipe:
        items.append(Text((f"The cohort before it: {found.cohort.recipe}.",)))
    versions = tuple(found.versions.items())
    if versions:
        items.append(Table(("package", "version"), versions, caption="Versions"))
    if found.pages:
        links = tuple((title, file) for title, file in found.pages)
        items += [Heading("Pages of single commands"), Links(links)]
    return items or [Text(("Nothing was run yet.",))]


def commands(found: StudyFound) -> list[str]:
    """Write the command lines that the study's records tell of."""
    out: list[list[str]] = []
    if found.fit:
        out.append(_fit(found.path, found.fit.options))
    runs = found.explain.get("runs") or ([found.explain] if found.explain.get("group") else [])
    for run in runs:
        if run.get("group"):
            line = [
                "explain",
                found.path,
                "--network",
                run["network"],
                "--target",
                str(run["target"]),
            ]
            for method in run["group"]:
                line += ["--method", method]
            out.append([*line, *_flags(run.get(_OPTIONS, {}), _EXPLAIN), *_seed(run)])
    for test in found.tests:
        line = _group(found.path, test.told.get(_OPTIONS))
        # A call tests the maps of several methods.
        if line and line not in out:
            out.append(line)
    if found.reclassify:
        asked = found.reclassify.options
        line = ["reclassify", found.path, "--network", found.reclassify.network]
        out.append([*line, "--method", found.reclassify.method, *_seed(asked)])
    if found.features:
        one = found.features
        line = ["features", found.path, "--network", one["network"], "--layer", one["layer"]]
        out.append([*line, "--fold", str(one["fold"])])
    if found.trust:
        line = ["trust", found.path, "--budget", found.trust.budget]
        for name in found.trust.options.get("methods", ()):
            line += ["--method", name]
        out.append([*line, *_seed(found.trust.options)])
    out.append(["report", found.path])
    return [shlex.join(["voxplain", *line]) for line in out]


def _seed(options: Mapping[str, Any]) -> list[str]:
    return ["--seed", str(options["seed"])] if options.get("seed") else []


def _fit(path: str, options: Mapping[str, Any]) -> list[str]:
    line = ["fit", path]
    for name in options.get("networks", ()):
        line += ["--network", str(name)]
    line += _flags(options, _FIT)
    schedule = options.get("schedule") or {}
    for key, flag in _SCHEDULE.items():
        if schedule.get(key) not in (None, "auto", 1):
            line += [flag, str(schedule[key])]
    if options.get("final") is False:
        line.append("--no-final")
    if options.get("baselines") is False:
        line.append("--no-baselines")
    if options.get("table"):
        line += ["--table", str(options["table"])]
    for column in options.get("confounds", ()):
        line += ["--confound", str(column)]
    return [*line, *_seed(options)]


def _group(path: str, asked: Mapping[str, Any] | None) -> list[str]:
    if asked is None:
        return []
    test = asked["test"]
    drawn = None if test["fast"] and test["permutations"] == _FAST else test["permutations"]
    told = {**asked, **test, "permutations": drawn}
    return ["group", path, *_flags(told, _GROUP), *_seed(test)]


def _flags(asked: Mapping[str, Any], known: Mapping[str, tuple[str, Any]]) -> list[str]:
    """Write the options that are not as they are by default."""
    line = []
    for key, (flag, default) in known.items():
        value = asked.get(key)
        if value is None or value == default:
            continue
        if value is True:
            line.append(flag)
            continue
        for one in value if isinstance(value, list) else [value]:
            line += [flag, f"{one:g}" if isinstance(one, float) else str(one)]
    return line
