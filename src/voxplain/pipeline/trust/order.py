"""The tests of a study, in the order in which they are done and told."""

from __future__ import annotations

from typing import Final

from voxplain.pipeline.trust.knowledge import KNOWLEDGE
from voxplain.pipeline.trust.registry import Test

__all__ = ["TESTS"]

TESTS: Final[tuple[Test, ...]] = (KNOWLEDGE,)
