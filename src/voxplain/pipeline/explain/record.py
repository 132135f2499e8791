"""What ``explain.json`` holds: the last call, and what earlier ones left in the folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxplain.study import same_request

__all__ = ["with_earlier_groups", "with_earlier_scans"]

_MADE_ALIKE = ("preset", "align", "grid", "task", "unit", "class_names")
"""What maps must share to stand beside the same predictions."""


def with_earlier_scans(previous: Mapping[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """Add to a call's record of scans what earlier calls left in the folder.

    Parameters
    ----------
    previous : mapping
        What ``explain.json`` held before; may be empty.
    result : dict
        Of this call.

    Returns
    -------
    dict
        `result`, its scans joined by those of earlier calls with the same network and preset, and
        under ``runs`` every call with those of its maps that were not written over since.
    """
    written = {made["map"] for scan in result["scans"] for made in scan["maps"].values()}
    earlier = []
    for run in _runs(previous):
        if not isinstance(run.get("scans"), list):
            earlier.append(run)
            continue
        scans = [
            scan
            | {"maps": {k: made for k, made in scan["maps"].items() if made["map"] not in written}}
            for scan in run["scans"]
        ]
        if kept := [scan for scan in scans if scan["maps"]]:
            earlier.append(run | {"scans": kept})
    joined = {scan["subject"]: dict(scan) for scan in result["scans"]}
    layers, seconds = dict(result["layer"]), dict(result["seconds_per_map"])
    for run in reversed(earlier):
        if not _alike(run, result):
            continue
        layers = run.get("layer", {}) | layers
        seconds = run.get("seconds_per_map", {}) | seconds
        for scan in run["scans"]:
            known = joined.setdefault(scan["subject"], dict(scan))
            known["maps"] = scan["maps"] | known["maps"]
    together = {"scans": list(joined.values()), "layer": layers, "seconds_per_map": seconds}
    return result | together | {"runs": [*earlier, result]}


def with_earlier_groups(previous: Mapping[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """Add to a call's record of group maps what earlier calls left; see `with_earlier_scans`.

    Group maps are joined by those of all earlier calls, each with its network and rule.
    """
    written = {told["map"] for maps in result["group"].values() for told in maps}
    earlier, joined = [], {name: list(maps) for name, maps in result["group"].items()}
    for run in _runs(previous):
        if "group" not in run:
            earlier.append(run)
            continue
        groups = {
            name: [told for told in maps if told["map"] not in written]
            for name, maps in run["group"].items()
        }
        groups = {name: maps for name, maps in groups.items() if maps}
        for name, maps in groups.items():
            joined.setdefault(name, []).extend(maps)
        if groups:
            earlier.append(run | {"group": groups})
    return result | {"group": joined, "runs": [*earlier, result]}


def _runs(previous: Mapping[str, Any]) -> list[dict[str, Any]]:
    alone = [dict(previous)] if previous else []
    runs: list[dict[str, Any]] = previous.get("runs", alone)
    return runs


def _alike(run: Mapping[str, Any], result: Mapping[str, Any]) -> bool:
    """Tell whether a call asked the same network about scans prepared in the same way."""
    if not isinstance(run.get("scans"), list):
        return False
    networks = [
        {k: v for k, v in one["network"].items() if not k.startswith("weights")}
        | {"weights_sha256": one["network"]["weights_sha256"]}
        for one in (run, result)
    ]
    return same_request(*networks) and all(run.get(k) == result.get(k) for k in _MADE_ALIKE)
