"""Controls that never see the network: what an edge filter and a t-test find by themselves."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid

__all__ = ["EDGE_SIGMA_MM", "TMap", "edge_filter"]

EDGE_SIGMA_MM = 2.0
"""Width of the edge filter of a phantom's images."""


def edge_filter(values: ArrayLike, grid: Grid, sigma_mm: float) -> NDArray[np.float32]:
    """Find the edges of an image: the length of its gradient in space after smoothing.

    A method whose map finds the truth no better than this has shown the anatomy, not what the
    network learned (Adebayo et al. 2018, NeurIPS; Clark et al. 2024, *Mach Learn*).

    Parameters
    ----------
    values : array (X, Y, Z)
        Intensities.
    grid : Grid
        Gives the gradient its unit, whatever the voxels' size and direction.
    sigma_mm : float, mm
        Standard deviation of the Gaussian; 0 for none.

    Returns
    -------
    array (X, Y, Z), float32, intensity per mm

    Raises
    ------
    GridError
        If the image is not on the grid.
    InputError
        If the width is negative or not finite, or the image is not finite.
    """
    image = np.asarray(values, dtype=np.float64)
    if image.shape != grid.shape:
        raise GridError(f"The image has shape {image.shape}, its grid {grid.shape}.")
    if not np.isfinite(sigma_mm) or sigma_mm < 0:
        raise InputError(f"A width must be a finite number of mm, 0 or more; {sigma_mm} was given.")
    if not np.isfinite(image).all():
        raise InputError("The image has values that are not finite.")
    sigma = [sigma_mm / size for size in grid.voxel_size]
    # The border is repeated, so that an image that is not zero there gets no edge from the box.
    smoothed = gaussian_filter(image, sigma, mode="nearest")
    per_voxel = np.zeros((3, *image.shape))
    for axis in range(3):
        if image.shape[axis] > 1:
            per_voxel[axis] = np.gradient(smoothed, axis=axis)
    to_voxel = np.linalg.inv(grid.affine[:3, :3])
    per_mm = np.tensordot(to_voxel.T, per_voxel, axes=1)
    length: NDArray[np.float64] = np.linalg.norm(per_mm, axis=0)
    return length.astype(np.float32)


class TMap:
    """Voxel-wise Welch t between two classes, fed one image at a time.

    Means and sums of squares are updated as Welford (1962, *Technometrics* 4:419) does, in
    float64, so a cohort of any size needs the memory of four images. On effects that add up
    voxel by voxel, this map is hard to beat: it is the bar for any explanation.
    """

    def __init__(self) -> None:
        self._counts = [0, 0]
        self._means: list[NDArray[np.float64]] = []
        self._squares: list[NDArray[np.float64]] = []

    @property
    def counts(self) -> tuple[int, int]:
        """Images fed so far, of class 0 and of class 1."""
        return self._counts[0], self._counts[1]

    def add(self, values: ArrayLike, label: int) -> None:
        """Take in one image.

        Parameters
        ----------
        values : array (X, Y, Z)
        label : {0, 1}
            Class of the image.

        Raises
        ------
        GridError
            If the image has another shape than those before.
        InputError
            If the label is neither 0 nor 1, or the image is not finite.
        """
        if label not in (0, 1):
            raise InputError(f"A t-map compares the classes 0 and 1; label {label} was given.")
        image = np.asarray(values, dtype=np.float64)
        if not np.isfinite(image).all():
            raise InputError("The image has values that are not finite.")
        if not self._means:
            self._means = [np.zeros(image.shape), np.zeros(image.shape)]
            self._squares = [np.zeros(image.shape), np.zeros(image.shape)]
        if image.shape != self._means[0].shape:
            raise GridError(
                f"The image has shape {image.shape}, those before {self._means[0].shape}; "
                "resample it first."
            )
        group = int(label)
        self._counts[group] += 1
        step = image - self._means[group]
        self._means[group] += step / self._counts[group]
        self._squares[group] += step * (image - self._means[group])

    @classmethod
    def joined(cls, parts: Iterable[TMap]) -> TMap:
        """Join the images of several, each as if it had been fed here (Chan et al. 1983).

        Parameters
        ----------
        parts : iterable of TMap
            Of images of one shape; those without an image count for nothing.

        Returns
        -------
        TMap
        """
        whole = cls()
        for part in parts:
            if not part._means:
                continue
            if not whole._means:
                whole._means = [np.zeros_like(mean) for mean in part._means]
                whole._squares = [np.zeros_like(mean) for mean in part._means]
            for group, count in enumerate(part._counts):
                before, after = whole._counts[group], whole._counts[group] + count
                if not count:
                    continue
                step = part._means[group] - whole._means[group]
                whole._means[group] += step * (count / after)
                whole._squares[group] += part._squares[group] + step**2 * (before * count / after)
                whole._counts[group] = after
        return whole

    def t(self) -> NDArray[np.float32]:
        """Return the t of each voxel, positive where class 1 is brighter.

        Returns
        -------
        array (X, Y, Z), float32
            0 where neither class varies, such as in a background of zeros.

        Raises
        ------
        InputError
            If a class has fewer than two images.
        """
        if min(self._counts) < 2:
            raise InputError(
                f"A t-map needs two images of each class; there are {self._counts[0]} and "
                f"{self._counts[1]}."
            )
        error = sum(
            squares / ((n - 1) * n) for squares, n in zip(self._squares, self._counts, strict=True)
        )
        difference = self._means[1] - self._means[0]
        varies = error > 0
        out = np.zeros(difference.shape)
        np.divide(difference, np.sqrt(error), out=out, where=varies)
        return out.astype(np.float32)
