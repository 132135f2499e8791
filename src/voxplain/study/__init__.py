"""The study folder on disk."""

from voxplain.study.maps import Study
from voxplain.study.names import scan_entities
from voxplain.study.reading import StudyReader
from voxplain.study.requests import LOGITS, changed, same_request

__all__ = ["LOGITS", "Study", "StudyReader", "changed", "same_request", "scan_entities"]
