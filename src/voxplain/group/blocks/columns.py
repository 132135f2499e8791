"""Blocks from the columns of a table of participants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voxplain.errors import InputError, unknown_name
from voxplain.group.blocks.tree import Block, Leaf
from voxplain.tables.cells import missing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_blocks"]

_INSIDE = frozenset(("site", "scanner", "center", "centre", "fold", "network", "session", "run"))
_LEVELS = ("family", "twin", "participant")
_NAMES = {
    "family": ("family_id", "family", "familyid"),
    "twin": ("twin_id", "twin", "twin_pair", "pair"),
    "participant": ("participant_id",),
    "site": ("site", "site_id", "scanner", "scanner_id", "center", "centre"),
    "fold": ("fold",),
    "session": ("session_id",),
    "run": ("run_id",),
}
_ZYGOSITY = ("zygosity", "zygositysr", "zygositygt", "twin_type")
_PLURAL = {
    "family": ("family", "families"),
    "twin": ("pair of twins", "pairs of twins"),
    "participant": ("participant", "participants"),
}
_MODES = ("both", "whole", "within")


@dataclass(frozen=True)
class _Level:
    column: str
    mode: str

    @property
    def swaps(self) -> bool:
        return self.mode != "within"

    @property
    def shuffles(self) -> bool:
        return self.mode != "whole"


def read_blocks(table: pd.DataFrame, blocks: str = "auto") -> tuple[Block, str]:
    """Read which scans may change places.

    Parameters
    ----------
    table : pandas.DataFrame
        A row per scan, with ``participant_id``.
    blocks : str, default="auto"
        Columns with commas between, the largest first: ``"site, family, twin"``. Sites, scanners,
        folds, sessions and runs stay where they are: only scans of one site change places. All
        others hold scans that share an effect: ``family`` changes places whole, with families of
        equal shape, and inside; ``family:whole`` whole alone; ``family:within`` inside alone. Pairs
        of twins (``twin``) change places with pairs of equal zygosity, where a column tells it.
        A scan without a family stands alone. ``"auto"`` takes families, twins and participants
        where the table has them, each with several scans; ``"none"`` lets all change places.

    Returns
    -------
    tree : Block
    words : str
        The tree in a sentence, without a full stop.

    Raises
    ------
    InputError
        If a column is unknown, or a smaller block reaches into two larger ones.
    """
    places, levels = _columns(table, blocks)
    kinds = [
        " ".join(f"{name}={value}" for name, value in zip(places, cells, strict=True))
        for cells in zip(*(table[name].map(str) for name in places), strict=True)
    ] or [""] * len(table)
    values = {
        level.column: [None if missing(cell) else str(cell) for cell in table[level.column]]
        for level in levels
    }
    zygosity = next((str(c) for c in table.columns if str(c).lower() in _ZYGOSITY), None)
    types = [""] * len(table) if zygosity is None else table[zygosity].map(str).tolist()
    make = _Maker(kinds, values, types, levels)
    swaps = levels[0].swaps if levels else True
    tree = Block(make.inside(list(range(len(table))), 0), "all", swaps, dependent=False)
    return tree, _words(tree, levels, places)


def _columns(table: pd.DataFrame, blocks: str) -> tuple[list[str], list[_Level]]:
    by_lower = {str(column).lower(): str(column) for column in table.columns}
    asked = blocks.strip().lower()
    if asked == "none":
        return [], []
    if asked == "auto":
        found = [_find(name, by_lower) for name in _LEVELS]
        held = [
            name for name in found
            if name and table[name][~table[name].map(missing)].duplicated().any()
        ]  # fmt: skip
        return [], [_Level(name, "both") for name in held]
    places: list[str] = []
    levels: list[_Level] = []
    for part in blocks.split(","):
        name, _, mode = (piece.strip() for piece in part.partition(":"))
        column = _find(name.lower(), by_lower)
        if column is None:
            raise unknown_name("column for blocks", name, [*by_lower, "auto", "none"])
        if mode and mode not in _MODES:
            raise InputError(f"Blocks of {name} are both, whole or within; {mode!r} was given.")
        stays = name.lower() in _INSIDE or column.lower() in _NAMES["site"]
        if stays:
            places.append(column)
        else:
            levels.append(_Level(column, mode or "both"))
    rank = {alias: i for i, level in enumerate(_LEVELS) for alias in _NAMES[level]}
    levels.sort(key=lambda level: rank.get(level.column.lower(), -1))
    return places, levels


def _find(name: str, by_lower: dict[str, str]) -> str | None:
    names = [name, *_NAMES.get(name, ())]
    return next((by_lower[one] for one in names if one in by_lower), None)


@dataclass(frozen=True)
class _Maker:
    kinds: list[str]
    values: dict[str, list[str | None]]
    types: list[str]
    levels: list[_Level]

    def inside(self, rows: list[int], depth: int) -> tuple[Block | Leaf, ...]:
        """Make the blocks of a level, of the rows of the one above."""
        if depth == len(self.levels):
            return tuple(Leaf(row, self.kinds[row]) for row in rows)
        level = self.levels[depth]
        together: dict[object, list[int]] = {}
        for row in rows:
            value = self.values[level.column][row]
            together.setdefault(value if value is not None else (row,), []).append(row)
        self._require_nested(level, rows)
        return tuple(self._block(members, depth) for members in together.values())

    def _block(self, rows: list[int], depth: int) -> Block | Leaf:
        if len(rows) == 1:
            return Leaf(rows[0], self.kinds[rows[0]])
        level = self.levels[depth]
        below = self.levels[depth + 1 :]
        exchange = level.shuffles and (not below or below[0].swaps)
        twins = level.column.lower() in _NAMES["twin"]
        kind = " ".join(sorted({self.types[row] for row in rows})) if twins else ""
        return Block(self.inside(rows, depth + 1), f"{level.column} {kind}".strip(), exchange)

    def _require_nested(self, level: _Level, rows: list[int]) -> None:
        own = {self.values[level.column][row] for row in rows} - {None}
        here = set(rows)
        cells = self.values[level.column]
        across = [value for i, value in enumerate(cells) if value in own and i not in here]
        if across:
            above = self.levels[self.levels.index(level) - 1].column
            raise InputError(
                f"Scans of {level.column} {across[0]} belong to several blocks of {above}; a "
                "smaller block must lie in one larger; check the table."
            )


def _words(tree: Block, levels: list[_Level], places: list[str]) -> str:
    where = f" of one {' and '.join(places)}" * bool(places)
    if not levels:
        return f"all scans{where} change places"
    told = []
    for i, level in enumerate(levels):
        sizes = _sizes(tree, i + 1) or [0]
        size = f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
        many = len(sizes) != 1
        swap = (
            f"change{'' if many else 's'} places whole with others of equal shape"
            if level.swaps
            else f"stay{'' if many else 's'} in place"
        )
        inner = f", and scans{where} change places inside" * (
            i + 1 == len(levels) and level.shuffles
        )
        told.append(f"{len(sizes)} {_plain(level.column, many)} of {size} scans {swap}{inner}")
    alone = sum(isinstance(child, Leaf) for child in tree.children)
    if alone:
        does = f"change places with each other{where and f', those{where}'}"
        does = does if tree.exchange else "stay in place"
        told.append(f"{alone} single scans {does}")
    return "; ".join(told)


def _plain(column: str, many: bool) -> str:
    name = column.lower()
    level = next((level for level in _LEVELS if name in _NAMES[level]), "")
    words = _PLURAL.get(level, (f"block of {column}", f"blocks of {column}"))
    return words[many]


def _sizes(tree: Block, depth: int) -> list[int]:
    level: list[Block] = [tree]
    for _ in range(depth):
        level = [child for block in level for child in block.children if isinstance(child, Block)]
    return [int(np.size([leaf.row for leaf in block.leaves])) for block in level]
