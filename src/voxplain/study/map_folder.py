"""A folder of results whose maps lie in files of their own, in stores, or in both."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxplain.errors import StudyError
from voxplain.files.atomic import read_json, write_atomically
from voxplain.images.sidecars import map_from_bytes
from voxplain.maps import AttributionMap
from voxplain.study.folder import Folder
from voxplain.study.stores import Stores

__all__ = ["MapFolder"]

_MAPS = "maps/"
_STORES = "maps/stores"
_PATIENCE, _STEP = 5.0, 0.5
"""Seconds that a file of a shared file system may be late, and between two looks."""


class MapFolder(Folder):
    """Reads maps wherever they lie; see `Folder`.

    A map has one path, that of its NIfTI file, whether there is such a file or its bytes lie in a
    store. Where both are there, the file counts.
    """

    def __init__(self, folder: str | Path, name: str, version: str) -> None:
        super().__init__(folder, name, version)
        self.stores = Stores(self.folder / _STORES)
        self._awaited: dict[str, bytes] = {}

    def read_bytes(self, name: str) -> bytes | None:
        """Return a file's content, also of one in a store; None where it cannot be read."""
        content = super().read_bytes(name)
        if content is None and name.startswith(_MAPS):
            content = self.stores.read(name.removeprefix(_MAPS))
        return content

    def read_json(self, name: str) -> dict[str, Any]:
        """Return a JSON file's content, also of one in a store; empty where none is whole."""
        found = read_json(self.folder / name)
        if found is None and name.startswith(_MAPS):
            content = self._awaited.get(name) or self.stores.read(name.removeprefix(_MAPS))
            found = None if content is None else json.loads(content)
        return found or {}

    def holds(self, name: str) -> bool:
        """Tell whether a file is there, or in a store."""
        if (self.folder / name).is_file():
            return True
        return name.startswith(_MAPS) and (
            self.stores.edition(name.removeprefix(_MAPS)) is not None
        )

    def list_sidecars(self, who: str = "*") -> list[str]:
        """Name the sidecars of maps, those in stores too, in order.

        Parameters
        ----------
        who : str
            Folder of a participant, such as ``sub-01``; by default of all.
        """
        found = {
            path.relative_to(self.folder).as_posix()
            for path in (self.folder / "maps").glob(f"{who}/*_statmap.json")
        }
        stored = self.stores.list_names(None if who == "*" else who)
        return sorted(found | {f"{_MAPS}{one}" for one in stored if one.endswith("_statmap.json")})

    def load_map(self, path: Path) -> AttributionMap:
        """Read a map of the study.

        Parameters
        ----------
        path : path
            Of its NIfTI file, as the study gave it.

        Raises
        ------
        StudyError
            If it is not there, or empty, after some seconds.
        InputError
            If it is damaged.
        """
        name = path.relative_to(self.folder).as_posix()
        sidecar = self._whole(name.removesuffix(".nii.gz") + ".json")
        content = self._whole(name)
        if path.is_file():
            return AttributionMap.load(path)
        told = json.loads(sidecar)
        values = map_from_bytes(content, told, str(path))
        spread = None
        if "Spread" in told:
            beside = path.with_name(told["Spread"])
            content = self._whole(beside.relative_to(self.folder).as_posix())
            spread = map_from_bytes(content, told, str(beside))
        return AttributionMap.from_sidecar(values, spread, told)

    def _whole(self, name: str) -> bytes:
        """Read a file that should be there, and wait for it where it is late or empty."""
        end = time.monotonic() + _PATIENCE
        while not (content := self.read_bytes(name)):
            if time.monotonic() >= end:
                what = "not there, or damaged" if content is None else "empty"
                raise StudyError(
                    f"{self.folder / name} is {what}, and was waited for {_PATIENCE:.0f} seconds; "
                    "run the same 'voxplain explain' again, which makes what is missing."
                )
            time.sleep(_STEP)
        return content

    def require_whole_maps(self) -> None:
        """Wait for stores and sidecars that a shared file system shows late or empty.

        Raises
        ------
        StudyError
            If one is still empty or damaged after some seconds.
        """
        end = time.monotonic() + _PATIENCE
        while late := [*self.stores.unreadable(), *self._empty_sidecars()]:
            if time.monotonic() >= end:
                raise StudyError(
                    f"{late[0]} is empty or damaged, and was waited for {_PATIENCE:.0f} seconds; "
                    "run the same 'voxplain explain' again, which makes its maps anew, or delete "
                    "it."
                )
            time.sleep(_STEP)

    def _empty_sidecars(self) -> list[Path]:
        found = sorted((self.folder / "maps").glob("*/*_statmap.json"))
        return [path for path in found if path.stat().st_size == 0]

    def tidy_maps(self) -> None:
        """Put batches of maps into their stores; nobody else may write meanwhile."""
        self.stores.tidy()

    def export_map(self, name: str, out: Path) -> bool:
        """Write a map's files, its sidecar last, as they lie here or in a store.

        Parameters
        ----------
        name : str
            Of the sidecar, in the study.
        out : path
            Where the folder of the participant is to be; the study's own ``maps``, or another.

        Returns
        -------
        bool
            Whether a file was written; what is there already is not.

        Raises
        ------
        StudyError
            If a file is not there or damaged, or cannot be written.
        """
        sidecar = self._whole(name)
        image = Path(name.removesuffix(".json") + ".nii.gz")
        spread = json.loads(sidecar).get("Spread")
        written = False
        for one in (image, *([image.with_name(Path(spread).name)] if spread else []), Path(name)):
            content = self._whole(one.as_posix())
            place = out / one.relative_to("maps")
            if not place.is_file() or place.read_bytes() != content:
                write_atomically(place, content)
                written = True
        return written

    def _holds_another(self, start: str, own: Mapping[str, str]) -> bool:
        """Tell whether the sidecar of a map is there and says something else."""
        held = self.read_json(f"{start}_statmap.json")
        return any(held.get(key, value) != value for key, value in own.items())
