"""What the report shows beside its results: pictures, and the maps of its viewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Shown"]


@dataclass(frozen=True)
class Shown:
    """Pictures and maps of a report.

    Parameters
    ----------
    pictures : mapping of str to bytes
        PNG, by the names that `voxplain.report.pages.study.captions.caption_of` knows.
    viewer : str
        Data of the viewer of maps; empty where there are no maps.
    in_page : frozenset of str
        Scans whose maps the viewer holds.
    beside : frozenset of str
        Scans whose maps lie in a folder beside the page.
    """

    pictures: Mapping[str, bytes] = field(default_factory=dict)
    viewer: str = ""
    in_page: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
