"""Where the scans of a store come from: their files, their own grids, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxplain.cohort.prepare.prepared import Prepared
from voxplain.cohort.store.reader import STORE
from voxplain.errors import StudyError
from voxplain.files.atomic import read_json
from voxplain.grid import Grid
from voxplain.images.files import ImageFile
from voxplain.volume import Volume

__all__ = ["Origin", "read_origins"]


@dataclass(frozen=True)
class Origin:
    """Where a scan of a store comes from.

    Parameters
    ----------
    image : ImageFile
        That it was read from, by its absolute path.
    grid : Grid
        Of that image.
    shift : tuple of 3 floats, mm
        By which the brain was moved to the centre before it was brought to the store's grid.
    """

    image: ImageFile
    grid: Grid
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def placed(self) -> Grid:
        """Grid of the scan where the network sees it."""
        return self.grid.moved(self.shift) if any(self.shift) else self.grid

    def prepared(self, volume: Volume) -> Prepared:
        """Join it with what the store holds of it: the way of maps back to the scan."""
        return Prepared(volume, self.grid, 0.0, self.placed)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "image": str(self.image.path),
            "members": list(self.image.members),
            "grid": self.grid.to_dict(),
            "shift_mm": list(self.shift),
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Origin:
        """Read what `to_dict` returned."""
        x, y, z = told["shift_mm"]
        image = ImageFile(Path(told["image"]), tuple(told["members"]))
        return cls(image, Grid.from_dict(told["grid"]), (x, y, z))


def read_origins(folder: Path) -> list[Origin]:
    """Read where each scan of a store comes from, in the order of its table.

    Parameters
    ----------
    folder : path
        See `voxplain.open_store`.

    Returns
    -------
    list of Origin

    Raises
    ------
    StudyError
        If the scans were made and not read, or the store is older than these records.
    """
    content = read_json(folder / STORE) or {}
    told = content.get("origins", [])
    if told and all(told):
        return [Origin.from_dict(one) for one in told]
    if "recipe" in content and "digest" not in content:
        raise StudyError(
            f"The scans in {folder} were made ({content['recipe']}), not read from files: they "
            "have no grid and no segmentation of their own."
        )
    raise StudyError(
        f"The cohort in {folder} was prepared by an earlier voxplain, which did not keep where "
        "each scan lay; make it again in another folder with 'voxplain cohort'."
    )
