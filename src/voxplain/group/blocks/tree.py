"""The tree of exchangeability blocks: scans below participants, twins, families."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import factorial

import numpy as np
from numpy.typing import NDArray

__all__ = ["Block", "Leaf"]

_TOGETHER = 100


@dataclass(frozen=True)
class Leaf:
    """One scan.

    Parameters
    ----------
    row : int
        Its place in the table.
    kind : str, default=""
        What only scans of the same may take its place, such as a site.
    """

    row: int
    kind: str = ""

    @cached_property
    def shape(self) -> str:
        """What another must share to change places with this one."""
        return f"[{self.kind}]"

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """The scan itself."""
        return (self,)


@dataclass(frozen=True)
class Block:
    """Scans that belong together, and what inside may change places.

    Parameters
    ----------
    children : tuple of Block and Leaf
    kind : str, default=""
        Only blocks of one kind change places, such as pairs of identical twins.
    exchange : bool, default=True
        Whether children of one shape change places, each whole. Else they stay in their order,
        which is then the same for all blocks that change places with this one.
    dependent : bool, default=True
        Whether the scans inside share an effect, so that their signs change together.
    """

    children: tuple[Block | Leaf, ...]
    kind: str = ""
    exchange: bool = True
    dependent: bool = True

    @cached_property
    def shape(self) -> str:
        """What another block must share to change places with this one."""
        return self._form([child.shape for child in self.children])

    @cached_property
    def ordered(self) -> tuple[Block | Leaf, ...]:
        """The children, so that blocks of one shape have theirs in one order."""
        by_shape = sorted(self.children, key=lambda child: child.shape)
        return tuple(by_shape) if self.exchange else self.children

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """All scans, in the order of `ordered`."""
        return tuple(leaf for child in self.ordered for leaf in child.leaves)

    def _form(self, parts: list[str]) -> str:
        inside = sorted(parts) if self.exchange else parts
        return f"({self.kind}{'' if self.exchange else '!'}:{','.join(inside)})"

    def coloured(self, colour: Callable[[Leaf], str]) -> str:
        """Write the block with a colour of each scan, equal for what cannot be told apart."""
        return self._form([_coloured(child, colour) for child in self.children])

    def count(self, colour: Callable[[Leaf], str] | None = None) -> int:
        """Count the permutations that the block permits.

        Parameters
        ----------
        colour : callable, optional
            From a scan to a text; then those permutations alone are counted that put each colour
            where it was.

        Returns
        -------
        int
        """
        found = 1
        for child in self.children:
            found *= child.count(colour) if isinstance(child, Block) else 1
        if self.exchange:
            forms = (_coloured(c, colour) if colour else c.shape for c in self.children)
            for alike in Counter(forms).values():
                found *= factorial(alike)
        return found

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Draw permutations, each of those permitted equally often.

        Parameters
        ----------
        count : int
        rng : numpy.random.Generator

        Returns
        -------
        array (count, N), int32
            For each place, in the order of `leaves`, the row that comes there.
        """
        inner = [
            child.draw(count, rng) if isinstance(child, Block) else None for child in self.ordered
        ]
        parts, start = [], 0
        for alike in self._alike():
            rows = [
                leaf.row for child in self.ordered[start : start + alike] for leaf in child.leaves
            ]
            drawn = [one for one in inner[start : start + alike] if one is not None]
            if drawn:
                parts.append(_moved(np.stack(drawn, axis=1), rng))
            else:
                parts.append(_shuffled(np.array(rows, dtype=np.int32), count, rng))
            start += alike
        return np.concatenate(parts, axis=1)

    def _alike(self) -> list[int]:
        """Return how many children of one shape change places, shape by shape."""
        if not self.exchange:
            return [1] * len(self.ordered)
        return list(Counter(child.shape for child in self.ordered).values())

    def orbits(self) -> list[NDArray[np.int64]]:
        """List the sets of rows whose scans can come to each other's places."""
        place = {leaf.row: i for i, leaf in enumerate(self.leaves)}
        found = [_rows(part) for part in self._orbits()]
        return sorted(found, key=lambda rows: place[int(rows[0])])

    def _orbits(self) -> list[tuple[int, ...]]:
        joined: list[tuple[int, ...]] = []
        groups: dict[str, list[list[tuple[int, ...]]]] = {}
        for i, child in enumerate(self.ordered):
            own: list[tuple[int, ...]] = (
                [(child.row,)] if isinstance(child, Leaf) else child._orbits()
            )
            key = child.shape if self.exchange else str(i)
            groups.setdefault(key, []).append(own)
        for alike in groups.values():
            # Blocks of one shape list their orbits in one order.
            joined += [
                tuple(row for part in parts for row in part) for parts in zip(*alike, strict=True)
            ]
        return joined

    def units(self) -> list[NDArray[np.int64]]:
        """List the sets of rows whose signs change together: all that share an effect."""
        if self.dependent:
            return [_rows(tuple(leaf.row for leaf in self.leaves))]
        found: list[NDArray[np.int64]] = []
        for child in self.children:
            found += child.units() if isinstance(child, Block) else [_rows((child.row,))]
        return found


def _coloured(node: Block | Leaf, colour: Callable[[Leaf], str]) -> str:
    return node.coloured(colour) if isinstance(node, Block) else f"{node.shape}{colour(node)}"


def _moved(blocks: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.int32]:
    """Let blocks (count, blocks, scans) change places, each whole."""
    count, alike, _ = blocks.shape
    if alike > 1:
        order = rng.random((count, alike)).argsort(axis=1)[:, :, None]
        blocks = np.take_along_axis(blocks, order, axis=1)
    return blocks.reshape(count, -1)


def _shuffled(rows: NDArray[np.int32], count: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Let scans change places; some draws at a time, as the numbers that order them take room."""
    out = np.empty((count, len(rows)), dtype=np.int32)
    out[:] = rows
    if len(rows) > 1:
        for some in np.split(out, range(_TOGETHER, count, _TOGETHER)):
            some[:] = rows[rng.random(some.shape).argsort(axis=1)]
    return out


def _rows(rows: tuple[int, ...]) -> NDArray[np.int64]:
    return np.array(rows, dtype=np.int64)
