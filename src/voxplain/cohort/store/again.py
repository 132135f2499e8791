"""The scans that a store was made from: where they lie, and how each was brought to its grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from voxplain.atomic import read_json
from voxplain.cohort.prepare.prepared import Prepared
from voxplain.cohort.prepare.preprocess import prepare
from voxplain.cohort.prepare.recipe import Recipe
from voxplain.cohort.prepare.skullstrip import find_brain
from voxplain.cohort.read.masks import read_mask
from voxplain.cohort.read.volumes import read_volume
from voxplain.cohort.store.reader import PLAN, STORE, open_store
from voxplain.errors import InputError, remarks
from voxplain.grid import Grid

__all__ = ["ScansOfStore"]

# Rounding differs from processor to processor.
_LIKE = 1e-3


class ScansOfStore:
    """The files that the scans of a store come from.

    Parameters
    ----------
    folder : path
        Of the store.

    Raises
    ------
    InputError
        If its scans were made and not read, as of a phantom, or it is of an earlier version.
    """

    def __init__(self, folder: Path) -> None:
        plan, store = read_json(folder / PLAN) or {}, read_json(folder / STORE) or {}
        recipe = _recipe(plan)
        if recipe is None or "sources" not in plan:
            raise InputError(
                f"The scans of {folder} were not read from files, so they have no grid and no "
                "segmentation of their own; leave out --grid input and --atlas own."
            )
        self.recipe, self.cohort = recipe, open_store(folder)
        sources: list[str] = [plan["sources"][row] for row in store["rows"]]
        self.files = [source.rpartition("|")[::2] for source in sources]

    def path(self, row: int) -> Path:
        """Return the file of a scan, by its row in the cohort."""
        return Path(self.files[row][0])

    def prepared(self, row: int) -> Prepared:
        """Prepare a scan again, which gives the way of maps back to it.

        Raises
        ------
        InputError
            If its file is gone or has changed.
        """
        image, mask = self.files[row]
        recipe = self.recipe
        if not Path(image).exists():
            raise InputError(
                f"The scan {image} of this study is gone; put it back, or leave out --grid input "
                "and --atlas own."
            )
        with remarks():
            volume = read_volume(image, orientation=recipe.orientation)
            brain = read_mask(mask, volume, recipe.orientation) if mask else None
            if brain is None and recipe.skull_strip:
                brain = find_brain(volume)
            found = prepare(volume, recipe, brain)
        held = self.cohort.load(row)
        if np.abs(found.volume.values - held).max() > _LIKE * np.abs(held).max():
            raise InputError(
                f"The scan {image} is not what this study was made from any more; make the study "
                "again, or leave out --grid input and --atlas own."
            )
        return found


def _recipe(plan: dict[str, Any]) -> Recipe | None:
    """Rebuild the recipe from its steps; None where these are not of a recipe of today."""
    steps = {one["step"]: one for one in plan.get("steps", []) if isinstance(one, dict)}
    if not {"mask", "align", "intensity", "resample"} <= steps.keys():
        return None
    scaling = steps["intensity"]
    recipe = Recipe(
        name=str(plan.get("recipe", "")),
        grid=Grid.from_dict(steps["resample"]["grid"]),
        intensity=scaling["how"],
        percentile=scaling.get("percentile", 95.0),
        level=scaling.get("level", 1000.0),
        align=steps["align"]["how"],
        skull_strip="deepbet" in steps["mask"]["how"],
        bias_field="bias field" in steps,
        orientation=steps.get("orientation", {}).get("how"),
    )
    return recipe if recipe.digest() == plan.get("digest") else None
