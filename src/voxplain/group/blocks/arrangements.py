"""The rearrangements of a design that its blocks permit: how many, and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from voxplain.errors import InputError
from voxplain.group.blocks.tree import Block, Leaf
from voxplain.group.design import Design

__all__ = ["Arrangements"]

_DIGITS = 8
_SMALLEST_P = 0.05
_DRAWN = 512


@dataclass(frozen=True, eq=False)
class Arrangements:
    """A design and its blocks: in which ways the null says that it could as well have been.

    Parameters
    ----------
    design : Design
    tree : Block
        Of the design's scans.

    Raises
    ------
    InputError
        If the tree does not hold each scan once, or so few arrangements are permitted that no p
        can be below .05.
    """

    design: Design
    tree: Block

    def __post_init__(self) -> None:
        rows = sorted(leaf.row for leaf in self.tree.leaves)
        if rows != list(range(len(self.design.subjects))):
            raise InputError(
                f"The blocks hold {len(rows)} scans, the design {len(self.design.subjects)}; each "
                "scan must stand in the blocks once."
            )
        if self.smallest_p >= _SMALLEST_P:
            what = "changes of signs" if self.design.flips else "arrangements"
            help_ = (
                "more scans are needed" if self.design.flips
                else "take a level out of --blocks (and put it into the model), or add scans"
            )  # fmt: skip
            raise InputError(
                f"The blocks permit {self.distinct} different {what} of {self.design.effect}, so "
                f"that no p can be below {self.smallest_p:.2g}; {help_}."
            )

    @cached_property
    def permitted(self) -> int:
        """How many permutations, or changes of signs, the blocks permit."""
        return int(2 ** len(self.tree.units()) if self.design.flips else self.tree.count())

    @cached_property
    def distinct(self) -> int:
        """How many of them give another test."""
        if self.design.flips:
            return self.permitted
        return self.permitted // self.tree.count(self._colour(1.0))

    @property
    def smallest_p(self) -> float:
        """The smallest p that is possible, of a test of both directions."""
        if self.design.flips:
            return 2 / self.distinct
        mirrored = self.tree.coloured(self._colour(1.0)) == self.tree.coloured(self._colour(-1.0))
        return min((2 if mirrored else 1) / self.distinct, 1.0)

    def count(self, wanted: int) -> int:
        """Tell how many arrangements `rows` gives where so many are wanted."""
        return wanted if self.distinct > wanted + 1 else self.distinct - 1

    def rows(self, count: int, seed: int) -> tuple[NDArray[np.float32], bool]:
        """Draw arrangements of the design, or list all where there are not more.

        Parameters
        ----------
        count : int
            Wanted, without that of the data itself.
        seed : int

        Returns
        -------
        array (B, 1 + Q, N), float32
            Each the regressor and those columns of the nuisance that it moves.
        complete : bool
            Whether these are all that differ, each once, that of the data itself left out.
        """
        rng = np.random.default_rng(seed)
        columns = np.column_stack([self.design.regressor, self.moved])
        if self.distinct > count + 1:
            return self._apply(columns, self._draw(count, rng)), False
        own = _key(self.design.regressor)
        found: dict[bytes, NDArray[np.int32]] = {}
        while len(found) < self.distinct:
            for drawn in self._draw(_DRAWN, rng):
                values = self._apply(columns[:, :1], drawn[None])[0, 0]
                found.setdefault(_key(values), drawn)
        found.pop(own, None)
        every = np.array(list(found.values()), dtype=np.int32).reshape(-1, len(columns))
        return self._apply(columns, every), True

    @cached_property
    def moved(self) -> NDArray[np.float64]:
        """The part of the nuisance that an arrangement changes, array (N, Q), orthonormal.

        Means over all that change places among each other stay as they are: the intercept, and
        sites where scans are exchanged inside sites.
        """
        nuisance = self.design.nuisance
        if self.design.flips or not nuisance.shape[1]:
            return nuisance
        orbits = self.tree.orbits()
        fixed = np.zeros((len(nuisance), len(orbits)))
        for i, rows in enumerate(orbits):
            fixed[rows, i] = 1 / np.sqrt(len(rows))
        left, cosines, _ = np.linalg.svd(nuisance.T @ fixed)
        still = int((cosines > 1 - 1e-10).sum())
        return np.asarray(nuisance @ left[:, still:], dtype=np.float64)

    def _draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int32]:
        scans = len(self.design.subjects)
        if self.design.flips:
            signs = np.empty((count, scans), dtype=np.int32)
            for rows in self.tree.units():
                signs[:, rows] = (2 * rng.integers(0, 2, count) - 1)[:, None]
            return signs
        out = np.empty((count, scans), dtype=np.int32)
        out[:, [leaf.row for leaf in self.tree.leaves]] = self.tree.draw(count, rng)
        return out

    def _apply(self, columns: NDArray[np.float64], drawn: NDArray[np.int32]) -> NDArray[np.float32]:
        out = np.empty((len(drawn), columns.shape[1], len(columns)), dtype=np.float32)
        values = columns.astype(np.float32)
        # One at a time: all together are several times as large as what comes out.
        for one, order in zip(out, drawn, strict=True):
            one[:] = order * values.T if self.design.flips else values[order].T
        return out

    def _colour(self, sign: float) -> _Colour:
        return _Colour(np.round(sign * self.design.regressor, _DIGITS) + 0.0)


@dataclass(frozen=True, eq=False)
class _Colour:
    values: NDArray[np.float64]

    def __call__(self, leaf: Leaf) -> str:
        return f"{self.values[leaf.row]:.{_DIGITS}f}"


def _key(values: NDArray[np.floating]) -> bytes:
    return (np.round(values.astype(np.float64), 6) + 0.0).tobytes()
