"""The design matrix, the contrast, and the parts that a permutation test needs of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.group.design.terms import MEAN, Term, read_terms

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Design", "make_design"]

_NOTHING_LEFT = 1e-8
_FEWEST_FREE = 2


@dataclass(frozen=True, eq=False)
class Design:
    """What is tested in each voxel, and what is held constant.

    The model is ``maps = matrix @ b + error``; tested is ``contrast @ b``. It is split after
    Ridgway: ``regressor`` carries the tested effect, ``nuisance`` all the rest, and the regressor
    is orthogonal to the nuisance. Its t in a voxel is that of the whole model.

    Parameters
    ----------
    matrix : array (N, P), float64
        A row per scan.
    titles : tuple of P str
        What each column is.
    contrast : array (P,), float64
    effect : str
        What a positive value says, such as ``"case - control"``.
    subjects : tuple of N str
    flips : bool
        Whether the effect is a mean, whose null is a change of signs; else scans are exchanged.

    Raises
    ------
    InputError
        If an entry is not finite, the columns depend on each other, or too few scans remain.
    """

    matrix: NDArray[np.float64]
    titles: tuple[str, ...]
    contrast: NDArray[np.float64]
    effect: str
    subjects: tuple[str, ...]
    flips: bool = False

    def __post_init__(self) -> None:
        scans, columns = self.matrix.shape
        if not (scans == len(self.subjects) and columns == len(self.titles) == len(self.contrast)):
            raise InputError(
                f"The design has {scans} rows and {columns} columns for {len(self.subjects)} scans "
                f"and {len(self.titles)} titles; it needs a row per scan and a title per column."
            )
        if not np.isfinite(self.matrix).all():
            column = self.titles[int(np.flatnonzero(~np.isfinite(self.matrix).all(axis=0))[0])]
            raise InputError(f"Column {column!r} of the design holds values that are not finite.")
        if not self.contrast.any():
            raise InputError("The contrast is zero for all columns; nothing would be tested.")
        self._require_independent()
        if self.df < _FEWEST_FREE:
            raise InputError(
                f"The design has {columns} columns for {scans} scans, which leaves {self.df} "
                "degrees of freedom; leave columns out."
            )

    def _require_independent(self) -> None:
        scaled = self.matrix / np.maximum(np.linalg.norm(self.matrix, axis=0), 1e-300)
        for i, title in enumerate(self.titles):
            before = scaled[:, :i]
            fitted = before @ np.linalg.lstsq(before, scaled[:, i], rcond=None)[0] if i else 0.0
            if np.linalg.norm(scaled[:, i] - fitted) < _NOTHING_LEFT:
                others = ", ".join(self.titles[:i]) or "zero"
                raise InputError(
                    f"The effect of {title!r} cannot be told from that of the other columns "
                    f"({others}): each follows from the others; leave one of them out."
                )

    @property
    def df(self) -> int:
        """Degrees of freedom that are left."""
        return int(self.matrix.shape[0] - self.matrix.shape[1])

    @cached_property
    def nuisance(self) -> NDArray[np.float64]:
        """Orthonormal basis of all that is held constant, array (N, P - 1)."""
        rest = np.linalg.svd(self.contrast[None, :])[2][1:]
        found, _ = np.linalg.qr(self.matrix @ rest.T)
        return np.asarray(found, dtype=np.float64)

    @cached_property
    def regressor(self) -> NDArray[np.float64]:
        """The tested effect with the nuisance taken out, array (N,), of length 1."""
        tested = self.matrix @ self.contrast / (self.contrast @ self.contrast)
        left = tested - self.nuisance @ (self.nuisance.T @ tested)
        left -= self.nuisance @ (self.nuisance.T @ left)
        return np.asarray(left / np.linalg.norm(left), dtype=np.float64)

    def residuals(self, maps: NDArray[np.float32]) -> NDArray[np.float64]:
        """Take the nuisance out of maps, array (N, V), float64."""
        values = maps.astype(np.float64)
        found: NDArray[np.float64] = values - self.nuisance @ (self.nuisance.T @ values)
        return found

    def rows(self, keep: NDArray[np.bool_]) -> Design:
        """Return the design of some of the scans."""
        names = tuple(np.asarray(self.subjects, dtype=object)[keep])
        return Design(self.matrix[keep], self.titles, self.contrast, self.effect, names, self.flips)


def make_design(
    table: pd.DataFrame,
    model: str,
    contrast: str | None = None,
    *,
    subjects: tuple[str, ...] | None = None,
    class_names: tuple[str, ...] = (),
) -> Design:
    """Make a design from a table and a model.

    Parameters
    ----------
    table : pandas.DataFrame
        A row per scan.
    model : str
        Such as ``"class + age + site"``; see `voxplain.group.design.read_terms`. A mean is always
        part of the model; numbers and indicators are centred.
    contrast : str, optional
        A term: of a number its slope, of two levels the second less the first, of ``1`` the mean.
        Of a category with more levels, two of them: ``"case > control"``. By default the first
        term.
    subjects : tuple of N str, optional
        Labels of the scans; by default the column ``participant_id``.
    class_names : tuple of str
        Order of the classes.

    Returns
    -------
    Design

    Raises
    ------
    InputError
        If the model or the contrast cannot be read, or the design cannot be fitted.
    """
    names = subjects or tuple(str(name) for name in table["participant_id"])
    terms = read_terms(model, table, names, class_names)
    wanted = contrast.strip() if contrast else terms[0].name
    titles, columns = ["mean"], [np.ones(len(names))]
    weights: dict[str, float] = {}
    if wanted in (MEAN, "mean"):
        weights, effect = {"mean": 1.0}, "mean"
    elif ">" in wanted:
        weights, effect = _between(wanted, terms)
    else:
        weights, effect = _of_term(wanted, terms)
    for term in terms:
        if term.name == MEAN:
            continue
        titles += term.titles()
        columns += list((term.columns - term.columns.mean(axis=0)).T)
    values = np.array([weights.get(title, 0.0) for title in titles])
    return Design(np.stack(columns, axis=1), tuple(titles), values, effect, names, effect == "mean")


def _of_term(wanted: str, terms: list[Term]) -> tuple[dict[str, float], str]:
    by_name = {term.name.lower(): term for term in terms}
    term = by_name.get(wanted.lower())
    if term is None:
        raise InputError(
            f"The contrast {wanted!r} is no term of the model, which has: "
            f"{', '.join(t.name for t in terms)}; of a category write two levels, such as "
            "'case > control'."
        )
    if len(term.levels) > 2:
        raise InputError(
            f"{term.name} has {len(term.levels)} levels ({', '.join(term.levels)}); name two of "
            f"them: --contrast '{term.levels[1]} > {term.levels[0]}'."
        )
    effect = f"{term.levels[1]} - {term.levels[0]}" if term.levels else term.name
    return {term.titles()[0]: 1.0}, effect


def _between(wanted: str, terms: list[Term]) -> tuple[dict[str, float], str]:
    more, _, less = (part.strip() for part in wanted.partition(">"))
    holding = [term for term in terms if {more, less} <= set(term.levels)]
    if len(holding) != 1 or more == less:
        known = "; ".join(f"{t.name}: {', '.join(t.levels)}" for t in terms if t.levels)
        raise InputError(
            f"The contrast {wanted!r} must name two levels of one category of the model, which "
            f"has: {known or 'no category'}."
        )
    (term,) = holding
    weights = {f"{term.name}: {more}": 1.0, f"{term.name}: {less}": -1.0}
    known_titles = term.titles()
    return {k: v for k, v in weights.items() if k in known_titles}, f"{more} - {less}"
