"""What the scoreboard's cells come to: a JSON file, a page of the documentation and its figure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.scoreboard_beside import of_controls, of_t_map, short
from benchmarks.scoreboard_cells import (
    COMMITTED,
    SEVERAL,
    VOXEL_SIZE,
    Record,
    ap_of,
    joined,
    mean_of,
)  # fmt: skip
from benchmarks.scoreboard_published import Means, beside_se3d, single_means
from benchmarks.scoreboard_recommended import GROUP, SINGLE, recommended
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
_USUAL = {"epochs": 12, "batch_size": 4}


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
        "recommended": {"method": SINGLE, "group_method": GROUP, **recommended(told, null)},
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
    size = one.get("voxel_size_mm", VOXEL_SIZE)
    return one["base"] + f", {size:g} mm" * (size != VOXEL_SIZE)


def _against(told: Sequence[Record]) -> dict[str, list[Record]]:
    """Take cells whose effect adds up, and is not hidden behind another, of three seeds or more."""
    found = {}
    for (scenario, base, subjects, network, training), cells in _alike(told).items():
        if scenario in ("additive", "suppressor", "families") and len(cells) >= SEVERAL:
            usual = "" if training == "12 × 4" else f", {training.partition(', ')[2]}"
            found[f"{scenario}, {base}, {subjects} scans, {network}{usual}"] = cells
    return found


def _training(one: Record) -> str:
    """Write epochs and batch size, and how often the folds were divided anew."""
    told = one.get("schedule", _USUAL)
    repeats = one.get("repeats", 1)
    return f"{told['epochs']} × {told['batch_size']}" + f", {repeats} repeats" * (repeats > 1)


def _is_usual(one: Record) -> bool:
    return one.get("repeats", 1) == 1 and one.get("voxel_size_mm", VOXEL_SIZE) == VOXEL_SIZE


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
            cell = [f"{short(ap_of(cells, n, 'group'))} / "
                    f"{short(ap_of(cells, n, 'subjects'))}" for n in names]  # fmt: skip
            seeds = ", ".join(str(one["seed"]) for one in cells)
            start = [scenario, base, str(subjects), seeds, network, training]
            start.append(short(mean_of(cells, "accuracy")))
            end = [
                short(ap_of(cells, GROUP, "group", "t-map-all")),
                short(ap_of(cells, GROUP, "group", "ceiling")),
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
                    value = ap_of(cells, name, whose)
                    best = name == (GROUP if whose == "group" else SINGLE)
                    axes.plot(value, place, "o", color=BLUE if best else GREY, ms=6 if best else 4)
                bars = ("t-map-all", "|"), ("ceiling", "D")
                for of, marker in bars:
                    value = ap_of(cells, GROUP, whose, of)
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
