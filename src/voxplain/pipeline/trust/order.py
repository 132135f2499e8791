"""The tests of a study, in the order in which they are planned and done."""

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
from voxplain.pipeline.trust.retrained import RETRAINED, SPIKE_IN
from voxplain.pipeline.trust.scans import SCANS

__all__ = ["TESTS"]

TESTS: Final[tuple[Test, ...]] = (
    KNOWLEDGE,
    SCANS,
    ATLAS,
    ORIGIN,
    SPIKE_IN,
    REPRODUCED,
    REFERENCE,
    SANITY,
    FAITHFULNESS,
    STABILITY,
    BETWEEN,
    *RETRAINED,
)
"""First what costs nothing, then the spike-in: it alone shows that a method finds things, and the
other tests are made to fit into what it leaves of the time."""
