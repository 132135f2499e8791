"""The atlas that a user names: shipped, fetched, or in files."""

from __future__ import annotations

from pathlib import Path

from voxplain.atlas import Atlas
from voxplain.cohort.atlases.fetched import FETCHED, fetch_atlas, is_fetched
from voxplain.cohort.atlases.files import names_beside, read_atlas
from voxplain.cohort.atlases.shipped import ATLASES, load_atlas
from voxplain.errors import InputError, unknown_name
from voxplain.files.pointers import is_named
from voxplain.images.orientation import ORIENTATIONS

__all__ = ["find_atlas", "require_atlas"]


def require_atlas(given: str) -> None:
    """Raise InputError where `find_atlas` would not know what is meant."""
    if given in ATLASES or is_fetched(given):
        return
    image, names, _ = _split(given)
    if not is_named(image):
        raise unknown_name("atlas", given, [*ATLASES, *FETCHED, "IMAGE", "IMAGE,NAMES"])
    if names is None:
        names_beside(image)
    elif not is_named(names):
        raise InputError(f"There is no list of names {names}; give the atlas as IMAGE,NAMES.")


def find_atlas(given: str) -> Atlas:
    """Load the atlas that a user names.

    Parameters
    ----------
    given : str
        One of `ATLASES`; a name that `fetch_atlas` knows; or the path of an image, with that of its
        list of names behind a comma, or beside it (see `read_atlas`), and, where the image
        contradicts itself on left and right, ``sform`` or ``qform`` behind another.

    Returns
    -------
    Atlas

    Raises
    ------
    InputError
        If there is no such atlas, or its files cannot be used.
    """
    require_atlas(given)
    if given in ATLASES:
        return load_atlas(given)
    if is_fetched(given):
        return fetch_atlas(given)
    image, names, orientation = _split(given)
    return read_atlas(image, names, orientation=orientation)


def _split(given: str) -> tuple[Path, Path | None, str | None]:
    rest, _, last = given.rpartition(",")
    orientation = last if rest and last in ORIENTATIONS and not is_named(Path(given)) else None
    given = rest if orientation else given
    if not is_named(Path(given)) and "," in given:
        image, _, names = given.rpartition(",")
        return Path(image), Path(names), orientation
    return Path(given), None, orientation
