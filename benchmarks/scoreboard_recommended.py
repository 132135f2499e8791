"""What the recommended methods reach, as ``docs/scoreboard.json`` tells it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from benchmarks.scoreboard_beside import above_t_map, pooled_interval
from benchmarks.scoreboard_cells import SEVERAL, VOXEL_SIZE, Record, ap_of, mean_of

__all__ = ["GROUP", "SINGLE", "recommended"]

# Of a single scan, and of a group: the mean of another method's maps.
SINGLE, GROUP = "recommended", "pattern"
# Which cells speak for a scenario: of so many scans, or of 120.
_SCANS = {"interaction": 900, "suppressor": 480}
# Trainings that learnt next to nothing cannot show where it lies; their rows stay.
_LEARNT = 0.6
# Where signs differ from case to case, the mean magnitude is the map of the group.
_CANCELS = ("interaction",)


def recommended(told: Sequence[Record], null: Sequence[Record]) -> dict[str, Any]:
    """Gather what the recommended methods reach, scenario by scenario.

    Parameters
    ----------
    told, null : sequence of mapping
        Cells with an effect, and without.

    Returns
    -------
    dict
    """
    made: dict[str, Any] = {}
    spoken: dict[tuple[str, str], dict[int, list[Record]]] = defaultdict(dict)
    for one in told:
        right = one["network"] == "mrinet" and one["subjects"] == _SCANS.get(one["scenario"], 120)
        usual = one.get("voxel_size_mm", VOXEL_SIZE) == VOXEL_SIZE
        if right and usual and one["accuracy"] >= _LEARNT:
            known = spoken[one["scenario"], one["base"]]
            known.setdefault(one.get("repeats", 1), []).append(one)
    named = {}
    for (scenario, base), by_repeats in spoken.items():
        name = scenario if base == "template" else f"{scenario}_{base}"
        # A scan explained by a network of each of two repeats is what is recommended.
        most = max(n for n, cells in by_repeats.items() if n == 1 or len(cells) >= SEVERAL)
        named[name] = by_repeats[most]
        if most > 1:
            named[f"{name}_one_repeat"] = by_repeats[1]
    for name, cells in named.items():
        scenario, repeats = cells[0]["scenario"], cells[0].get("repeats", 1)
        made[name] = {
            "group_ap": mean_of(cells, "magnitude_ap", GROUP)
            if scenario in _CANCELS
            else ap_of(cells, GROUP, "group"),
            "group_statistic": "mean magnitude" if scenario in _CANCELS else "mean",
            "signed_group_ap": ap_of(cells, GROUP, "group"),
            "subject_ap": ap_of(cells, SINGLE, "subjects"),
            "t_map_ap": ap_of(cells, GROUP, "group", "t-map-all"),
            "ceiling_ap": ap_of(cells, GROUP, "group", "ceiling"),
            "accuracy": mean_of(cells, "accuracy"),
            "networks": sum(one["folds"] * repeats for one in cells),
            "repeats": repeats,
            "subjects": cells[0]["subjects"],
            "seeds": [one["seed"] for one in cells],
        }
        if scenario not in _CANCELS:
            made[name] |= {
                "group_ap_interval": pooled_interval(cells, GROUP),
                "group_ap_intervals": [_interval(one, GROUP) for one in cells],
                "above_t_map": above_t_map(cells, GROUP),
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
            # Of nothing there is no place that a map could find.
            **dict.fromkeys(("group_ap", "subject_ap", "t_map_ap", "ceiling_ap")),
            "networks": sum(one["folds"] for one in null),
            "subjects": null[0]["subjects"],
            "seeds": [one["seed"] for one in null],
        }
    return made


def _interval(one: Record, method: str) -> list[float]:
    return list(one["methods"][method]["group"]["ap"][1:])
