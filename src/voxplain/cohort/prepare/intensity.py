"""Bring the brains of different scanners to one intensity scale."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from voxplain.cohort.prepare.templates import mni152_template
from voxplain.errors import InputError

if TYPE_CHECKING:
    from voxplain.cohort.prepare.recipe import Recipe

__all__ = ["scaled"]

_LANDMARKS = (0.5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99.5)


def scaled(
    brain: NDArray[np.float32], above: NDArray[np.bool_], recipe: Recipe
) -> NDArray[np.float32]:
    """Scale a brain as a recipe says.

    Parameters
    ----------
    brain : array (X, Y, Z), float32
        Background 0.
    above : array (X, Y, Z), bool
        The voxels of the brain, which alone are measured.
    recipe : Recipe
        Its ``intensity`` is one of

        ``"percentile"``: one factor brings a percentile to a level;
        ``"zscore"``: the brain gets mean 0 and standard deviation 1, all others 0;
        ``"histogram"``: their percentiles .5, 10, 20 ... 90, 99.5 are brought to those of the
        MNI152 template, linearly in between and beyond, all others to 0 (Nyúl et al. 2000, IEEE
        TMI 19:143, with a fixed template, so that no subject's scale depends on another's);
        ``"none"``: as they are.

    Returns
    -------
    array (X, Y, Z), float32

    Raises
    ------
    InputError
        If the brain has one single intensity, and so no scale.
    """
    if recipe.intensity == "none":
        return brain
    inside = brain[above]
    if recipe.intensity == "percentile":
        return brain * np.float32(recipe.level / np.percentile(inside, recipe.percentile))
    low, high = inside.min(), inside.max()
    if low == high:
        raise InputError(
            f"Every voxel of the brain is {low:g}; such a scan has no intensity scale."
        )
    out = np.zeros_like(brain)
    if recipe.intensity == "zscore":
        mean = inside.mean(dtype=np.float64)
        out[above] = (inside - mean) / inside.std(dtype=np.float64)
    else:
        out[above] = _to_landmarks(inside)
    return out


def _to_landmarks(inside: NDArray[np.float32]) -> NDArray[np.float64]:
    wanted = _template_landmarks()
    # Equal percentiles, as of few grey levels, leave no slope between them.
    found, first = np.unique(np.percentile(inside, _LANDMARKS), return_index=True)
    wanted = wanted[first]
    if len(found) == 1:
        return np.full(inside.shape, wanted[0])
    slopes = np.diff(wanted) / np.diff(found)
    scaled = np.interp(inside, found, wanted)
    scaled += np.minimum(inside - found[0], 0) * slopes[0]
    scaled += np.maximum(inside - found[-1], 0) * slopes[-1]
    return scaled


@cache
def _template_landmarks() -> NDArray[np.float64]:
    values = mni152_template(2).values
    # Resampled, the template is above 0 around the brain too, by less than anyone can see.
    brain = values[values > values.max() / 1000]
    landmarks: NDArray[np.float64] = np.percentile(brain, _LANDMARKS)
    return landmarks
