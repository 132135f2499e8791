"""Means of maps per fold and class, so that networks and not participants are the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxplain.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["by_fold"]

_FEWEST_FOLDS = 6


def by_fold(
    table: pd.DataFrame, model: str
) -> tuple[pd.DataFrame, str, list[list[int]], tuple[str, ...]]:
    """Join the scans of each fold and class to one row.

    The effect is then estimated once for each network, and tested against its spread over networks
    (the summary statistics of a mixed model, with the fold as the random effect): rows of one fold
    change places with each other, or a fold's mean changes its sign.

    Parameters
    ----------
    table : pandas.DataFrame
        A row per scan, with ``fold``.
    model : str
        See `voxplain.group.design.read_terms`.

    Returns
    -------
    table : pandas.DataFrame
        Numbers are means; words that differ are missing.
    model : str
        With the fold, where classes are compared.
    units : list of list of int
        Rows of the table that each new row is the mean of.
    names : tuple of str

    Raises
    ------
    InputError
        If there are no folds, or fewer than six.
    """
    import pandas as pd

    if "fold" not in table.columns or table["fold"].isna().any():
        raise InputError(
            "--fold-means needs the fold of each scan, which 'voxplain fit' writes; run it first."
        )
    folds = sorted(table["fold"].map(str).unique(), key=lambda name: (len(name), name))
    if len(folds) < _FEWEST_FOLDS:
        raise InputError(
            f"The study has {len(folds)} folds, and the networks of {len(folds)} allow no p below "
            f"{2 / 2 ** len(folds):.2g}; fit with --cv {_FEWEST_FOLDS} or more for --fold-means."
        )
    terms = [term.strip().lower() for term in model.split("+")]
    classes = [term for term in terms if term in ("class", "label")]
    keys = ["fold", *(["label"] if classes and "label" in table.columns else [])]
    cells = table[keys].map(str).apply(tuple, axis=1)
    levels = sorted(set(cells), key=lambda one: (folds.index(one[0]), one))
    units = [np.flatnonzero(cells == level).tolist() for level in levels]
    rows = [
        {name: _joined(table[name].iloc[unit].tolist()) for name in table.columns} for unit in units
    ]
    names = tuple(f"fold {', '.join(level)}" for level in levels)
    model = f"{model} + fold" if classes and "fold" not in terms else model
    return pd.DataFrame(rows), model, units, names


def _joined(cells: list[object]) -> object:
    if len({str(cell) for cell in cells}) == 1:
        return cells[0]
    values = [float(cell) for cell in cells if isinstance(cell, int | float)]
    return float(np.mean(values)) if len(values) == len(cells) else np.nan
