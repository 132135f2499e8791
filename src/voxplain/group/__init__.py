"""Maps over subjects, tested and summed up by named regions."""

from voxplain.group.aggregate import RunningMean, mean_magnitude, mean_map
from voxplain.group.over_subjects import RegionsOverSubjects, own_regions, regions_of_rows
from voxplain.group.regions import OUTSIDE, ranks_of, region_table
from voxplain.group.summaries import RunningMoments, Summaries

__all__ = [
    "OUTSIDE",
    "RegionsOverSubjects",
    "RunningMean",
    "RunningMoments",
    "Summaries",
    "mean_magnitude",
    "mean_map",
    "own_regions",
    "regions_of_rows",
    "ranks_of",
    "region_table",
]
