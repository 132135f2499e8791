"""What a figure of a map has to tell besides the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from voxplain.volume import smooth

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from voxplain.grid import Grid
    from voxplain.report.figures.brain.paint import Look

__all__ = ["CONVENTION", "TELL_OUTSIDE", "scaling", "smoothed"]

CONVENTION: Final = "Neurological convention: left (L) is on the left; positions in mm"
TELL_OUTSIDE: Final = 0.05
"""Share of a map's magnitude beyond the head from which a figure mentions it."""


def smoothed(values: ArrayLike, grid: Grid, fwhm: float) -> ArrayLike:
    """Smooth a map for the eye, array (X, Y, Z), by ``fwhm`` mm; 0 leaves it as it is."""
    return smooth(values, grid, fwhm) if fwhm > 0 else values


def scaling(look: Look, fwhm: float, outside: float) -> list[str]:
    """Say how the values became colours, and what of them is not drawn."""
    lines = [look.rule]
    if fwhm > 0:
        lines.append(f"Smoothed by {fwhm:g} mm (FWHM) for display")
    if outside >= TELL_OUTSIDE:
        lines.append(f"{outside:.0%} of the sum of |value| lies beyond the head and is not drawn")
    return lines
