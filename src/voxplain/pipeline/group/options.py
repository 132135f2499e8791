"""What ``voxplain group`` was asked for."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from voxplain.cohort.atlases import OWN
from voxplain.errors import InputError, unknown_name
from voxplain.group.permutation import TestOptions
from voxplain.pipeline.regions.placing import require_atlases

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
    atlases : tuple of str
        See `voxplain.cohort.find_atlas`; the first names peaks; or ``none`` alone.
    null : {"permutation", "labels", "untrained"}
        What could be instead: other arrangements of the subjects; or maps of networks that learnt
        nothing of the classes.
        Networks trained on permuted labels are made by ``voxplain fit --permuted-labels``.
    null_studies : tuple of path
        Other studies with such maps; by default the study's own networks that learnt nothing make
        them.
    test : TestOptions
    device : str
        Where the null of single voxels is found, and scans are explained by networks that learnt
        nothing: ``cpu``, ``cuda`` or ``auto``.
    null_networks : int
        How many untrained networks explain the scans.
    transform : str or None
        See `voxplain.pipeline.group.sample.carrying.transform_of`.
    fold_means : bool
        See `voxplain.pipeline.group.sample.folds.by_fold`.
    conjunction : bool
        Whether it is also asked where all methods agree.
    means_only : bool
        Whether means are written, and nothing is tested.
    move_atlas, latex : bool
        Whether atlases are moved to where they fit the scans best, and tables of regions are
        written for LaTeX too.
    table : path or None
        Design table, whose columns the model may name beside those of the participants.
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
    atlases: tuple[str, ...] = ("AAL",)
    null: str = "permutation"
    null_studies: tuple[Path, ...] = ()
    test: TestOptions = field(default_factory=TestOptions)
    device: str = "cpu"
    null_networks: int = FEWEST_NULL_STUDIES
    transform: str | None = None
    fold_means: bool = False
    conjunction: bool = False
    means_only: bool = False
    move_atlas: bool = False
    latex: bool = False
    table: Path | None = None

    def told(self) -> dict[str, Any]:
        """Gather all that was asked for, but for the study, ready for JSON."""
        found = asdict(self)
        del found["study"], found["test"]["threads"]
        told: dict[str, Any] = json.loads(json.dumps(found, default=str))
        return told

    def __post_init__(self) -> None:
        if not self.model:
            one_class = (self.only or "").partition("=")[0].strip() == "class"
            object.__setattr__(self, "model", "1" if one_class else "class")
        if self.null not in NULLS:
            raise unknown_name("null", self.null, NULLS)
        require_atlases(self.atlases)
        if OWN in self.atlases:
            raise InputError(
                "--atlas own has other voxels in each scan, and a test needs regions that all "
                "share; give another atlas here, and --atlas own to 'voxplain explain'."
            )
        if not 0 <= self.fwhm < 100:
            raise InputError(f"--fwhm is a width in mm, from 0 to 100; {self.fwhm:g} was given.")
        if self.null == "permutation" and self.null_studies:
            raise InputError(
                "--null-study goes with --null labels or --null untrained; by default participants "
                "change places, which needs no other study."
            )
        if self.null_networks < FEWEST_NULL_STUDIES:
            raise InputError(
                f"{self.null_networks} untrained networks allow no p below "
                f"{1 / (1 + self.null_networks):.2g}; give --null-networks {FEWEST_NULL_STUDIES} "
                "or more."
            )
        if self.null_studies and len(self.null_studies) < FEWEST_NULL_STUDIES:
            raise InputError(
                f"--null {self.null} compares with the largest t of each study of networks that "
                f"learnt nothing: {len(self.null_studies)} of them allow no p below "
                f"{1 / (1 + len(self.null_studies)):.2g}; give --null-study "
                f"{FEWEST_NULL_STUDIES} times or more."
            )
