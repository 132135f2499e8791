"""What ``voxplain explain`` can be asked, checked before a file is opened."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxplain.cohort import PRESETS
from voxplain.cohort.orientation import require_orientation
from voxplain.errors import InputError, unknown_name
from voxplain.explain.methods import METHODS, make_method
from voxplain.pipeline.scan_regions import require_regions

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
    grid : {"input", "network"}
        Where the maps are wanted.
    methods : tuple of str
    target : int or "predicted"
    layer : str
    options : tuple of str
        Options of methods, each as ``method:name=value``. ``regions`` is the name of an atlas or
        the path of an image of labels.
    class_names : tuple of str, optional
    classes : int
    device, precision : str
    seed : int
    """

    network: str
    weights: tuple[Path, ...]
    images: tuple[Path, ...]
    out: Path
    masks: tuple[Path, ...] = ()
    preset: str | None = None
    align: str = "affine"
    orientation: str | None = None
    grid: str = "input"
    methods: tuple[str, ...] = ("grad-cam",)
    target: int | str = "predicted"
    layer: str = "auto"
    options: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None
    classes: int = 2
    device: str = "auto"
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.preset is not None and self.preset not in PRESETS:
            raise unknown_name("preset", self.preset, PRESETS)
        require_orientation(self.orientation)
        if self.masks and len(self.masks) != len(self.images):
            raise InputError(
                f"{len(self.masks)} masks were given for {len(self.images)} images; give one "
                "--mask per --image, in the same order, or none."
            )
        if self.masks and self.preset is None:
            raise InputError(
                "A mask is used by a preset alone; give --preset, or leave out --mask."
            )
        if self.class_names and len(self.class_names) != self.classes:
            raise InputError(
                f"{len(self.class_names)} class names were given for {self.classes} classes; give "
                "one name per class."
            )
        for name in self.methods:
            options = self.options_of(name)
            if "regions" in options:
                METHODS[name].require_known(options)
                require_regions(options.pop("regions"))
            make_method(name, options)

    def options_of(self, method: str) -> dict[str, Any]:
        """Return the options given for one method, numbers and truth values read as such."""
        found = {}
        for text in self.options:
            setting, equals, value = text.partition("=")
            name, colon, key = setting.rpartition(":")
            if not (colon and equals and key and value) or name not in self.methods:
                raise InputError(
                    f"--option {text!r} is not method:name=value for a method that was asked for "
                    f"({', '.join(self.methods)})."
                )
            if name == method:
                found[key] = _read_value(value)
        return found


def _read_value(text: str) -> object:
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text
