"""What is done to every scan of a cohort before a network sees it, as a record to be compared."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from voxplain.errors import InputError, unknown_name
from voxplain.grid import KAN2020_GRID, Grid
from voxplain.images.orientation import require_orientation

__all__ = ["ALIGNMENTS", "INTENSITIES", "PRESETS", "Recipe", "recipe_of"]

ALIGNMENTS = ("affine", "centre")
INTENSITIES = ("histogram", "none", "percentile", "zscore")

# Raised whenever the same recipe would give other voxels, so that stores are made anew.
_EDITION = 2


@dataclass(frozen=True)
class Recipe:
    """The input that a network is trained on.

    Parameters
    ----------
    name : str
    grid : Grid
        Where it sees the brain.
    intensity : {"percentile", "zscore", "histogram", "none"}, default="percentile"
        See `voxplain.cohort.prepare.intensity`.
    percentile : float, default=95.0
        Percentile of the brain's voxels that is fixed, for ``"percentile"``.
    level : float, default=1000.0
        Intensity to which that percentile is scaled.
    align : {"affine", "centre"}, default="affine"
        Trust the affine, which must then lead to ACPC or MNI coordinates; or move the brain so
        that its centre of mass lies at that of the MNI152 brain mask.
        Only its place changes, never its size or direction.
    skull_strip : bool, default=False
        Whether the brain is looked for in scans that have no mask; needs the extra ``skullstrip``.
    bias_field : bool, default=False
        Whether a smooth bias field is estimated and removed first; needs the extra ``n4``.
    orientation : {"sform", "qform"}, optional
        Which of a NIfTI file's two places to believe where it gives both; by default the sform,
        and scans in which they contradict each other on left and right are left out.
    description : str

    Raises
    ------
    InputError
        If the intensity or the alignment is unknown, or the percentile is not in (0, 100].
    """

    name: str
    grid: Grid
    intensity: str = "percentile"
    percentile: float = 95.0
    level: float = 1000.0
    align: str = "affine"
    skull_strip: bool = False
    bias_field: bool = False
    orientation: str | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if self.intensity not in INTENSITIES:
            raise unknown_name("intensity scaling", self.intensity, INTENSITIES)
        if self.align not in ALIGNMENTS:
            raise unknown_name("alignment", self.align, ALIGNMENTS)
        require_orientation(self.orientation)
        if not 0 < self.percentile <= 100:
            raise InputError(
                f"The percentile must lie above 0 and up to 100, not {self.percentile}."
            )

    def steps(self) -> list[dict[str, Any]]:
        """Return what is done, in order, as plain values for JSON."""
        scaling: dict[str, Any] = {"step": "intensity", "how": self.intensity}
        if self.intensity == "percentile":
            scaling |= {"percentile": self.percentile, "level": self.level}
        otherwise = "deepbet's" if self.skull_strip else "what is above the background"
        bias = [{"step": "bias field", "how": "N4"}] if self.bias_field else []
        place = [{"step": "orientation", "how": self.orientation}] if self.orientation else []
        return [
            *place,
            {"step": "mask", "how": f"the given mask, or {otherwise}"},
            *bias,
            {"step": "align", "how": self.align},
            scaling,
            {"step": "resample", "how": "Gaussian, trilinear", "grid": self.grid.to_dict()},
        ]

    def digest(self) -> str:
        """Return a hash that is equal for recipes that give equal voxels."""
        text = json.dumps([_EDITION, self.steps()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _mni(millimetres: int) -> Grid:
    """Cover the field of view of MNI152 as FSL stores it, in RAS order."""
    shape = [-(-n // millimetres) for n in (182, 218, 182)]
    high = [low + n * millimetres for low, n in zip(_MNI_LOW, shape, strict=True)]
    return Grid.covering(low=_MNI_LOW, high=high, shape=shape)


_MNI_LOW = (-91.5, -126.5, -72.5)

PRESETS = MappingProxyType(
    {
        "kan2020": Recipe(
            name="kan2020",
            grid=KAN2020_GRID,
            description=(
                "Skull-stripped T1w of the Human Connectome Project in ACPC/MNI position, "
                "58×70×58 voxels of about 3.14 mm, 95th percentile about 1000"
            ),
        ),
        "mni-2mm": Recipe(
            name="mni-2mm",
            grid=_mni(2),
            intensity="zscore",
            description="91×109×91 voxels of 2 mm over the field of view of MNI152, z-score",
        ),
        "mni-1mm": Recipe(
            name="mni-1mm",
            grid=_mni(1),
            intensity="zscore",
            description="182×218×182 voxels of 1 mm over the field of view of MNI152, z-score",
        ),
    }
)
"""Recipes by name."""


def recipe_of(given: object) -> Recipe:
    """Take a recipe, or the name of one of `PRESETS`; InputError where it is neither."""
    if isinstance(given, Recipe):
        return given
    if isinstance(given, str):
        if given not in PRESETS:
            raise unknown_name("preset", given, PRESETS)
        return PRESETS[given]
    raise InputError(
        f"A recipe must be a Recipe or the name of a preset, {', '.join(map(repr, PRESETS))}; "
        f"{type(given).__name__} was given."
    )
