"""Maps over subjects, and over named regions."""

from voxplain.group.aggregate import RunningMean, mean_magnitude, mean_map
from voxplain.group.regions import OUTSIDE, ranks_of, region_table

__all__ = ["OUTSIDE", "RunningMean", "mean_magnitude", "mean_map", "ranks_of", "region_table"]
