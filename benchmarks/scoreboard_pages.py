"""What the scoreboard's cells come to: a JSON file, a page of the documentation and its figure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scoreboard_beside import above_t_map, of_controls, of_t_map, pooled_interval, short
from benchmarks.scoreboard_cells import COMMITTED, joined
from benchmarks.scoreboard_published import Means, beside_se3d, single_means
from voxplain.attribution.methods import METHODS
from voxplain.report.figures.style import (
    BLUE,
    FAINT,
    GREY,
    INK,
    PAGE_WIDTH,
    house_style,
    new_figure,
    png_bytes,
)

__all__ = ["write_pages"]

DOCS = Path(__file__).parents[1] / "docs"
_MUTATION = Path(__file__).with_name("mutation.json")
# Of a single scan, and of a group: the mean of another method's maps.
SINGLE, GROUP = "recommended", "pattern"
# Which cells speak for a scenario: of so many scans, or of 120.
_SCANS = {"interaction": 900, "suppressor": 480}
# Trainings that learnt next to nothing cannot show where it lies; their rows stay.
_LEARNT = 0.6
# Where signs differ from case to case, the mean magnitude is the map of the group.
_CANCELS = ("interaction",)
_SEVERAL = 3
_USUAL = {"epochs": 12, "batch_size": 4}
_VOXEL_SIZE = 4.0
Record = Mapping[str, Any]


def write_pages(records: Sequence[Record]) -> None:
    """Write ``docs/scoreboard.json``, ``docs/scoreboard.md`` and ``docs/images/scoreboard.png``.

    Parameters
    ----------
    records : sequence of mapping
        What `benchmarks.scoreboard.run` gave of cells that are made; those that are in
        ``docs/scoreboard.json`` already stay, unless they are made anew.
    """
    before = json.loads(COMMITTED.read_text("utf-8"))
    cells = joined(before["cells"], records)
    told = [one for one in cells if "methods" in one]
    usual = [
        one
        for one in told
        if (one["scenario"], one["subjects"], one["network"]) == ("additive", 120, "mrinet")
        and _is_usual(one)
    ]
    single = single_means(usual, before["beside_se3d"])
    null = [one for one in cells if "null" in one]
    content = {
        "methods": list(told[0]["methods"]) if told else [],
        "recommended": {"method": SINGLE, "group_method": GROUP, **_recommended(told, null)},
        "mutation": json.loads(_MUTATION.read_text("utf-8")) if _MUTATION.exists() else None,
        "beside_se3d": single,
        "cells": cells,
    }
    COMMITTED.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    (DOCS / "scoreboard.md").write_text(_page(told, null, single), "utf-8")
    if told:
        (DOCS / "images" / "scoreboard.png").write_bytes(_figure(told))


def _alike(records: Iterable[Record]) -> dict[tuple[Any, ...], list[Record]]:
    """Gather cells that differ by their seed alone."""
    found: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for one in records:
        place = one["scenario"], _base(one), one["subjects"], one["network"], _training(one)
        found[place].append(one)
    return dict(sorted(found.items()))


def _base(one: Record) -> str:
    """Write what a phantom was made of, and its voxels where they are not the usual ones."""
    size = one.get("voxel_size_mm", _VOXEL_SIZE)
    return one["base"] + f", {size:g} mm" * (size != _VOXEL_SIZE)


def _against(told: Sequence[Record]) -> dict[str, list[Record]]:
    """Take cells whose effect adds up, and is not hidden behind another, of three seeds or more."""
    found = {}
    for (scenario, base, subjects, network, training), cells in _alike(told).items():
        if scenario in ("additive", "suppressor", "families") and len(cells) >= _SEVERAL:
            usual = "" if training == "12 × 4" else f", {training.partition(', ')[2]}"
            found[f"{scenario}, {base}, {subjects} scans, {network}{usual}"] = cells
    return found


def _training(one: Record) -> str:
    """Write epochs and batch size, and how often the folds were divided anew."""
    told = one.get("schedule", _USUAL)
    repeats = one.get("repeats", 1)
    return f"{told['epochs']} × {told['batch_size']}" + f", {repeats} repeats" * (repeats > 1)


def _is_usual(one: Record) -> bool:
    return one.get("repeats", 1) == 1 and one.get("voxel_size_mm", _VOXEL_SIZE) == _VOXEL_SIZE


def _mean(records: Sequence[Record], *path: str) -> float | None:
    """Average over cells what lies at a path of keys; None where a cell has nothing there."""
    values = []
    for one in records:
        value: Any = one
        for key in path:
            value = None if value is None else value.get(key)
        if value is None:
            return None
        values.append(value)
    return float(np.mean(values))


def _ap(records: Sequence[Record], method: str, whose: str, of: str = "") -> float | None:
    """Average the average precision of a method's maps, or of what it is held against."""
    if of:
        return _mean(records, "methods", method, whose, f"{of}_ap")
    return float(np.mean([one["methods"][method][whose]["ap"][0] for one in records]))


