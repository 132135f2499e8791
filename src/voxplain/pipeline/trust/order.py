"""The tests of a study, in the order in which they are planned and done."""

from __future__ import annotations

from typing import Final

from voxplain.pipeline.trust.data.atlas import ATLAS
from voxplain.pipeline.trust.data.knowledge import KNOWLEDGE
from voxplain.pipeline.trust.data.origin import ORIGIN
from voxplain.pipeline.trust.data.scans import SCANS
from voxplain.pipeline.trust.maps.between import BETWEEN
from voxplain.pipeline.trust.maps.networks import FAITHFULNESS, SANITY, STABILITY
from voxplain.pipeline.trust.maps.reference import REFERENCE
from voxplain.pipeline.trust.maps.reproduce import REPRODUCED
from voxplain.pipeline.trust.registry import Test
from voxplain.pipeline.trust.training.retrained import RETRAINED, SPIKE_IN

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
