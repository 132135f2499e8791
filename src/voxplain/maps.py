"""What comes out: signed maps on a grid, group maps, region tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.grid import Grid
from voxplain.gridmap import GridMap, checked, inside
from voxplain.provenance import Provenance

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AttributionMap", "GroupMap", "RegionTable"]


@dataclass(frozen=True, eq=False)
class AttributionMap(GridMap):
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
    additive : bool, default=False
        Whether a value is the share of its voxel in a sum, which another grid must keep.
    complete : bool, default=False
        Whether the values add up to a difference of the network's outputs.

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
    additive: bool = False
    complete: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", checked(self.values, self.grid))
        if self.spread is not None:
            object.__setattr__(self, "spread", checked(self.spread, self.grid))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> AttributionMap:
        """Read a map that `save` or a study wrote.

        Parameters
        ----------
        path : path
            Of the NIfTI file; its JSON file lies beside it.

        Returns
        -------
        AttributionMap

        Raises
        ------
        InputError
            If a file is missing or damaged.
        """
        from voxplain.images.sidecars import read_map

        return cls.from_sidecar(*read_map(path))

    @classmethod
    def from_sidecar(
        cls,
        values: NDArray[np.float32],
        spread: NDArray[np.float32] | None,
        sidecar: Mapping[str, Any],
    ) -> AttributionMap:
        """Rebuild a map from its values and what `sidecar` returned."""
        notes = tuple(sidecar["Provenance"]["notes"])
        return cls(
            values=values,
            grid=Grid.from_dict(sidecar["Grid"]),
            subject=sidecar["Subject"],
            method=sidecar["Method"],
            target=sidecar["Target"],
            unit=sidecar["Units"],
            sign=sidecar["Sign"],
            provenance=Provenance(**{**sidecar["Provenance"], "notes": notes}),
            spread=spread,
            additive=sidecar.get("Additive", False),
            complete=sidecar.get("Complete", False),
        )

    def sidecar(self, label: str = "") -> dict[str, Any]:
        """Return what the JSON file beside the map says.

        Parameters
        ----------
        label : str
            Of the method, such as ``"Grad-CAM"``; by default its registry name.
        """
        return {
            "Description": f"{label or self.method} for {self.target}, raw and signed",
            "Units": self.unit,
            "Sign": self.sign,
            "Subject": self.subject,
            "Method": self.method,
            "Target": self.target,
            "Additive": self.additive,
            "Complete": self.complete,
            "Grid": self.grid.to_dict(),
            "Provenance": self.provenance.to_dict(),
        }

    def masked(self, brain: ArrayLike) -> AttributionMap:
        """Set all outside a mask to 0, which the notes then say.

        Parameters
        ----------
        brain : array (X, Y, Z), bool
            On the map's grid; `voxplain.read_mask` brings a file there.

        Returns
        -------
        AttributionMap

        Raises
        ------
        InputError
            If the mask is not boolean, has no true voxel, or has another shape.
        """
        notes = (*self.provenance.notes, "values outside a mask were set to 0")
        return replace(
            self,
            values=inside(self.values, brain),
            spread=None if self.spread is None else inside(self.spread, brain),
            provenance=replace(self.provenance, notes=notes),
        )

    def title(self) -> str:
        """Say in a line what the map is: method, target, subject, unit."""
        who = f", {self.subject}" if self.subject else ""
        return f"{self.method} for {self.target}{who} ({self.unit})"

    def __repr__(self) -> str:
        who = f", subject {self.subject!r}" if self.subject else ""
        spread = ", with spread" if self.spread is not None else ""
        what = f"{self.method} for {self.target}{who}; {self.unit}"
        return f"AttributionMap({what}; {self.grid}{spread})"


@dataclass(frozen=True, eq=False)
class GroupMap(GridMap):
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
        object.__setattr__(self, "values", checked(self.values, self.grid))

    def sidecar(self, label: str = "") -> dict[str, Any]:
        """Return what the JSON file beside the map says; `label` as of `AttributionMap.sidecar`."""
        of = f"{self.statistic} of {label or self.method}"
        return {
            "Description": f"{of} over subjects, for {self.target}",
            "Units": self.unit,
            "NumberOfSubjects": self.n_subjects,
            "Method": self.method,
            "Target": self.target,
        }

    def title(self) -> str:
        """Say in a line what the map is: statistic, method, target, subjects, unit."""
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.statistic} of {self.method} for {self.target}, n = {self.n_subjects}{unit}"

    def __repr__(self) -> str:
        return f"GroupMap({self.title()}; {self.grid})"


@dataclass(frozen=True, eq=False)
class RegionTable:
    """A map summed up by the regions of an atlas.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per region and one for what no region covers; columns ``label``, ``region``,
        ``voxels``, ``volume_ml``, ``mean``, ``mean_absolute``, ``peak`` with ``peak_x``,
        ``peak_y``, ``peak_z``, ``share``, ``density`` and ``rank``; over subjects also ``sd``,
        ``rank_low`` and ``rank_high``.
    atlas : str
        Name of the atlas.
    method, target : str
    """

    frame: pd.DataFrame
    atlas: str
    method: str
    target: str

    def __repr__(self) -> str:
        rows = len(self.frame)
        return f"RegionTable({self.method} for {self.target}; {self.atlas}, {rows} rows in .frame)"