def _recommended(told: Sequence[Record], null: Sequence[Record]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    spoken: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for one in told:
        right = one["network"] == "mrinet" and one["subjects"] == _SCANS.get(one["scenario"], 120)
        if right and _is_usual(one) and one["accuracy"] >= _LEARNT:
            spoken[one["scenario"], one["base"]].append(one)
    for (scenario, base), cells in spoken.items():
        made[scenario if base == "template" else f"{scenario}_{base}"] = {
            "group_ap": _mean(cells, "magnitude_ap", GROUP)
            if scenario in _CANCELS
            else _ap(cells, GROUP, "group"),
            "group_statistic": "mean magnitude" if scenario in _CANCELS else "mean",
            "signed_group_ap": _ap(cells, GROUP, "group"),
            "group_ap_interval": pooled_interval(cells, GROUP),
            "group_ap_intervals": [_interval(one, GROUP) for one in cells],
            "above_t_map": above_t_map(cells, GROUP),
            "subject_ap": _ap(cells, SINGLE, "subjects"),
            "t_map_ap": _ap(cells, GROUP, "group", "t-map-all"),
            "ceiling_ap": _ap(cells, GROUP, "group", "ceiling"),
            "accuracy": _mean(cells, "accuracy"),
            "networks": sum(one["folds"] for one in cells),
            "subjects": cells[0]["subjects"],
            "seeds": [one["seed"] for one in cells],
        }
    if null:
        made["null"] = {
            **{
                name: sum(one["null"][method][key] for one in null)
                for method, name, key in (
                    (SINGLE, "better", "better"),
                    (SINGLE, "maps", "maps"),
                    (GROUP, "means_better", "means_better"),
                    (GROUP, "means", "means"),
                )
            },
            "networks": sum(one["folds"] for one in null),
            "seeds": [one["seed"] for one in null],
        }
    return made


def _interval(one: Record, method: str) -> list[float]:
    return list(one["methods"][method]["group"]["ap"][1:])


def _page(told: Sequence[Record], null: Sequence[Record], single: Means) -> str:
    lines = [
        "# Scoreboard",
        "",
        "Made by `make scoreboard` from phantoms whose truth is known; do not edit. Average",
        "precision of mean maps of the cases / of maps of single cases, inside the brain, means",
        "over the seeds. Every network explains scans that it did not see, five folds a seed (two",
        "or three in interactions); of more than 120 scans 120 are explained.",
        "Voxels of 4 mm unless said, d' = 3. The t-map of all scans and the ceiling, the true",
        "change itself, are smoothed as the mean pattern is, by 4 mm.",
        "",
    ]
    if told:
        lines += ["![Average precision of mean maps by scenario](images/scoreboard.png)", ""]
        names = list(told[0]["methods"])
        heads = ["scenario", "base", "scans", "seeds", "network", "epochs × batch", "accuracy"]
        labels = [METHODS[name].info.label for name in names]
        lines += _row([*heads, *labels, "t-map", "ceiling"])
        lines += _row(["---"] * (len(heads) + len(names) + 2))
        for (scenario, base, subjects, network, training), cells in _alike(told).items():
            cell = [f"{short(_ap(cells, n, 'group'))} / "
                    f"{short(_ap(cells, n, 'subjects'))}" for n in names]  # fmt: skip
            seeds = ", ".join(str(one["seed"]) for one in cells)
            start = [scenario, base, str(subjects), seeds, network, training]
            start.append(short(_mean(cells, "accuracy")))
            end = [
                short(_ap(cells, GROUP, "group", "t-map-all")),
                short(_ap(cells, GROUP, "group", "ceiling")),
            ]
            lines += _row([*start, *cell, *end])
        lines.append("")
        lines += of_t_map(_against(told), GROUP)
        lines += of_controls(told)
    magnitudes = [one for one in told if one["scenario"] == "interaction"]
    if magnitudes:
        lines += [
            "Of an interaction signed maps cancel in the mean: a voxel speaks for the class in one",
            "case and against it in the next. Average precision of the mean over cases of each",
            "map's magnitude:",
            "",
            *_row(["scans", "seed", "epochs × batch", "accuracy", *magnitudes[0]["magnitude_ap"]]),
            *_row(["---"] * (4 + len(magnitudes[0]["magnitude_ap"]))),
        ]
        for one in magnitudes:
            start = [str(one["subjects"]), str(one["seed"]), _training(one), short(one["accuracy"])]
            lines += _row([*start, *(short(v) for v in one["magnitude_ap"].values())])
        lines.append("")
    shares = [one for one in told if one.get("suppressor")]
    if shares:
        lines += [
            "Share of a mean map's magnitude that lies on the suppressor, which carries no class:",
            "",
            *_row(["scans", "seed", "network", *shares[0]["suppressor"]]),
            *_row(["---"] * (3 + len(shares[0]["suppressor"]))),
        ]
        for one in shares:
            values = [f"{100 * v:.1f} %" for v in one["suppressor"].values()]
            lines += _row([str(one["subjects"]), str(one["seed"]), one["network"], *values])
        lines.append("")
    if null:
        lines += [
            "Where there is nothing to find, a map may be called better than chance once in twenty",
            "times. Called so, of maps of single scans and of mean maps:",
            "",
            *_row(["base", "scans", "seed", *null[0]["null"]]),
            *_row(["---"] * (3 + len(null[0]["null"]))),
        ]
        for one in null:
            cell = [
                f"{n['better']} of {n['maps']}, {n['means_better']} of {n['means']}"
                for n in one["null"].values()
            ]
            lines += _row([one["base"], str(one["subjects"]), str(one["seed"]), *cell])
        lines.append("")
    if single:
        lines += beside_se3d(single)
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(cells)} |"]


