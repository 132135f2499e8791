"""The study folder on disk."""

from voxplain.study.maps import OWN_GRIDS, Study
from voxplain.study.names import scan_entities
from voxplain.study.reading import StudyReader
from voxplain.study.requests import LOGITS, changed, same_request

__all__ = [
    "LOGITS",
    "OWN_GRIDS",
    "Study",
    "StudyReader",
    "changed",
    "same_request",
    "scan_entities",
]
