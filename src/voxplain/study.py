"""The study folder on disk: names, atomic writes, and what is done already."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.atomic import cannot_write, read_json, write_atomically
from voxplain.errors import StudyError
from voxplain.grid import Grid
from voxplain.maps import AttributionMap, GroupMap, Provenance

__all__ = ["Study"]

_NOT_IN_BIDS = (
    *("cohort/", "group/", "model/", "figures/", "phantom/", "*.html", "**/*_statmap.*"),
    *("cohort.json", "demo.json", "exclusions.tsv", "explain.json", "summary.json"),
)


class Study:
    """A folder of results laid out like a BIDS derivative.

    Every file appears by atomic rename, so that a reader never meets half of one.

    Parameters
    ----------
    folder : path
        Made when it is missing.
    name : str
        Name of the data set, for ``dataset_description.json``.
    version : str
        Version of voxplain.

    Raises
    ------
    StudyError
        If the folder holds something that voxplain did not write, or cannot be written to.
    """

    def __init__(self, folder: str | Path, name: str, version: str) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise StudyError(f"{self.folder} is a file; give a folder for the results.")
        try:
            ours = not self.folder.exists() or not any(self.folder.iterdir()) or self._is_ours()
        except OSError as error:
            raise cannot_write(error, self.folder) from error
        if not ours:
            raise StudyError(
                f"{self.folder} holds files that voxplain did not write; give a new or an empty "
                "folder."
            )
        description = {
            "Name": name,
            "BIDSVersion": "1.10.0",
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "voxplain", "Version": version}],
        }
        self.write_json("dataset_description.json", description)
        self.write_text(".bidsignore", "\n".join(_NOT_IN_BIDS) + "\n")

    def _is_ours(self) -> bool:
        try:
            text = (self.folder / "dataset_description.json").read_text(encoding="utf-8")
            makers = json.loads(text)["GeneratedBy"]
            return any(maker["Name"] == "voxplain" for maker in makers)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return False

    def write_bytes(self, name: str, content: bytes) -> Path:
        """Write one file whole or not at all, and return its path.

        Raises
        ------
        StudyError
            If it cannot be written, as on a full disk; what stood there before stays.
        """
        path = self.folder / name
        write_atomically(path, content)
        return path

    def write_text(self, name: str, content: str) -> Path:
        """Write a text file in UTF-8."""
        return self.write_bytes(name, content.encode("utf-8"))

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Write a JSON file; values that are not finite become null."""
        text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
        return self.write_text(name, text + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Return a JSON file's content, empty where there is none that is whole."""
        return read_json(self.folder / name) or {}

    def find_json(self, name: str, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a JSON file's content if its ``request`` equals the one given, else None."""
        content = self.read_json(name)
        return content if content.get("request") == _plain(request) else None

    def changed_json(self, name: str, request: Mapping[str, Any]) -> list[str]:
        """Name the entries in which a JSON file's ``request`` differs; none where it is missing."""
        kept, wanted = self.read_json(name).get("request", {}), _plain(request)
        return [key for key in {**kept, **wanted} if kept and kept.get(key) != wanted.get(key)]

    def claim(self, name: str, request: Mapping[str, Any]) -> None:
        """Keep the folder for one request: results of different ones are never mixed.

        Parameters
        ----------
        name : str
            Of the JSON file that remembers the request.
        request : mapping

        Raises
        ------
        StudyError
            If the folder was claimed for another request before.
        """
        if (self.folder / name).exists() and self.find_json(name, request) is None:
            raise StudyError(
                f"{self.folder} holds results made with other options (see its {name}); give "
                "another folder, or the same options to go on."
            )
        self.write_json(name, {"request": request})

    def map_name(self, subject: str, method: str, target: str) -> str:
        """Return the path, in the study, of a subject's map without its ending.

        Parameters
        ----------
        subject : str
            Participant label without ``sub-``, with session and run where there are several scans.
        method : str
            Label of the method, such as ``"Grad-CAM"``.
        target : str
            Short name of the target, such as ``"case"``.
        """
        who = _who(subject)
        return f"maps/{who}/{who}_desc-{_description(method, target)}"

    def write_map(
        self, map_: AttributionMap, label: str, request: Mapping[str, Any], seconds: float
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

        Returns
        -------
        pathlib.Path
            Of the NIfTI file.
        """
        start = self.map_name(map_.subject, label, map_.target)
        name, spread = f"{start}_statmap", f"{start}Spread_statmap.nii.gz"
        sidecar = {
            "Description": f"{label} for {map_.target}, raw and signed",
            "Units": map_.unit,
            "Sign": map_.sign,
            "Subject": map_.subject,
            "Target": map_.target,
            "Grid": map_.grid.to_dict(),
            "Provenance": map_.provenance.to_dict(),
            "Seconds": seconds,
            "request": request,
        }
        (self.folder / f"{name}.json").unlink(missing_ok=True)
        path = self.write_bytes(f"{name}.nii.gz", nifti_bytes(map_.values, map_.grid))
        if map_.spread is not None:
            self.write_bytes(spread, nifti_bytes(map_.spread, map_.grid))
            sidecar["Spread"] = Path(spread).name
        self.write_json(f"{name}.json", sidecar)
        return path

    def find_map(
        self, subject: str, method: str, label: str, request: Mapping[str, Any]
    ) -> tuple[AttributionMap, float] | None:
        """Return a subject's finished map and its seconds, if made for an equal request.

        Parameters
        ----------
        subject, method : str
            Participant label, and registry name of the method.
        label : str
            Label of the method, as in the file's name.
        request : mapping
        """
        who = _who(subject)
        start = f"{who}_desc-{_description(label, '')}"
        for path in sorted((self.folder / "maps" / who).glob(f"{start}*_statmap.json")):
            sidecar = self.find_json(str(path.relative_to(self.folder)), request)
            values = None if sidecar is None else _read_values(path.with_suffix(".nii.gz"))
            if sidecar is None or values is None:
                continue
            spread = None
            if "Spread" in sidecar:
                spread = _read_values(path.with_name(sidecar["Spread"]))
                if spread is None:
                    continue
            notes = tuple(sidecar["Provenance"]["notes"])
            found = AttributionMap(
                values=values,
                grid=Grid.from_dict(sidecar["Grid"]),
                subject=subject,
                method=method,
                target=sidecar["Target"],
                unit=sidecar["Units"],
                sign=sidecar["Sign"],
                provenance=Provenance(**{**sidecar["Provenance"], "notes": notes}),
                spread=spread,
            )
            return found, float(sidecar["Seconds"])
        return None

    def write_group_map(self, map_: GroupMap, label: str) -> Path:
        """Write a statistic over subjects, and its sidecar."""
        name = f"group/desc-{_description(label, map_.target)}_stat-{map_.statistic}_statmap"
        path = self.write_volume(name, map_.values, map_.grid)
        self.write_json(
            f"{name}.json",
            {
                "Description": f"{map_.statistic} of {label} over subjects, for {map_.target}",
                "Units": map_.unit,
                "NumberOfSubjects": map_.n_subjects,
            },
        )
        return path

    def write_volume(self, name: str, values: NDArray[Any], grid: Grid) -> Path:
        """Write an array on its grid as ``name``.nii.gz."""
        return self.write_bytes(f"{name}.nii.gz", nifti_bytes(values, grid))


def nifti_bytes(values: NDArray[Any], grid: Grid) -> bytes:
    """Return an array on its grid as the bytes of a compressed NIfTI-1 file.

    Masks become uint8, all else float32; equal input gives equal bytes.
    """
    import nibabel

    kind = np.uint8 if values.dtype == bool else np.float32
    image = nibabel.Nifti1Image(np.asarray(values, dtype=kind), grid.affine)
    image.set_sform(grid.affine, code="scanner")
    image.set_qform(grid.affine, code="scanner")
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), compresslevel=4, mtime=0)


def _read_values(path: Path) -> NDArray[np.float32] | None:
    import nibabel

    try:
        return np.asarray(nibabel.nifti1.load(path).dataobj, dtype=np.float32)
    except (OSError, ValueError, EOFError, nibabel.filebasedimages.ImageFileError):
        return None


def _who(subject: str) -> str:
    """Write a scan's label as BIDS does: ``sub-01``, or ``sub-01_ses-2_run-1``."""
    first, *rest = subject.split("_")
    if not all(re.fullmatch(r"[a-z]+-[0-9A-Za-z]+", part) for part in rest):
        first, rest = subject, []
    return "_".join(["sub-" + re.sub(r"[^0-9A-Za-z]", "", first), *rest])


def _description(label: str, target: str) -> str:
    # Else Grad-CAM++ would be written over Grad-CAM.
    text = f"{label} {target}".replace("+", " plus ")
    words = re.findall(r"[0-9A-Za-z]+", text)
    return "".join(word[0].upper() + word[1:] for word in words)


def _plain(value: Any) -> Any:
    """Turn arrays, NumPy numbers and paths into what JSON holds."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value