def _figure(told: Sequence[Record]) -> bytes:
    """Draw mean maps' average precision, a row a group of cells, beside t-map and ceiling."""
    groups = _alike(told)
    names = list(told[0]["methods"])
    with house_style():
        figure = new_figure(PAGE_WIDTH, 1.1 + 0.34 * len(groups), constrained=True)
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, whose, title in (
            (left, "group", "Mean map of the cases"),
            (right, "subjects", "One case"),
        ):
            for place, cells in enumerate(groups.values()):
                axes.axhline(place, color=FAINT, lw=0.5)
                for name in names:
                    value = _ap(cells, name, whose)
                    best = name == (GROUP if whose == "group" else SINGLE)
                    axes.plot(value, place, "o", color=BLUE if best else GREY, ms=6 if best else 4)
                bars = ("t-map-all", "|"), ("ceiling", "D")
                for of, marker in bars:
                    value = _ap(cells, GROUP, whose, of)
                    axes.plot(value, place, marker, color=INK, ms=8 if marker == "|" else 4)
            axes.set_title(title)
            axes.set(xlim=(-0.02, 1.02), xlabel="average precision")
            axes.tick_params(axis="y", length=0)
        labels = [
            f"{s}, {b}, {n} scans, {net}" + ("" if t == "12 × 4" else f", {t}")
            for s, b, n, net, t in groups
        ]
        left.set_yticks(range(len(groups)), labels)
        left.set_ylim(len(groups) - 0.4, -0.6)
        for marker, colour, words in (
            ("o", BLUE, f"{METHODS[GROUP].info.label} (mean), "
                        f"{METHODS[SINGLE].info.label} (one)"),
            ("o", GREY, "other methods"), ("|", INK, "t-map of all scans"), ("D", INK, "ceiling"),
        ):  # fmt: skip
            left.plot([], [], marker, color=colour, label=words, ls="")
        figure.legend(loc="outside lower center", ncols=4, fontsize=7, frameon=False)
        return png_bytes(figure)
