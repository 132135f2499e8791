"""What ``voxplain reclassify`` can be asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from voxplain.errors import InputError
from voxplain.fit import Schedule
from voxplain.results.reclassify import MaskMaking

__all__ = ["ReclassifyOptions"]


@dataclass(frozen=True)
class ReclassifyOptions:
    """How masks are made, and what is asked of them.

    Parameters
    ----------
    study, out : path
        With the cohort, and where results go.
    network : str
    method : str
        Whose maps make the masks.
    share : float
        Of the brain that a mask lets through.
    soft : bool
        Weights by rank instead of all or nothing; see `voxplain.trust.masks`.
    fwhm : float, mm
        By which mean maps are smoothed.
    explained : int
        Scans of each class whose maps make a fold's masks, drawn from its training part.
    retrain : bool
        Whether networks are also trained inside, outside, and inside a random mask.
    leaky : bool
        Whether masks come from one network trained on all scans, and all scans' maps, as published
        with the paper: test scans then have a say in the mask that they are judged through.
    folds, group, schedule, seed, device
        See `voxplain.pipeline.fit.run.FitOptions`.
    """

    study: Path
    out: Path
    network: str = "mrinet"
    method: str = "gradient"
    share: float = 0.1
    soft: bool = False
    fwhm: float = 8.0
    explained: int = 20
    retrain: bool = True
    leaky: bool = False
    folds: int = 10
    group: str = "auto"
    schedule: Schedule = field(default_factory=Schedule)
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InputError(f"--share must lie between 0 and 1; {self.share} was given.")
        if self.explained < 1:
            raise InputError(f"--explained must be 1 or more; {self.explained} was given.")
        if self.leaky and self.retrain:
            raise InputError(
                "The paper's masks know the held-out scans, so that training inside them says "
                "nothing; give --no-retrain with --paper."
            )

    def making(self) -> MaskMaking:
        """Return what masks depend on."""
        return MaskMaking(
            share=self.share,
            soft=self.soft,
            fwhm=self.fwhm,
            explained=self.explained,
            retrain=self.retrain,
            leaky=self.leaky,
            seed=self.seed,
        )
