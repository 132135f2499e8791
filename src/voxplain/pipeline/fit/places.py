"""Where the networks of a fit lie in a study."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["ALL", "FOLDS", "HOLD_OUT", "file_part", "folder_of", "null_place", "place_of"]

ALL: Final = "all"
"""The network that is trained on all scans."""

HOLD_OUT: Final = "hold-out"
"""The network of one split without folds."""

FOLDS: Final = "model/folds.tsv"
"""The table of each scan's fold."""


def file_part(name: str) -> str:
    """Write a name in letters and digits, with hyphens between."""
    return re.sub(r"[^0-9A-Za-z]+", "-", name).strip("-")


def folder_of(network: str, variant: str = "") -> str:
    """Name the folder, in the study, of a network's weights.

    Parameters
    ----------
    network : str
    variant : str, default=""
        Of the images that it is trained on; empty for the cohort's own.
    """
    own = f"model/{file_part(network)}"
    return f"{own}/{variant}" if variant else own


def place_of(network: str, which: tuple[int, int] | str, variant: str = "") -> str:
    """Name the folder, in the study, of one training.

    Parameters
    ----------
    network : str
    which : tuple of 2 ints, or str
        Repeat and fold, from 1; or `ALL`, or `HOLD_OUT`.
    variant : str, default=""
        See `folder_of`.
    """
    last = which if isinstance(which, str) else f"repeat-{which[0]:02d}/fold-{which[1]:02d}"
    return f"{folder_of(network, variant)}/{last}"


def null_place(kind: str, number: int) -> str:
    """Name the folder, in the study, of networks that learnt nothing, and of their maps.

    Parameters
    ----------
    kind : {"labels", "untrained"}
        Trained on permuted labels, or not trained.
    number : int
        From 1.
    """
    return f"null/{kind}-{number:02d}"
