"""What the page's viewer of maps shows: volumes packed as text, with their words."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxplain.cortex import Cortex
from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.report.figures.brain.head import head_mask, tissue_grey
from voxplain.report.figures.brain.paint import Look
from voxplain.report.figures.brain.planes import require_on_grid, to_ras

__all__ = ["MEAN", "SINGLE", "Scenery", "ShownMap", "packed_maps", "safe_json", "viewer_data"]

MEAN: Final = "mean of participants"
"""What the viewer's list of subjects calls a map of all of them."""

SINGLE: Final = "single map"
"""What its list of statistics calls the map of one scan."""

_GROUP_LEVELS: Final = 32767
_SUBJECT_LEVELS: Final = 2047
_SMALLEST_P: Final = 1e-12
_FAINTEST: Final = 2.0
_SMALL, _QUICK = 6, 1


@dataclass(frozen=True, eq=False)
class ShownMap:
    """One map that the viewer may show.

    Parameters
    ----------
    method, target, statistic : str
        By which it is chosen: ``"Gradient"``, ``"case"``, ``"mean"``; of one scan, `SINGLE`.
    values : array (X, Y, Z)
    unit : str
    subject : str
        `MEAN`, or the name of a scan.
    probability : bool
        Whether the values are p: small ones are shown, on a logarithmic scale.
    """

    method: str
    target: str
    statistic: str
    values: NDArray[np.float32]
    unit: str
    subject: str = MEAN
    probability: bool = False


@dataclass(frozen=True, eq=False)
class Scenery:
    """What lies below and around the maps.

    Parameters
    ----------
    grid : Grid
        Of all arrays; any orientation.
    anatomy : array (X, Y, Z)
    labels : array (X, Y, Z), int, or None
        Of an atlas.
    regions : mapping of int to str
        Its names.
    atlas : str
    truth : array (X, Y, Z), or None
    cortex : Cortex or None
        On which maps are laid as well.
    """

    grid: Grid
    anatomy: NDArray[np.float32]
    labels: NDArray[np.int32] | None = None
    regions: Mapping[int, str] = field(default_factory=dict)
    atlas: str = ""
    truth: NDArray[np.float32] | None = None
    cortex: Cortex | None = None


def viewer_data(
    scenery: Scenery,
    maps: Sequence[ShownMap],
    anatomies: Mapping[str, NDArray[np.float32]] | None = None,
    elsewhere: Mapping[str, str] | None = None,
) -> str:
    """Pack maps and anatomy for `voxplain.report.html.sections.MapViewer`.

    Axes are turned to right, front and up, without interpolation. Of maps over subjects 32,767
    steps from 0 to the largest magnitude are kept, of single subjects' 2,047: more than is printed.

    Parameters
    ----------
    scenery : Scenery
    maps : sequence of ShownMap
        The first is shown first.
    anatomies : mapping of str to array (X, Y, Z), optional
        Of single subjects.
    elsewhere : mapping of str to str, optional
        Of subjects that are not in the page, the file beside it that `packed_maps` made.

    Returns
    -------
    str
        JSON, without a character that could end a script.

    Raises
    ------
    InputError
        If there is no map.
    VoxplainError
        If an array is not on the grid or not finite.
    """
    if not maps:
        raise InputError("The viewer needs one map or more; none was given.")
    grid = scenery.grid
    grey, turned, head = _grey(scenery.anatomy, grid)
    heads = {MEAN: head}
    told: dict[str, Any] = {
        "shape": turned.shape,
        "affine": np.round(turned.affine, 6).tolist(),
        "oblique": _oblique(turned),
        "anatomy": {MEAN: grey},
        "mean": MEAN,
        "elsewhere": dict(elsewhere or {}),
    }
    for name, values in (anatomies or {}).items():
        told["anatomy"][name], _, heads[name] = _grey(values, grid)
    told["maps"] = [_packed(one, grid, heads.get(one.subject, head)) for one in maps]
    if scenery.labels is not None:
        labels, _ = to_ras(scenery.labels.astype(np.float32), grid)
        known = {int(label): name for label, name in scenery.regions.items()}
        order = sorted(known)
        numbers = np.zeros(labels.shape, dtype=np.int16)
        for number, label in enumerate(order, start=1):
            numbers[labels == label] = number
        names = ["", *(known[label] for label in order)]
        told["atlas"] = {"name": scenery.atlas, "names": names, "data": _planes(numbers)}
    if scenery.truth is not None:
        truth, _ = to_ras(np.asarray(scenery.truth, dtype=np.float32), grid)
        told["truth"] = _bytes((truth > 0.5).astype(np.uint8))
    if scenery.cortex is not None:
        told["cortex"] = _surfaces(scenery.cortex)
    return safe_json(told)


