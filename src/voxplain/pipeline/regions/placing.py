"""The atlases that a run asks for, brought to its grid, and whether they fit its brains."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxplain.atlas import Atlas
from voxplain.cohort import AtlasFit, atlas_fit, find_atlas
from voxplain.cohort.atlases import OWN, require_atlas
from voxplain.errors import InputError, VoxplainWarning
from voxplain.grid import Grid
from voxplain.study.names import spelled

__all__ = [
    "NONE",
    "PlacedAtlas",
    "fitted",
    "place_atlases",
    "require_apart",
    "require_atlases",
]

NONE = "none"


def require_atlases(names: Sequence[str]) -> None:
    """Refuse atlases that nobody knows, before anything is read.

    Parameters
    ----------
    names : sequence of str
        See `voxplain.cohort.find_atlas`; also ``"own"``, and, alone, ``"none"``.
    """
    if NONE in names and len(names) > 1:
        raise InputError("--atlas none asks for no regions; give it alone, or not at all.")
    for name in names:
        if name not in (NONE, OWN):
            require_atlas(name)


@dataclass(frozen=True, eq=False)
class PlacedAtlas:
    """An atlas in the space of some brains.

    Parameters
    ----------
    atlas : Atlas
        On the grid of their maps, or still on its own.
    fit : AtlasFit
        How it lay before it was moved.
    moved : bool
        Whether it was moved to where it fits the tissue best.
    """

    atlas: Atlas
    fit: AtlasFit
    moved: bool

    def told(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        atlas = {"name": self.atlas.name, "space": self.atlas.space, "moved": self.moved}
        return atlas | asdict(self.fit)


def place_atlases(
    names: Sequence[str],
    tissue: NDArray[np.float32],
    grid: Grid,
    *,
    move: bool = False,
) -> list[PlacedAtlas]:
    """Load atlases, hold each against the tissue, and bring it to the grid.

    Parameters
    ----------
    names : sequence of str
        ``"none"`` is passed over.
    tissue : array (X, Y, Z)
        The scan, or the mean of the study's, with 0 outside the brain.
    grid : Grid
    move : bool, default=False
        Whether each is moved to where it fits the tissue best; else it is said where that is.

    Returns
    -------
    list of PlacedAtlas

    Raises
    ------
    InputError
        If there is no such atlas, none of its regions lies in the brain, or its names of sides are
        the wrong way round.

    Warns
    -----
    VoxplainWarning
        If it does not fit.
    """
    atlases = [find_atlas(name) for name in names if name != NONE]
    require_apart(atlases)
    placed = [fitted(atlas, tissue, grid, move=move) for atlas in atlases]
    return [replace(one, atlas=one.atlas.on(grid)) for one in placed]


def require_apart(atlases: Sequence[Atlas]) -> None:
    """Refuse atlases whose tables would have one name."""
    names = [spelled(atlas.name) for atlas in atlases]
    twice = sorted({atlas.name for atlas in atlases if names.count(spelled(atlas.name)) > 1})
    if twice:
        raise InputError(
            f"Two atlases are called {', '.join(twice)}, and their tables would be written over "
            "each other; rename the file of one."
        )


def fitted(
    atlas: Atlas, tissue: NDArray[np.float32], grid: Grid, *, move: bool | None = False
) -> PlacedAtlas:
    """Hold an atlas against the tissue; see `place_atlases`.

    It stays on a grid of its own. `move` is None for a scan's own segmentation, which no option
    moves.
    """
    fit = atlas_fit(atlas, tissue, grid)
    if fit.covered == 0:
        raise InputError(
            f"No voxel of the brain lies in a region of {atlas.name}: the scans are not in its "
            "space; give another atlas, or none."
        )
    if fit.swapped:
        raise InputError(
            f"{atlas.name} names regions as left that lie on the right; check the direction of its "
            "first axis, or its list of names."
        )
    moved = bool(move) and fit.distance > 0
    complaints = [] if moved else fit.complaints()
    if complaints:
        mend = "" if move is None else "; --move-atlas moves it"
        warnings.warn(
            f"The atlas {atlas.name} does not fit these brains: {'; '.join(complaints)}. Names of "
            f"regions mean less than they seem to{mend}.",
            VoxplainWarning,
            stacklevel=2,
        )
    return PlacedAtlas(atlas.moved(fit.shift) if moved else atlas, fit, moved)
