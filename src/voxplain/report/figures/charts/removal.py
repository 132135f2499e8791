"""What the network's score loses, or gains, as what a map ranks highest is removed, or put back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from voxplain.errors import InputError
from voxplain.report.figures.style import BLUE, FAINT, GREY, house_style, new_figure, png_bytes
from voxplain.results.study import RemovalCurve

__all__ = ["removal_curves"]

_TITLES: Final = {"deletion": "lost by deletion", "insertion": "gained by insertion"}
_WIDTH, _ROW, _ENDS = 6.4, 1.35, 0.75


def removal_curves(rows: Sequence[RemovalCurve], unit: str = "logit") -> bytes:
    """Draw the curves of each method beside those of random maps, a row for each method.

    Parameters
    ----------
    rows : sequence of RemovalCurve
    unit : str

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If there is no curve.
    """
    if not rows:
        raise InputError("A figure of removal needs one curve or more; none was given.")
    labels = list(dict.fromkeys(row.label for row in rows))
    kinds = [kind for kind in _TITLES if any(row.kind == kind for row in rows)]
    with house_style():
        figure = new_figure(_WIDTH, _ENDS + _ROW * len(labels), constrained=True)
        panels = figure.subplots(len(labels), len(kinds), sharex=True, sharey="col", squeeze=False)
        for row in rows:
            axes = panels[labels.index(row.label), kinds.index(row.kind)]
            shares = [100 * share for share in row.shares]
            axes.fill_between(
                shares, row.random, row.random_95, color=FAINT, lw=0, label="their 95th percentile"
            )
            axes.plot(shares, row.random, color=GREY, lw=1.2, ls="--", label="random maps, median")
            axes.plot(shares, row.own, "o-", color=BLUE, ms=3, label="the method's maps")
        for place, label in enumerate(labels):
            panels[place, 0].set_title(label)
        for place, kind in enumerate(kinds):
            panels[-1, place].set_xlabel("share of the brain, %")
            for axes in panels[:, place]:
                axes.set_ylabel(f"{_TITLES[kind]},\n{unit}")
        for axes in panels.flat:
            axes.set_visible(axes.has_data())
            axes.axhline(0, color=GREY, lw=0.7, zorder=0)
            axes.set_xlim(left=0)
        handles, words = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles[::-1], words[::-1], loc="outside upper right", ncols=3)
        return png_bytes(figure)
