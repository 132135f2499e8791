"""What two classes make of the feature maps of a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from voxplain.errors import InputError
from voxplain.report.figures.style import (
    ACCENT,
    BLUE,
    FAINT,
    PAGE_WIDTH,
    house_style,
    new_figure,
    png_bytes,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["feature_contrasts"]

_MOST = 48
_SIGNIFICANT = 0.05


def feature_contrasts(
    tables: Mapping[str, pd.DataFrame], class_names: Sequence[str], counts: Sequence[int]
) -> bytes:
    """Draw each measure of each feature map by class, a panel a measure.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        From the measure with its unit, ``"Entropy, bits"``, to the rows of
        `voxplain.group.contrast.compare_classes`, one a feature map.
    class_names : sequence of 2 str
    counts : sequence of 2 ints
        Subjects of each class, for the 95 % intervals of the means.

    Returns
    -------
    bytes
        PNG. Feature maps stand in the order of their difference (Hedges' g); of more than 48 the
        outermost are shown. Filled dots differ at q < .05.

    Raises
    ------
    InputError
        If there is no table.
    """
    if not tables:
        raise InputError("A figure of feature maps needs at least one measure; none was given.")
    with house_style():
        figure = new_figure(PAGE_WIDTH, 2.5 * len(tables), constrained=True)
        panels = figure.subplots(len(tables), 1, squeeze=False)[:, 0]
        for axes, (what, table) in zip(panels, tables.items(), strict=True):
            order = np.argsort(table["g"].to_numpy(), kind="stable")
            if len(order) > _MOST:
                order = np.concatenate([order[: _MOST // 2], order[-(_MOST // 2) :]])
            shown = table.iloc[order]
            place = np.arange(len(shown))
            for shift, name, colour, n in zip(
                (-0.15, 0.15), class_names, (BLUE, ACCENT), counts, strict=True
            ):
                mean = shown[f"mean_{name}"]
                half = stats.t.ppf(0.975, n - 1) * shown[f"sd_{name}"] / np.sqrt(n)
                sure = shown["q"] < _SIGNIFICANT
                axes.vlines(place + shift, mean - half, mean + half, color=colour, linewidth=1)
                axes.scatter(
                    place + shift,
                    mean,
                    s=14,
                    zorder=3,
                    edgecolors=colour,
                    linewidths=0.9,
                    facecolors=[colour if one else "white" for one in sure],
                    label=f"{name} ({n})",
                )
            differ = int((table["q"] < _SIGNIFICANT).sum())
            higher = int(((table["q"] < _SIGNIFICANT) & (table["g"] > 0)).sum())
            axes.set_title(
                f"{what}: {differ} of {len(table)} maps differ at q < .05, "
                f"{higher} higher in {class_names[1]}"
            )
            axes.set_ylabel(what)
            axes.set_xticks(place, [str(i) for i in order])
            axes.tick_params(axis="x", labelsize=6.5, length=0)
            axes.set_xlim(-0.8, len(shown) - 0.2)
            axes.grid(axis="y", color=FAINT, linewidth=0.5)
            axes.set_axisbelow(True)
        handles, words = panels[0].get_legend_handles_labels()
        figure.legend(handles, words, loc="outside upper right", ncols=2)
        panels[-1].set_xlabel(
            f"Feature map, from lower to higher in {class_names[1]}; 95 % intervals of the mean"
        )
        return png_bytes(figure)
