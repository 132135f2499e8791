"""A folder of results: whole files or none, and what is done already."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import StudyError
from voxplain.files.atomic import cannot_write, json_bytes, on_disk, remove, sweep, write_atomically
from voxplain.grid import Grid
from voxplain.images.writing import nifti_bytes
from voxplain.study.reading import StudyReader

__all__ = ["Folder"]

_NOT_IN_BIDS = (
    *("cohort/", "group/", "model/", "null/", "figures/", "phantom/", "report-scans/", "runs/"),
    *("trust/", "input_grid/", "*.html", "**/*_statmap.*", "**/*_regions.*"),
    *("cohort.json", "demo.json", "exclusions.tsv", "explain.json", "group.json", "summary.json"),
    *("trust.json", "anonymous/", "anonymous-key.tsv"),
)


class Folder(StudyReader):
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
        super().__init__(folder)
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

    def write_private(self, name: str, content: str) -> Path:
        """Write a text that nobody but its owner may read."""
        path = self.folder / name
        write_atomically(path, content.encode("utf-8"), private=True)
        return path

    def write_text(self, name: str, content: str) -> Path:
        """Write a text file in UTF-8."""
        return self.write_bytes(name, content.encode("utf-8"))

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Write a JSON file; values that are not finite become null."""
        return self.write_bytes(name, json_bytes(content))

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""
        remove(self.folder / name)

    def sweep(self) -> None:
        """Remove half files that killed processes have left."""
        sweep(self.folder)

    def scratch(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Give an array of zeros that lies on the disk of the study, and goes when it is let go of.

        The system may take its pages out of memory, and needs no room there for the whole.

        Parameters
        ----------
        shape : tuple of 2 ints

        Raises
        ------
        StudyError
            If the disk has no room for it.
        """
        return on_disk(self.folder, shape)

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

    def write_volume(self, name: str, values: NDArray[Any], grid: Grid) -> Path:
        """Write an array on its grid as ``name``.nii.gz."""
        return self.write_bytes(f"{name}.nii.gz", nifti_bytes(values, grid))
