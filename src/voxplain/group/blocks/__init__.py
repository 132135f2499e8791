"""Which scans may change places: exchangeability blocks, whole and within, at several levels."""

from voxplain.group.blocks.arrangements import Arrangements
from voxplain.group.blocks.columns import read_blocks
from voxplain.group.blocks.tree import Block, Leaf

__all__ = ["Arrangements", "Block", "Leaf", "read_blocks"]
