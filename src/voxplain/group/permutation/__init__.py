"""Tests by rearrangement: voxels, clusters, TFCE, and how many voxels are truly different."""

from voxplain.group.permutation.discoveries import (
    Discoveries,
    permuted_discoveries,
    simes_discoveries,
)
from voxplain.group.permutation.inference import (
    STATISTICS,
    Inference,
    PreparedTest,
    TestOptions,
    permutation_test,
)
from voxplain.group.permutation.null import UNIT, Null, joined
from voxplain.group.permutation.residuals import Residuals
from voxplain.group.permutation.spatial import Cluster, find_clusters
from voxplain.group.permutation.voxels import NullOfVoxels, null_maxima

__all__ = [
    "STATISTICS",
    "UNIT",
    "Cluster",
    "Discoveries",
    "Inference",
    "Null",
    "NullOfVoxels",
    "PreparedTest",
    "Residuals",
    "TestOptions",
    "find_clusters",
    "joined",
    "null_maxima",
    "permutation_test",
    "permuted_discoveries",
    "simes_discoveries",
]
