"""Maps over subjects, tested and summed up by named regions."""

from voxplain.group.aggregate import RunningMean, mean_magnitude, mean_map
from voxplain.group.regions import OUTSIDE, ranks_of, region_table
from voxplain.group.summaries import RunningMoments, Summaries

__all__ = [
    "OUTSIDE",
    "RunningMean",
    "RunningMoments",
    "Summaries",
    "mean_magnitude",
    "mean_map",
    "ranks_of",
    "region_table",
]
