"""What ``voxplain report`` was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from voxplain.cohort import ATLASES
from voxplain.errors import InputError, unknown_name
from voxplain.study import StudyReader

__all__ = ["ReportOptions"]


@dataclass(frozen=True)
class ReportOptions:
    """Of which study a report is made, and how much of it.

    Parameters
    ----------
    study : path
    network : str or None
        Whose maps; by default that which was explained last.
    atlas : str
        Of `ATLASES`, or ``none``.
    subjects : int
        Single scans whose maps are in the page, those to look at first.
    everyone : bool
        Whether the maps of all others are written into a folder beside the page.
    figures : bool
        Whether figures for a paper are written, as SVG and as PNG of 300 dpi.
    anonymise : bool
        Whether labels of participants are replaced, and all is written into a folder of its own.
    """

    study: Path
    network: str | None = None
    atlas: str = "AAL"
    subjects: int = 8
    everyone: bool = False
    figures: bool = True
    anonymise: bool = False

    def __post_init__(self) -> None:
        if self.atlas != "none" and self.atlas not in ATLASES:
            raise unknown_name("atlas", self.atlas, [*ATLASES, "none"])
        if self.subjects < 0:
            raise InputError(f"--subjects is a number of scans; {self.subjects} was given.")
        study = StudyReader(self.study)
        if not study.find_file("dataset_description.json"):
            raise InputError(
                f"{self.study} is no study: it has no dataset_description.json; give the folder "
                "that 'voxplain cohort' or 'voxplain phantom' made."
            )
        if study.find_file("demo.json"):
            raise InputError(
                f"{self.study} is a demonstration, of which 'voxplain demo' writes report.html by "
                "itself; give a study."
            )
