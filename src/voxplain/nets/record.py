"""What weights were trained to tell, written beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voxplain.errors import InputError

__all__ = ["WeightsRecord", "file_sha256", "read_record"]


@dataclass(frozen=True)
class WeightsRecord:
    """What the outputs of trained weights mean.

    Parameters
    ----------
    class_names : tuple of str
        In the order of the outputs; empty where the output is a number.
    unit : str
        Of the number; empty for classes.
    name : str
        What the number is, such as ``"age"``.
    mean, scale : float
        The number is the mean plus so many times the output.
    bins : tuple of float
        Value of each output, where these are a distribution over bins.
    """

    class_names: tuple[str, ...] = ()
    unit: str = ""
    name: str = "output"
    mean: float = 0.0
    scale: float = 1.0
    bins: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as `read_record` reads them."""
        if self.class_names:
            return {"task": "classification", "class_names": list(self.class_names)}
        moved = {"scale": [self.mean, self.scale]} if not self.bins else {"bins": list(self.bins)}
        return {"task": "regression", "name": self.name, "unit": self.unit, **moved}


def read_record(weights: Path) -> tuple[WeightsRecord | None, str]:
    """Read the JSON file of the same name beside a file of weights.

    Parameters
    ----------
    weights : path

    Returns
    -------
    record : WeightsRecord or None
        None where there is no such file, or it says nothing of the outputs.
    note : str
        Why it was not believed; mostly empty.

    Raises
    ------
    InputError
        If an entry is not what it must be.
    """
    path = weights.with_suffix(".json")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None, ""
    if not isinstance(content, Mapping) or not content.keys() & {"class_names", "unit", "bins"}:
        return None, ""
    told = content.get("weights_file_sha256")
    if told is not None and told != file_sha256(weights):
        return None, f"{path} belongs to other weights than {weights.name} holds, and is not used"
    return _record(content, path), ""


def _record(content: Mapping[str, Any], path: Path) -> WeightsRecord:
    names = content.get("class_names") or ()
    if isinstance(names, Mapping):
        names = [names.get(str(i), names.get(i)) for i in range(len(names))]
    if not (isinstance(names, list | tuple) and all(isinstance(n, str) and n for n in names)):
        raise InputError(
            f"class_names in {path} must be a list of names in the order of the outputs; "
            f"{names!r} was given."
        )
    if names:
        return WeightsRecord(class_names=tuple(names))
    try:
        mean, scale = (float(n) for n in content.get("scale") or (0.0, 1.0))
        bins = tuple(float(n) for n in content.get("bins") or ())
    except (TypeError, ValueError):
        mean, scale, bins = float("nan"), float("nan"), ()
    if not np.isfinite([mean, scale, *bins]).all() or scale == 0:
        raise InputError(
            f"{path} must give scale as [mean, standard deviation] and bins as a list of numbers."
        )
    name, unit = str(content.get("name") or "output"), str(content.get("unit") or "")
    return WeightsRecord(unit=unit, name=name, mean=mean, scale=scale, bins=bins)


def file_sha256(path: Path) -> str:
    """Hash the bytes of a file, as ``sha256sum`` does."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
