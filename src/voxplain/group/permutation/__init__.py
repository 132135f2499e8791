"""Tests by rearrangement: voxels, clusters, TFCE, and how many voxels are truly different."""

from voxplain.group.permutation.discoveries import (
    Discoveries,
    permuted_discoveries,
    simes_discoveries,
)
from voxplain.group.permutation.inference import (
    STATISTICS,
    Inference,
    TestOptions,
    permutation_test,
)
from voxplain.group.permutation.residuals import Residuals
from voxplain.group.permutation.spatial import Cluster, find_clusters
from voxplain.group.permutation.voxels import NullOfVoxels, null_maxima

__all__ = [
    "STATISTICS",
    "Cluster",
    "Discoveries",
    "Inference",
    "NullOfVoxels",
    "Residuals",
    "TestOptions",
    "find_clusters",
    "null_maxima",
    "permutation_test",
    "permuted_discoveries",
    "simes_discoveries",
]