def _surfaces(cortex: Cortex) -> dict[str, str]:
    """Pack surfaces in tenths of a mm, all x first, and faces as steps from the one before."""
    pial, white, inflated = (
        np.rint(10 * one.T).astype(np.int16) for one in (cortex.pial, cortex.white, cortex.inflated)
    )
    steps = np.diff(cortex.faces, axis=0, prepend=0).T.astype(np.int16)
    named = {"pial": pial, "inward": white - pial, "inflated": inflated, "faces": steps}
    packed = {name: _planes(values.ravel()) for name, values in named.items()}
    return packed | {"sulcus": _bytes((cortex.sulcus > 0).astype(np.uint8))}


def packed_maps(
    maps: Sequence[ShownMap], anatomy: NDArray[np.float32], grid: Grid, subject: str
) -> str:
    """Pack the maps of a subject as a script that hands them to the viewer.

    Parameters
    ----------
    maps : sequence of ShownMap
    anatomy : array (X, Y, Z)
    grid : Grid
    subject : str

    Returns
    -------
    str
        JavaScript.
    """
    grey, _, head = _grey(anatomy, grid)
    packed = [_packed(one, grid, head, _QUICK) for one in maps]
    told = {"anatomy": {subject: grey}, "maps": packed}
    return f"voxplainMaps({safe_json(told)});\n"


def safe_json(value: Any) -> str:
    """Write JSON that neither ends a script nor opens a tag, whatever its strings hold."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _packed(
    one: ShownMap, grid: Grid, head: NDArray[np.bool_], effort: int = _SMALL
) -> dict[str, Any]:
    values, _ = to_ras(require_on_grid(one.values, grid, f"The map of {one.method}"), grid)
    if one.probability:
        values = -np.log10(np.clip(values, _SMALLEST_P, 1)).astype(np.float32)
    look = Look.of(values, head)
    top = max(float(values.max()), _FAINTEST) if one.probability else look.top
    levels = _GROUP_LEVELS if one.subject == MEAN else _SUBJECT_LEVELS
    # What lies beyond the head is never shown.
    values = np.where(head, values, 0)
    step = (float(np.abs(values).max()) or 1.0) / levels
    return {
        "method": one.method,
        "target": one.target,
        "statistic": one.statistic,
        "subject": one.subject,
        "unit": one.unit,
        "p": one.probability,
        "signed": look.signed and not one.probability,
        "top": top,
        "step": step,
        "data": _planes(np.rint(values / step).astype(np.int16), effort),
    }


def _grey(anatomy: NDArray[np.float32], grid: Grid) -> tuple[str, Grid, NDArray[np.bool_]]:
    """Scale anatomy to bytes, 0 for air; also give the turned grid and where the head is."""
    values, turned = to_ras(require_on_grid(anatomy, grid, "The anatomy"), grid)
    head = head_mask(values)
    grey = tissue_grey(values, head, float(np.mean(grid.voxel_size)))
    return _bytes(np.where(head, np.rint(1 + 254 * grey), 0).astype(np.uint8)), turned, head


def _oblique(grid: Grid) -> bool:
    directions = np.abs(grid.affine[:3, :3]) / np.asarray(grid.voxel_size)
    return bool(directions.max(axis=0).min() < 0.999)


def _planes(values: NDArray[np.int16], effort: int = _SMALL) -> str:
    """Pack numbers with their low bytes first and their high bytes after: so they deflate best."""
    flat = values.astype("<i2").ravel(order="F").view(np.uint8).reshape(-1, 2)
    return _deflated(flat.T.tobytes(), effort)


def _bytes(values: NDArray[np.uint8]) -> str:
    return _deflated(values.tobytes(order="F"))


def _deflated(content: bytes, effort: int = _SMALL) -> str:
    return b64encode(zlib.compress(content, effort)).decode("ascii")
