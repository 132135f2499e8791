"""A cohort on disk, ready for a network: all volumes in one array, each read when asked for."""

from __future__ import annotations

import zlib
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError, StudyError
from voxplain.files.atomic import read_json
from voxplain.grid import Grid
from voxplain.tables.formulas import given_table
from voxplain.volume import Cohort

__all__ = ["IMAGES", "PLAN", "STORE", "TABLE", "check_store", "open_store", "read_steps"]

IMAGES = "images.npy"
PLAN = "plan.json"
STORE = "store.json"
TABLE = "participants.tsv"


def open_store(folder: str | PathLike[str]) -> Cohort:
    """Open a cohort that was written before; no volume is read until it is asked for.

    Parameters
    ----------
    folder : path
        ``cohort`` in a study that ``voxplain cohort`` made.

    Returns
    -------
    Cohort

    Raises
    ------
    InputError
        If the folder is no path.
    StudyError
        If there is no store, it is not finished, or its files do not belong together.
    """
    import pandas as pd

    folder = _folder(folder)
    content = read_json(folder / STORE)
    if content is None:
        raise StudyError(_nothing_in(folder))
    grid = Grid.from_dict(content["grid"])
    try:
        table = pd.read_csv(
            folder / TABLE,
            sep="\t",
            na_values="n/a",
            keep_default_na=False,
            dtype={"participant_id": str, "label": str},
        )
        images = np.load(folder / IMAGES, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise StudyError(
            f"The cohort in {folder} is damaged: {IMAGES} or {TABLE} is missing or cut short; "
            "make it again in another folder."
        ) from error
    rows: list[int] = content["rows"]
    if len(table) != len(rows) or images.shape[1:] != grid.shape or max(rows) >= len(images):
        raise StudyError(
            f"The cohort in {folder} is damaged: its table has {len(table)} rows, its array "
            f"{images.shape[0]} volumes and its record {len(rows)}; make it again."
        )

    start, count = images.offset, int(np.prod(grid.shape))
    kind, path = images.dtype, folder / IMAGES
    del images

    def load(index: int) -> NDArray[np.float32]:
        # Pages of a mapped array would count as memory of the process, one volume after the other.
        offset = start + rows[index] * count * kind.itemsize
        try:
            return np.fromfile(path, kind, count, offset=offset).reshape(grid.shape)
        except (OSError, ValueError) as error:
            raise StudyError(
                f"{path} went or was cut short; put it back, or make the cohort again."
            ) from error

    return Cohort(given_table(table), tuple(content["class_names"]), grid, load)


def read_steps(folder: Path) -> list[dict[str, Any]]:
    """Read how the scans of a store were prepared.

    Parameters
    ----------
    folder : path

    Returns
    -------
    list of dict
        The steps of the recipe; empty where the scans were made and not read.
    """
    steps = (read_json(folder / STORE) or {}).get("steps", [])
    return [step for step in steps if isinstance(step, dict)]


def _folder(given: object) -> Path:
    if not isinstance(given, str | PathLike):
        raise InputError(
            "A store is opened by the path of its folder, such as 'study/cohort'; "
            f"{type(given).__name__} was given."
        )
    return Path(given)


def _nothing_in(folder: Path) -> str:
    if (folder / "cohort" / STORE).exists():
        return f"There is no cohort in {folder} itself, but in {folder / 'cohort'}; give that."
    if not folder.is_dir():
        why = "is a file" if folder.exists() else "does not exist"
        return f"There is no cohort in {folder}, which {why}; give a folder such as study/cohort."
    if read_json(folder / PLAN) is not None:
        return f"The cohort in {folder} is not finished; run the same command again to go on."
    return f"There is no cohort in {folder}; make one with 'voxplain cohort'."


def check_store(folder: str | PathLike[str]) -> list[str]:
    """Read every volume of a store again, and compare it with its checksum.

    Returns
    -------
    list of str
        The participants whose volumes have changed since they were written.

    Raises
    ------
    StudyError
        As `open_store`.
    """
    cohort = open_store(folder)
    content = read_json(_folder(folder) / STORE) or {}
    return [
        subject
        for i, (subject, checksum) in enumerate(
            zip(cohort.subjects, content["checksums"], strict=True)
        )
        if zlib.crc32(cohort.load(i).tobytes()) != checksum
    ]
