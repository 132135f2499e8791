"""Maps in a study: where each lies, what it was made from, and whether it is there already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxplain.files.atomic import plain
from voxplain.images.sidecars import image_from_bytes, map_files, write_map
from voxplain.maps import AttributionMap
from voxplain.study.batches import Batch
from voxplain.study.group_maps import GroupMaps
from voxplain.study.names import MapName
from voxplain.study.requests import changed, same_request

__all__ = ["OWN_GRIDS", "MapToWrite", "Study"]

OWN_GRIDS = "input_grid"
"""Folder of the maps that were carried back to the grids of their scans."""


class MapToWrite(NamedTuple):
    """A map, and what is told of it; see `Study.write_map`."""

    map_: AttributionMap
    label: str
    request: Mapping[str, Any]
    seconds: float
    network: str = ""
    sources: Mapping[str, Any] | None = None

    def sidecar(self) -> dict[str, Any]:
        """Return what the JSON file beside the map says."""
        return {
            **self.map_.sidecar(self.label),
            "Network": self.network,
            "Sources": self.sources or {},
            "Seconds": self.seconds,
            "request": self.request,
        }


class Study(GroupMaps):
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
        told = MapToWrite(map_, label, request, seconds, network, sources)
        path = self.folder / f"{start}_statmap.nii.gz"
        return write_map(path, map_.values, map_.grid, told.sidecar(), map_.spread)

    def write_batch(self, maps: Sequence[MapToWrite], batch: Batch) -> list[Path]:
        """Write the maps of a batch into a store, all of them or none.

        Their bytes are those of the files that `write_map` would write.

        Parameters
        ----------
        maps : sequence of MapToWrite
        batch : Batch

        Returns
        -------
        list of pathlib.Path
            Where the NIfTI files would be.

        Raises
        ------
        StudyError
            If they cannot be written, as on a full disk.
        """
        files: dict[str, bytes] = {}
        editions: dict[str, int] = {}
        paths = []
        try:
            for one in maps:
                start = self.map_place(one.map_, one.label, one.network)
                other = self.made_otherwise(one.map_, one.label, one.request, one.network)
                path = self.folder / f"{start}_statmap.nii.gz"
                written = map_files(
                    path.name, one.map_.values, one.map_.grid, one.sidecar(), one.map_.spread
                )
                for name, content in written:
                    inner = f"{path.parent.name}/{name}"
                    files[inner] = content
                    editions[inner] = (self.stores.edition(inner) or 0) + bool(other)
                    # A scan of the same batch may be spelled alike.
                    self._awaited[f"maps/{inner}"] = content
                paths.append(path)
        finally:
            self._awaited.clear()
        # A file would count, not what is in the store; its sidecar goes first.
        for inner in reversed(files):
            self.remove(f"maps/{inner}")
        self.stores.write(batch, files, editions)
        return paths

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
        asked = {"method": method, "network": network, "request": plain(request)}
        for path, sidecar in self.sidecars(subject):
            if not _answers(sidecar, asked):
                continue
            place = path.with_suffix(".nii.gz")
            values = self._values(place)
            spread = (
                self._values(path.with_name(sidecar["Spread"])) if "Spread" in sidecar else None
            )
            if values is None or ("Spread" in sidecar and spread is None):
                continue
            found = AttributionMap.from_sidecar(values, spread, sidecar)
            return found, float(sidecar["Seconds"]), place
        return None

    def _values(self, path: Path) -> NDArray[np.float32] | None:
        content = self.read_bytes(path.relative_to(self.folder).as_posix())
        image = None if content is None else image_from_bytes(content)
        return None if image is None else np.asarray(image.dataobj, dtype=np.float32)

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
        for name in self.list_sidecars():
            sidecar, image = self.read_json(name), name.removesuffix(".json") + ".nii.gz"
            if {"Provenance", "Method", "Subject", "request"} <= {*sidecar} and self.holds(image):
                yield self.folder / image, sidecar

    def sidecars(self, subject: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Go through the sidecars of the whole maps of a scan: each one's path and content."""
        name = MapName(subject, "", "")
        starts = (name.start(), name.start(other_scan=True))
        for who in dict.fromkeys(start.split("/")[1] for start in starts):
            for place in self.list_sidecars(who):
                sidecar = self.read_json(place)
                if sidecar.get("Subject") == subject and "Provenance" in sidecar:
                    yield self.folder / place, sidecar


def _answers(sidecar: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    return bool(
        sidecar["Provenance"]["method"] == asked["method"]
        and sidecar.get("Network", "") == asked["network"]
        and same_request(sidecar.get("request"), asked["request"])
    )
