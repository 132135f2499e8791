"""How to repeat the study: its commands, versions and files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxplain.report.html.sections import Code, Heading, Item, Links, Table, Text
from voxplain.report.pages.study.shown import Shown
from voxplain.report.words.places import command_line
from voxplain.results.reclassify import ReclassifyResult
from voxplain.results.study import StudyFound

__all__ = ["commands", "repeat"]

_FIT = {
    "outcome": ("--outcome", "label"),
    "folds": ("--cv", 10),
    "repeats": ("--repeats", 1),
    "group": ("--group", "auto"),
    "table": ("--table", None),
    "confounds": ("--confound", []),
}
_SCHEDULE = {
    "epochs": ("--epochs", None),
    "batch_size": ("--batch-size", None),
    "learning_rate": ("--learning-rate", None),
    "class_weights": ("--class-weights", False),
    "parts": ("--parts", 1),
    "patience": ("--patience", None),
    "precision": ("--precision", "auto"),
}
_RECLASSIFY = {
    "share": ("--share", 0.1),
    "soft": ("--soft", False),
    "fwhm": ("--fwhm", 8.0),
    "explained": ("--explained", 20),
    "leaky": ("--paper", False),
    "folds": ("--cv", 10),
    "group": ("--group", "auto"),
}
_EXPLAIN = {
    "layer": ("--layer", "auto"),
    "option": ("--option", []),
    "sample": ("--sample", None),
    "repeats": ("--repeats", 1),
    "precision": ("--precision", "auto"),
    "atlas": ("--atlas", []),
    "move_atlas": ("--move-atlas", False),
    "latex": ("--latex", False),
    "grid": ("--grid", "network"),
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
_TRUST: Mapping[str, tuple[str, Any]] = {
    "methods": ("--method", []),
    "network": ("--network", None),
    "rules_name": ("--rules", ""),
}
_OPTIONS = "options"
_FAST = 500
_BEFORE = " Tests by an earlier version, which kept no options, are left out."


def repeat(found: StudyFound, shown: Shown) -> list[Item]:
    """Show commands, versions and the pages of single commands."""
    items: list[Item] = [
        Text(
            (
                "From the options that the study keeps of each part. The same seeds give the same "
                "figures on the same machine. Files are named without their folders."
                + _BEFORE
                * any(_OPTIONS not in test.told for test in found.tests),
            )
        ),
        Code("\n".join(commands(found))),
    ]
    if found.cohort and found.cohort.recipe:
        items.append(Text((f"The cohort before it: {found.cohort.recipe}.",)))
    versions = tuple(found.versions.items())
    if versions:
        items.append(Table(("package", "version"), versions, caption="Versions"))
    if found.pages:
        links = tuple((title, file) for title, file in found.pages)
        items += [Heading("Pages of single commands"), Links(links)]
    return items


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
        out.append(_reclassify(found.path, found.reclassify))
    if found.features:
        one = found.features
        line = ["features", found.path, "--network", one["network"], "--layer", one["layer"]]
        out.append([*line, "--fold", str(one["fold"])])
    if found.trust:
        told = found.trust.options
        line = ["trust", found.path, "--budget", found.trust.budget, *_flags(told, _TRUST)]
        if power := told.get("power"):
            line += ["--power", ",".join(map(str, power))]
        out.append([*line, *_seed(told)])
    out.append(["report", found.path])
    return [command_line(line, found.beside) for line in out]


def _seed(options: Mapping[str, Any]) -> list[str]:
    return ["--seed", str(options["seed"])] if options.get("seed") else []


def _fit(path: str, options: Mapping[str, Any]) -> list[str]:
    line = ["fit", *_place(path, options)]
    for name in options.get("networks", ()):
        line += ["--network", str(name)]
    line += _flags(options, _FIT)
    schedule = options.get("schedule") or {}
    if schedule:
        usual = schedule.get("one_cycle", True)
        line += [] if usual else ["--schedule", "kan2020"]
        line += _flags(schedule, _SCHEDULE)
        changes = [*["flip"] * schedule.get("mirror", usual), *schedule.get("augment", ())]
        if changes != ["flip"] * usual:
            line += ["--augment", ",".join(changes) or "none"]
    if options.get("final") is False:
        line.append("--no-final")
    if options.get("baselines") is False:
        line.append("--no-baselines")
    return [*line, *_seed(options)]


def _reclassify(path: str, found: ReclassifyResult) -> list[str]:
    asked = found.options
    line = ["reclassify", *_place(path, asked), "--network", found.network]
    line += ["--method", found.method, *_flags(asked, _RECLASSIFY)]
    if asked.get("retrain") is False:
        line.append("--no-retrain")
    epochs = (asked.get("schedule") or {}).get("epochs")
    line += [] if epochs is None else ["--epochs", str(epochs)]
    return [*line, *_seed(asked)]


def _place(path: str, asked: Mapping[str, Any]) -> list[str]:
    """Name the study that was read, and that for the results where it is another."""
    read, written = asked.get("study"), asked.get("out")
    return [path] if read == written else [str(read), "--out", path]


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
        if value is None or value == default or (default == [] and not value):
            continue
        if value is True:
            line.append(flag)
            continue
        for one in value if isinstance(value, list | tuple) else [value]:
            line += [flag, f"{one:g}" if isinstance(one, float) else str(one)]
    return line
