"""What ``voxplain group`` was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from voxplain.cohort.atlases import require_atlas
from voxplain.errors import InputError, unknown_name
from voxplain.group.permutation import TestOptions

__all__ = ["NULLS", "GroupOptions"]

NULLS = ("permutation", "labels", "untrained")
FEWEST_NULL_STUDIES = 19


@dataclass(frozen=True)
class GroupOptions:
    """Which maps are tested, against what, and how.

    Parameters
    ----------
    study : path
        That ``voxplain explain`` has written maps into.
    model : str
        See `voxplain.group.design.read_terms`; also ``fold``, ``correct`` and ``logit`` of the fit.
        Empty for ``class``, or the mean where `only` takes the scans of one class.
    contrast : str or None
        See `voxplain.group.design.make_design`.
    blocks : str
        See `voxplain.group.blocks.read_blocks`.
    methods : tuple of str
        Registry names; empty for all that the study has maps of.
    target : str or None
        Whose maps; needed where scans have maps of several targets.
    network : str or None
        Needed where the study has maps of several networks.
    only : str or None
        ``column=value`` of the scans to take; the others are left out.
    fwhm : float, mm
        Width of the smoothing of each map; 0 for none.
    atlas : str
        See `voxplain.cohort.find_atlas`, or ``none``.
    null : {"permutation", "labels", "untrained"}
        What could be instead: other arrangements of the subjects; or maps of networks that learnt
        nothing of the classes, which `null_studies` hold.
    null_studies : tuple of path
    test : TestOptions
    """

    study: Path
    model: str = ""
    contrast: str | None = None
    blocks: str = "auto"
    methods: tuple[str, ...] = ()
    target: str | None = None
    network: str | None = None
    only: str | None = None
    fwhm: float = 0.0
    atlas: str = "AAL"
    null: str = "permutation"
    null_studies: tuple[Path, ...] = ()
    test: TestOptions = field(default_factory=TestOptions)

    def __post_init__(self) -> None:
        if not self.model:
            one_class = (self.only or "").partition("=")[0].strip() == "class"
            object.__setattr__(self, "model", "1" if one_class else "class")
        if self.null not in NULLS:
            raise unknown_name("null", self.null, NULLS)
        if self.atlas != "none":
            require_atlas(self.atlas)
        if not 0 <= self.fwhm < 100:
            raise InputError(f"--fwhm is a width in mm, from 0 to 100; {self.fwhm:g} was given.")
        if (self.null == "permutation") != (not self.null_studies):
            raise InputError(
                "--null labels and --null untrained need --null-study, a study whose networks "
                "learnt nothing, once for each; the other null needs none."
            )
        if self.null_studies and len(self.null_studies) < FEWEST_NULL_STUDIES:
            raise InputError(
                f"--null {self.null} compares with the largest t of each study of networks that "
                f"learnt nothing: {len(self.null_studies)} of them allow no p below "
                f"{1 / (1 + len(self.null_studies)):.2g}; give --null-study "
                f"{FEWEST_NULL_STUDIES} times or more."
            )
