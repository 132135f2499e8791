"""The tests of a study, in the order in which they are done: the cheap ones first."""

from __future__ import annotations

from typing import Final

from voxplain.pipeline.trust.atlas import ATLAS
from voxplain.pipeline.trust.between import BETWEEN
from voxplain.pipeline.trust.knowledge import KNOWLEDGE
from voxplain.pipeline.trust.networks import FAITHFULNESS, SANITY, STABILITY
from voxplain.pipeline.trust.origin import ORIGIN
from voxplain.pipeline.trust.reference import REFERENCE
from voxplain.pipeline.trust.registry import Test
from voxplain.pipeline.trust.reproduce import REPRODUCED
from voxplain.pipeline.trust.retrained import RETRAINED
from voxplain.pipeline.trust.scans import SCANS

__all__ = ["TESTS"]

TESTS: Final[tuple[Test, ...]] = (
    KNOWLEDGE,
    SCANS,
    ATLAS,
    ORIGIN,
    REPRODUCED,
    REFERENCE,
    SANITY,
    FAITHFULNESS,
    STABILITY,
    BETWEEN,
    *RETRAINED,
)
"""Those that train come last: they are made to fit into what the others leave of the time."""
