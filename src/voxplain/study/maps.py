"""Maps in a study: where each lies, what it was made from, and whether it is there already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.atomic import plain, read_json
from voxplain.images.sidecars import write_map
from voxplain.maps import AttributionMap, GroupMap
from voxplain.study.folder import Folder
from voxplain.study.names import MapName, described, mark, spelled
from voxplain.study.requests import changed, same_request

__all__ = ["OWN_GRIDS", "Study"]

OWN_GRIDS = "input_grid"
"""Folder of the maps that were carried back to the grids of their scans."""


class Study(Folder):
    """A folder of results with maps of scans and of groups; see `Folder`."""

    def map_place(self, map_: AttributionMap, label: str, network: str = "") -> str:
        """Find the path, in the study, where a map belongs, without its ending.

        Where the plain name is that of another network's map, or of another scan, target or method
        that is spelled alike, the name says more, and nothing is written over.

        Parameters
        ----------
        map_ : AttributionMap
        label : str
            Label of the method, such as ``"Grad-CAM"``.
        network : str
            Name of the network, in a study that may hold several.
        """
        name = MapName(map_.subject, label, map_.target)
        scan = self._holds_another(name.start(), {"Subject": map_.subject})
        own = {"Method": map_.method, "Target": map_.target}
        text = self._holds_another(name.start(other_scan=scan), own)
        start = name.start(other_scan=scan, other_text=text)
        if self._holds_another(start, {"Network": network}):
            return name.start(network, other_scan=scan, other_text=text)
        return start

    def _holds_another(self, start: str, own: Mapping[str, str]) -> bool:
        """Tell whether the sidecar of a map is there and says something else."""
        held = self.read_json(f"{start}_statmap.json")
        return any(held.get(key, value) != value for key, value in own.items())

    def write_map(
        self,
        map_: AttributionMap,
        label: str,
        request: Mapping[str, Any],
        seconds: float,
        network: str = "",
        sources: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write a map as NIfTI, and then its sidecar, which says that the map is whole.

        The spread of a map, where it has one, is written beside it.

        Parameters
        ----------
        map_ : AttributionMap
        label : str
            Label of the method, such as ``"Grad-CAM"``.
        request : mapping
            What was asked for; a rerun with an equal request finds the map done.
        seconds : float
            Time that the map took.
        network : str
            See `map_place`.
        sources : mapping, optional
            The files that the scan and the weights were read from, and their hashes.

        Returns
        -------
        pathlib.Path
            Of the NIfTI file.
        """
        start = self.map_place(map_, label, network)
        sidecar = {
            **map_.sidecar(label),
            "Network": network,
            "Sources": sources or {},
            "Seconds": seconds,
            "request": request,
        }
        path = self.folder / f"{start}_statmap.nii.gz"
        return write_map(path, map_.values, map_.grid, sidecar, map_.spread)

    def own_grid_place(self, path: Path) -> str:
        """Find where the copy of a map on its scan's own grid belongs, without its ending.

        Parameters
        ----------
        path : path
            Of the map, as `write_map` gave it.
        """
        name = path.relative_to(self.folder / "maps").as_posix().removesuffix("_statmap.nii.gz")
        who, _, what = name.rpartition("_desc-")
        return f"{OWN_GRIDS}/{who}_space-orig_desc-{what}"

    def write_on_own_grid(
        self,
        map_: AttributionMap,
        place: str,
        label: str,
        request: Mapping[str, Any],
        network: str = "",
    ) -> Path:
        """Write a map that was carried to the grid of its scan, and then its sidecar.

        Parameters
        ----------
        map_ : AttributionMap
        place : str
            See `own_grid_place`.
        label, network : str
            See `write_map`.
        request : mapping
            Which map was carried where.
        """
        sidecar = {**map_.sidecar(label), "Network": network, "request": request}
        path = self.folder / f"{place}_statmap.nii.gz"
        return write_map(path, map_.values, map_.grid, sidecar, map_.spread)

    def made_otherwise(
        self, map_: AttributionMap, label: str, request: Mapping[str, Any], network: str = ""
    ) -> list[str]:
        """Name in what a request differs from that of the map which `write_map` would replace."""
        place = self.map_place(map_, label, network)
        before = self.read_json(f"{place}_statmap.json").get("request")
        return changed(before, plain(request)) if before else []

    def find_map(
        self, subject: str, method: str, request: Mapping[str, Any], network: str = ""
    ) -> tuple[AttributionMap, float, Path] | None:
        """Return a finished map, its seconds and its path, if made for an equal request.

        Parameters
        ----------
        subject, method : str
            Label of the scan, and registry name of the method.
        request : mapping
        network : str
            See `map_place`.
        """
        for path, sidecar in self.sidecars(subject):
            asked = {"method": method, "network": network, "request": plain(request)}
            if not _answers(sidecar, asked):
                continue
            values = _read_values(path.with_suffix(".nii.gz"))
            spread = (
                _read_values(path.with_name(sidecar["Spread"])) if "Spread" in sidecar else None
            )
            if values is None or ("Spread" in sidecar and spread is None):
                continue
            found = AttributionMap.from_sidecar(values, spread, sidecar)
            return found, float(sidecar["Seconds"]), path.with_suffix(".nii.gz")
        return None

    def sources(self, subject: str) -> list[dict[str, Any]]:
        """Return from which files each map of a scan was made, as `write_map` was told."""
        return [sidecar.get("Sources") or {} for _, sidecar in self.sidecars(subject)]

    def maps_of(self, subject: str, method: str, network: str) -> list[tuple[Path, str, float]]:
        """List the maps of a scan by a method, whatever they were asked with.

        Parameters
        ----------
        subject, method : str
            Label of the scan, and registry name of the method.
        network : str
            See `map_place`.

        Returns
        -------
        list of (pathlib.Path, str, float)
            The NIfTI file, the target, and the seconds that the map took.
        """
        return [
            (path.with_suffix(".nii.gz"), str(told["Target"]), float(told["Seconds"]))
            for path, told in self.sidecars(subject)
            if told["Provenance"]["method"] == method and told.get("Network", "") == network
        ]

    def all_maps(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Go through the whole maps of all scans, and what their sidecars say."""
        for path in sorted((self.folder / "maps").glob("*/*_statmap.json")):
            sidecar, image = read_json(path) or {}, path.with_suffix(".nii.gz")
            if {"Provenance", "Method", "Subject", "request"} <= {*sidecar} and image.is_file():
                yield image, sidecar

    def sidecars(self, subject: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Go through the sidecars of the whole maps of a scan: each one's path and content."""
        name = MapName(subject, "", "")
        for start in dict.fromkeys((name.start(), name.start(other_scan=True))):
            for path in sorted((self.folder / start).parent.glob("*_statmap.json")):
                sidecar = read_json(path) or {}
                if sidecar.get("Subject") == subject and "Provenance" in sidecar:
                    yield path, sidecar

    def write_group_map(
        self, map_: GroupMap, label: str, network: str = "", rule: str = ""
    ) -> Path:
        """Write a statistic over subjects, and its sidecar.

        Parameters
        ----------
        map_ : GroupMap
        label : str
            Label of the method.
        network : str
            Whose maps it sums up, in a study that may hold several networks'.
        rule : str
            How the target of each scan was chosen: ``"predicted"``, ``"own"``, or a class. Where
            the plain name is that of another network or rule, the name tells both.

        Returns
        -------
        pathlib.Path
            Of the NIfTI file.
        """
        own = {"Method": map_.method, "Target": map_.target, "Network": network, "Rule": rule}
        plain_name = f"desc-{described('', label, map_.target)}_stat-{map_.statistic}"
        told = f"model-{spelled(network)}_target-{spelled(rule)}_" * bool(network or rule)
        names = [plain_name, f"{told}{plain_name}", f"{told}x{mark(map_.target)}_{plain_name}"]
        free = (n for n in names if not self._holds_another(f"group/{n}", own))
        path = self.folder / f"group/{next(free, names[-1])}_statmap.nii.gz"
        return write_map(path, map_.values, map_.grid, {**map_.sidecar(label), **own})

    def write_statistic(
        self, start: str, map_: GroupMap, label: str, extra: Mapping[str, Any]
    ) -> Path:
        """Write one statistic of a test, and its sidecar.

        Parameters
        ----------
        start : str
            Path in the study that the maps of the test share, without ``_stat-``.
        map_ : GroupMap
        label : str
            Label of the method.
        extra : mapping
            What the sidecar says beside what it says of every group map.

        Returns
        -------
        pathlib.Path
            Of the NIfTI file.
        """
        path = self.folder / f"{start}_stat-{map_.statistic}_statmap.nii.gz"
        return write_map(path, map_.values, map_.grid, {**map_.sidecar(label), **extra})


def _read_values(path: Path) -> NDArray[np.float32] | None:
    import nibabel

    try:
        return np.asarray(nibabel.nifti1.load(path).dataobj, dtype=np.float32)
    except Exception:
        # nibabel fails in a dozen ways on an empty or a damaged file; here they are one.
        return None


def _answers(sidecar: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    return bool(
        sidecar["Provenance"]["method"] == asked["method"]
        and sidecar.get("Network", "") == asked["network"]
        and same_request(sidecar.get("request"), asked["request"])
    )
