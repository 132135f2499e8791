"""What ``voxplain explain`` can be asked, checked before a file is opened."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxplain.attribution.methods import DEFAULT_METHOD, GROUP_METHOD, METHODS, make_method
from voxplain.cohort import PRESETS
from voxplain.errors import InputError, unknown_name
from voxplain.images.orientation import require_orientation
from voxplain.pipeline.explain.regions import require_regions
from voxplain.pipeline.regions.placing import require_atlases
from voxplain.study import SCANS_OF_A_STORE

__all__ = ["ScanOptions"]


@dataclass(frozen=True)
class ScanOptions:
    """What ``voxplain explain`` was asked.

    Parameters
    ----------
    network : str
        Registry name or ``package.module:function``.
    weights : tuple of path
        One state dict, or several for the mean map of an ensemble of networks.
    images : tuple of path
    out : path
    masks : tuple of path
        One brain mask per image, or none.
    preset : str, optional
        How scans are brought to the network; without one they are taken as they are.
    align : {"affine", "centre"}
    orientation : {"sform", "qform"}, optional
        Which of a NIfTI file's two places to believe where it gives both; by default the sform.
    grid : {"input", "network"}, optional
        Where the maps are wanted; by default on the grid of each image. Of a study, maps lie on its
        grid, and with ``"input"`` also on that of each scan.
    methods : tuple of str
    target : int or "predicted"
    layer : str
    options : tuple of str
        Options of methods, each as ``method:name=value``. ``regions`` is the name of an atlas or
        the path of an image of labels.
    class_names : tuple of str, optional
        Of a single output, the name of class 0 and that of class 1, whose logit it is.
    classes : int, optional
        Number of the network's outputs; found by trying where it is left out.
    task : {"auto", "classification", "regression"}
        Whether the output is a number; a unit or bins say so too.
    unit : str, optional
        Of the number, such as ``"years"``.
    bins : str, optional
        Where the outputs are a distribution over bins of the number: ``"42:82"``, the edges of all
        of them together, or the value of each, with commas between them.
    device, precision : str
    seed : int
    sample : int, optional
        Of a study, so many scans are explained, drawn by lot from each class; all by default.
    force : bool, default=False
        Whether scans are explained whose predictions cannot be meant.
    atlases : tuple of str
        By whose regions maps are summed up, of a study mean maps. ``"own"`` stands for each scan's
        own segmentation.
    maps : {"nifti", "store"}, optional
        How the maps of a study are written: each as a file of its own, or many in one; by default
        the latter from 200 scans on.
    repeats : int, default=1
        Of a study whose folds were divided anew several times, how many networks explain each scan:
        one of each of the first so many repeats. The map is their mean.
    latex, move_atlas : bool
        Whether tables are written for LaTeX too, and atlases moved to where they fit best.
    """

    network: str
    weights: tuple[Path, ...]
    images: tuple[Path, ...]
    out: Path
    masks: tuple[Path, ...] = ()
    preset: str | None = None
    align: str = "affine"
    orientation: str | None = None
    grid: str | None = None
    methods: tuple[str, ...] = (DEFAULT_METHOD,)
    target: int | str = "predicted"
    layer: str = "auto"
    options: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None
    classes: int | None = None
    task: str = "auto"
    unit: str | None = None
    bins: str | None = None
    device: str = "auto"
    precision: str = "auto"
    seed: int = 0
    sample: int | None = None
    force: bool = False
    atlases: tuple[str, ...] = ()
    latex: bool = False
    move_atlas: bool = False
    maps: str | None = None
    repeats: int = 1

    def __post_init__(self) -> None:
        if self.grid is None:
            object.__setattr__(self, "grid", "input" if self.images else "network")
        if self.preset is not None and self.preset not in PRESETS:
            raise unknown_name("preset", self.preset, PRESETS)
        require_orientation(self.orientation)
        require_atlases(self.atlases)
        if self.masks and len(self.masks) != len(self.images):
            raise InputError(
                f"{len(self.masks)} masks were given for {len(self.images)} images; give one "
                "--mask per --image, in the same order, or none."
            )
        if self.masks and self.preset is None:
            raise InputError(
                "A mask is used by a preset alone; give --preset, or leave out --mask."
            )
        if self.sample is not None and self.sample < 1:
            raise InputError(f"--sample must be 1 or more scans; {self.sample} was given.")
        if self.repeats < 1:
            raise InputError(f"--repeats must be 1 or more; {self.repeats} was given.")
        if self.maps not in (None, "nifti", "store"):
            raise InputError(f"--maps must be nifti or store; {self.maps!r} was given.")
        if self.classes is not None and self.classes < 1:
            raise InputError(f"--classes must be 1 or more; {self.classes} was given.")
        self._settle_task()
        for name in self.methods or (DEFAULT_METHOD, GROUP_METHOD):
            options = self.options_of(name)
            if "regions" in options:
                METHODS[name].require_known(options)
                require_regions(options.pop("regions"))
            make_method(name, options)

    def stored(self, scans: int) -> bool:
        """Tell whether the maps of a study of so many scans lie in stores."""
        return self.maps == "store" if self.maps else scans >= SCANS_OF_A_STORE

    def _settle_task(self) -> None:
        if self.task not in ("auto", "classification", "regression"):
            raise InputError(
                f"--task must be auto, classification or regression; {self.task!r} was given."
            )
        if self.unit is not None and not self.unit.strip():
            raise InputError("--unit must be a word such as years; an empty one was given.")
        if self.bins is not None:
            self.centres(2)
        if self.unit is None and self.bins is None and self.task != "regression":
            return
        if self.task == "classification" or self.class_names:
            raise InputError(
                "--unit, --bins and --task regression say that the output is a number, "
                "--class-names and --task classification that it tells classes apart; give one "
                "or the other."
            )
        object.__setattr__(self, "task", "regression")

    def centres(self, count: int) -> tuple[float, ...]:
        """Return the value of each of `count` bins."""
        text = self.bins or ""
        try:
            numbers = [float(part) for part in text.replace(":", ",").split(",")]
        except ValueError:
            numbers = []
        ordered = len(numbers) > 1 and all(math.isfinite(n) for n in numbers)
        if not ordered or (":" in text and (len(numbers) != 2 or numbers[0] >= numbers[1])):
            raise InputError(
                f"--bins must be the outer edges of all bins (42:82) or the value of each "
                f"(42.5,43.5,...); {text!r} was given."
            )
        if ":" not in text:
            return tuple(numbers)
        low, high = numbers
        return tuple(low + (high - low) * (i + 0.5) / count for i in range(count))

    def options_of(self, method: str) -> dict[str, Any]:
        """Return the options given for one method, numbers and truth values read as such."""
        found = {}
        for text in self.options:
            setting, equals, value = text.partition("=")
            name, colon, key = setting.rpartition(":")
            asked = self.methods or (DEFAULT_METHOD, GROUP_METHOD)
            if not (colon and equals and key and value) or name not in asked:
                raise InputError(
                    f"--option {text!r} is not method:name=value for a method that was asked for "
                    f"({', '.join(asked)})."
                )
            if name == method:
                found[key] = _read_value(value)
        return found


def _read_value(text: str) -> object:
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text
