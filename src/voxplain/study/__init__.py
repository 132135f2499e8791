"""The study folder on disk."""

from voxplain.study.batches import SCANS_OF_A_STORE, Batch, batch_at
from voxplain.study.maps import OWN_GRIDS, MapToWrite, Study
from voxplain.study.names import scan_entities
from voxplain.study.reading import StudyReader
from voxplain.study.requests import LOGITS, changed, same_request

__all__ = [
    "LOGITS",
    "OWN_GRIDS",
    "SCANS_OF_A_STORE",
    "Batch",
    "MapToWrite",
    "Study",
    "StudyReader",
    "batch_at",
    "changed",
    "same_request",
    "scan_entities",
]
