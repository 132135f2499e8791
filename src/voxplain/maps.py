"""What comes out: signed maps on a grid, group maps, region tables, and where each came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AttributionMap", "GroupMap", "Provenance", "RegionTable"]


@dataclass(frozen=True)
class Provenance:
    """All that is needed to make a map again.

    Parameters
    ----------
    method : str
        Registry name of the method.
    options : mapping
        The method's options, defaults included.
    target : str
        What was explained, in words: ``"logit margin of class 1 (case)"``.
    layer : str or None
        Dotted path of the layer, where the method needs one.
    network : str
        Class of the network.
    weights_sha256 : str
        Hash over names and values of all parameters and buffers; of several networks, one each,
        with commas between them.
    precision : str
        How the engine ran the network, such as ``"float32, batch norm folded, channels last"``.
    device : str
    seed : int
    grid : mapping
        `Grid.to_dict` of the grid on which the network saw the scan.
    versions : mapping of str to str
        Versions of voxplain and torch.
    notes : tuple of str
        Warnings raised and quantities reported on the way.
    """

    method: str
    options: Mapping[str, Any]
    target: str
    layer: str | None
    network: str
    weights_sha256: str
    precision: str
    device: str
    seed: int
    grid: Mapping[str, Any]
    versions: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, ready for JSON."""
        return asdict(self) | {"notes": list(self.notes)}


@dataclass(frozen=True, eq=False)
class AttributionMap:
    """The explanation of one prediction, raw: signed, never clipped, scaled or smoothed.

    Parameters
    ----------
    values : array (X, Y, Z), float32
    grid : Grid
    subject : str
        Participant label without ``sub-``.
    method : str
        Registry name of the method.
    target : str
        Short name of what was explained, such as a class name.
    unit : str
        Unit of the values, such as ``"logit per unit of intensity"``.
    sign : str
        What a positive value says.
    provenance : Provenance
    spread : array (X, Y, Z), float32, optional
        For the mean map of several networks: the standard deviation over them, in the same unit.

    Raises
    ------
    InputError
        If the values are not finite or not on the grid.
    """

    values: NDArray[np.float32]
    grid: Grid
    subject: str
    method: str
    target: str
    unit: str
    sign: str
    provenance: Provenance
    spread: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _checked(self.values, self.grid))
        if self.spread is not None:
            object.__setattr__(self, "spread", _checked(self.spread, self.grid))


@dataclass(frozen=True, eq=False)
class GroupMap:
    """One statistic over the maps of several subjects.

    Parameters
    ----------
    values : array (X, Y, Z), float32
    grid : Grid
    method : str
    target : str
        The class whose evidence is mapped.
    statistic : str
        ``"mean"``, ``"t"``, ...
    n_subjects : int
    unit : str
    """

    values: NDArray[np.float32]
    grid: Grid
    method: str
    target: str
    statistic: str
    n_subjects: int
    unit: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _checked(self.values, self.grid))


@dataclass(frozen=True, eq=False)
class RegionTable:
    """A map summed up by the regions of an atlas.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per region and one for what no region covers; columns ``label``, ``region``,
        ``voxels``, ``volume_ml``, ``mean``, ``peak``, ``share``, ``density`` and ``rank``.
    atlas : str
        Name of the atlas.
    method, target : str
    """

    frame: pd.DataFrame
    atlas: str
    method: str
    target: str


def _checked(values: NDArray[np.float32], grid: Grid) -> NDArray[np.float32]:
    array = np.asarray(values, dtype=np.float32)
    if array.shape != grid.shape:
        raise GridError(f"The map has shape {array.shape}, its grid {grid.shape}.")
    if not np.isfinite(array).all():
        raise InputError("The map has values that are not finite; the network gave NaN or inf.")
    return array
