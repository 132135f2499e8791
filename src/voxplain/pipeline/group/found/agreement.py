"""Where the tests of all methods agree, written as maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.group.conjunction import conjunction
from voxplain.images.reading import read_image
from voxplain.maps import GroupMap
from voxplain.study import Study

__all__ = ["require_several", "write_conjunction"]

_TITLES = {"voxel": "Voxel", "tfce": "Tfce"}
_ALPHA = 0.05 + 1e-7  # p is kept in float32


def require_several(labels: list[str], targets: set[str], statistics: tuple[str, ...]) -> None:
    """Refuse a conjunction of one method, of several targets, or of clusters.

    Raises
    ------
    InputError
    """
    if len(labels) < 2:
        raise InputError(
            f"--conjunction needs maps of two methods or more; there are those of {labels[0]}."
        )
    if len(targets) > 1:
        raise InputError(
            f"--conjunction needs maps for one target; these are for {', '.join(sorted(targets))}: "
            "give --target."
        )
    if not {*_TITLES} & {*statistics}:
        raise InputError(
            "--conjunction is of voxels: ask for --statistic voxel or tfce; the p of a cluster "
            "says nothing of each voxel."
        )


def write_conjunction(
    study: Study, start: str, tests: Mapping[str, Mapping[str, Any]], mask: NDArray[np.bool_]
) -> dict[str, Any]:
    """Write where all of some tests find an effect of one direction.

    Parameters
    ----------
    study : Study
    start : str
        Begin of the files' names, below ``group/``.
    tests : mapping of str to mapping
        What `group_study` wrote of each, by the begin of its files' names.
    mask : array (X, Y, Z), bool

    Returns
    -------
    dict
        ``methods``, and for each statistic the smallest p and the voxels of .05 or less.
    """
    first = next(iter(tests.values()))
    labels = [one["label"] for one in tests.values()]

    def read(name: str) -> list[NDArray[np.float32]]:
        paths = (study.folder / f"{one}_stat-{name}_statmap.nii.gz" for one in tests)
        return [read_image(path)[0][mask] for path in paths]

    _, grid = read_image(study.folder / f"{next(iter(tests))}_stat-t_statmap.nii.gz")
    words = " and ".join(labels)

    def write(values: NDArray[np.float64], statistic: str, outside: float) -> None:
        volume = np.full(mask.shape, outside, dtype=np.float32)
        volume[mask] = values
        scans = int(first["scans"])
        one = GroupMap(volume, grid, "conjunction", first["target"], statistic, scans)
        told = {"Statistic": f"the least significant of {words}, where all have one sign"}
        study.write_statistic(start, one, f"Conjunction of {words}", told)

    t, found = read("t"), dict[str, Any]()
    for name, title in _TITLES.items():
        if name not in first["found"]:
            continue
        least, p = conjunction(t, read(f"p{title}"))
        write(p, f"p{title}", 1.0)
        write(least, "t", 0.0)
        found[name] = {
            "smallest_p": float(p.min()),
            "voxels_05": int((p <= _ALPHA).sum()),
            "positive_05": int(((p <= _ALPHA) & (least > 0)).sum()),
        }
    return {"methods": labels, "effect": first["effect"], "found": found}
