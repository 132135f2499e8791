"""What it costs the network when that is deleted which a map shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voxplain.errors import InputError
from voxplain.report.figures.style import BLUE, FAINT, GREY, house_style, new_figure, png_bytes

__all__ = ["deletion_costs"]


def deletion_costs(rows: Sequence[tuple[str, float, float]], unit: str = "logit") -> bytes:
    """Draw, for each method, the loss by deletion of what its maps and what random maps show.

    Parameters
    ----------
    rows : sequence of (str, float, float)
        Method, mean loss, and mean loss with random maps.
    unit : str

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If there is no method.
    """
    if not rows:
        raise InputError("A figure of deletion needs one method or more; none was given.")
    with house_style():
        figure = new_figure(5.4, 0.9 + 0.34 * len(rows), constrained=True)
        axes = figure.subplots()
        places = np.arange(len(rows))
        lost, random = ([row[k] for row in rows] for k in (1, 2))
        for place, (_, own, other) in zip(places, rows, strict=True):
            axes.plot([other, own], [place, place], color=FAINT, lw=3, zorder=1)
        axes.plot(random, places, "D", color=GREY, ms=5, label="random maps")
        axes.plot(lost, places, "o", color=BLUE, ms=6, label="the method's maps")
        axes.axvline(0, color=GREY, lw=0.7)
        axes.set_yticks(places, [row[0] for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(f"lost by deletion, {unit}")
        axes.grid(axis="x", color=FAINT, lw=0.5)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        figure.legend(loc="outside upper right", ncols=2)
        return png_bytes(figure)
