"""What masked scans told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voxplain.results.scores import Judged

__all__ = ["JOINT", "RANDOM", "Condition", "MaskMaking", "MaskOverlap", "ReclassifyResult"]

JOINT = "joint"
"""The mask of all classes together."""

RANDOM = "random"
"""The mask that is made of noise."""


@dataclass(frozen=True)
class Condition:
    """What a network was trained on, and what held-out scans are seen through.

    Parameters
    ----------
    trained : {"whole", "inside", "outside"}
        Whole images, or images inside or outside the mask.
    mask : str, default=""
        Name of the mask; empty for none.
    """

    trained: str
    mask: str = ""

    @property
    def place(self) -> str:
        """Where a network sees, in words: ``"inside the joint mask"``."""
        return f"{self.trained} {'a' if self.mask == RANDOM else 'the'} {self.mask} mask"

    def __str__(self) -> str:
        if self.trained == "whole":
            return f"tested behind the {self.mask} mask" if self.mask else "whole images"
        return f"trained and tested {self.place}"


@dataclass(frozen=True)
class MaskMaking:
    """How masks were made; see `voxplain.pipeline.reclassify.run.ReclassifyOptions`.

    Parameters
    ----------
    share : float
        Of the brain that a mask lets through.
    soft : bool
        Weights by rank instead of all or nothing.
    fwhm : float, mm
        By which mean maps were smoothed.
    explained : int
        Scans of each class whose maps made a fold's masks, at most.
    retrain : bool
        Whether networks were also trained on masked scans.
    leaky : bool
        Whether held-out scans had a say in the masks.
    seed : int
    """

    share: float
    soft: bool
    fwhm: float
    explained: int
    retrain: bool
    leaky: bool
    seed: int


@dataclass(frozen=True)
class MaskOverlap:
    """How a mask and the true region meet, mean over folds.

    Parameters
    ----------
    precision : float
        Share of the mask that lies in the true region.
    sensitivity : float
        Share of the true region that the mask lets through.
    """

    precision: float
    sensitivity: float


@dataclass(frozen=True)
class ReclassifyResult:
    """What masked scans told.

    Parameters
    ----------
    network, method : str
        What was trained, and whose maps made the masks.
    class_names : tuple of str
    class_counts : tuple of int
        Scans of each class.
    ceiling : float or None
        Accuracy of the best possible observer of whole images, known of a phantom alone.
    scans, folds : int
    schedule : str
        How networks were trained, in words.
    options : mapping
        What the command was run with.
    making : MaskMaking
    grouping : str
        What stayed together, in a sentence.
    conditions : mapping of Condition to Judged
        Whole images first.
    overlap : mapping of str to MaskOverlap
        By mask; empty where the truth is not known.
    seconds : float
    versions : mapping of str to str
    """

    network: str
    method: str
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    ceiling: float | None
    scans: int
    folds: int
    schedule: str
    options: Mapping[str, Any]
    making: MaskMaking
    grouping: str
    conditions: Mapping[Condition, Judged]
    overlap: Mapping[str, MaskOverlap]
    seconds: float
    versions: Mapping[str, str]
