"""What is kept of the scoreboard's cells: short, one a phantom and network, committed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "COMMITTED", "SEVERAL", "VOXEL_SIZE", "Record", "ap_of", "committed_places", "joined",
    "mean_of", "place_of", "shortened",
]  # fmt: skip

COMMITTED = Path(__file__).parents[1] / "docs/scoreboard.json"

Record = Mapping[str, Any]
# What cells were before these were told of them.
VOXEL_SIZE = 4.0
_USUAL = {"repeats": 1, "voxel_size_mm": VOXEL_SIZE}
# Seeds from which on a mean over them speaks for more than themselves.
SEVERAL = 3
# Methods of all scans that were explained, and of some.
_JUDGED = ("methods", "of_some")
# Beside average precision, of maps of single scans.
_SINGLE = ("max_f1", "box_found")


def shortened(record: Record) -> dict[str, Any]:
    """Keep of a cell what is quoted; its study holds the rest.

    Parameters
    ----------
    record : mapping
        What `benchmarks.scoreboard.run` gave, or what this function made of it.

    Returns
    -------
    dict
        For each method "group" and "subjects", each with "ap" [value, low, high], "chance_ap_95",
        "ceiling_ap" and those of the controls; "subjects" also with "max_f1" and "box_found".
    """
    made = {key: value for key, value in record.items() if key not in _JUDGED}
    for which in _JUDGED:
        for name, judged in record.get(which, {}).items():
            told = {whose: _told(judged[whose], whose) for whose in ("group", "subjects")}
            made.setdefault(which, {})[name] = told
    return made


def _told(judged: Record, whose: str) -> dict[str, Any]:
    if "ap" in judged:
        return dict(judged)
    found, beside = judged["found"], judged["controls"]
    ap = found["average_precision"]
    return {
        "ap": [ap["value"], ap["low"], ap["high"]],
        "chance_ap_95": judged["chance_ap_95"],
        "ceiling_ap": judged["ceiling"]["average_precision"]["value"],
        **{f"{name}_ap": one["average_precision"]["value"] for name, one in beside.items()},
        **{key: found[key]["value"] for key in _SINGLE if whose == "subjects"},
    }


def place_of(record: Record) -> tuple[Any, ...]:
    """Tell one cell from another.

    Parameters
    ----------
    record : mapping
        Of a cell, or the cell as a dict.

    Returns
    -------
    tuple
    """
    whole = _USUAL | dict(record)
    names = ("scenario", "base", "subjects", "seed", "network", "repeats", "voxel_size_mm")
    return tuple(whole[name] for name in names)


def committed_places() -> set[tuple[Any, ...]]:
    """List cells that were made before, wherever.

    Returns
    -------
    set of tuple
    """
    return {place_of(one) for one in json.loads(COMMITTED.read_text("utf-8"))["cells"]}


def joined(before: Iterable[Record], new: Iterable[Record]) -> list[dict[str, Any]]:
    """Put cells that were just made in the place of, or beside, those that are committed.

    Parameters
    ----------
    before, new : iterable of mapping

    Returns
    -------
    list of dict
    """
    found = {place_of(one): shortened(one) for one in [*before, *new]}
    return [found[place] for place in sorted(found)]


def mean_of(records: Sequence[Record], *path: str) -> float | None:
    """Average over cells what lies at a path of keys; None where a cell has nothing there.

    Parameters
    ----------
    records : sequence of mapping
    *path : str

    Returns
    -------
    float or None
    """
    values = []
    for one in records:
        value: Any = one
        for key in path:
            value = None if value is None else value.get(key)
        if value is None:
            return None
        values.append(value)
    return float(np.mean(values))


def ap_of(records: Sequence[Record], method: str, whose: str, of: str = "") -> float | None:
    """Average over cells the average precision of a method's maps, or of what they stand beside.

    Parameters
    ----------
    records : sequence of mapping
    method : str
    whose : {"group", "subjects"}
    of : str, default=""
        ``ceiling`` or a control.

    Returns
    -------
    float or None
    """
    if of:
        return mean_of(records, "methods", method, whose, f"{of}_ap")
    return float(np.mean([one["methods"][method][whose]["ap"][0] for one in records]))
