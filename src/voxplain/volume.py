"""Brains in memory: one volume on its grid, and a cohort of them that loads lazily."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxplain.errors import GridError, InputError
from voxplain.grid import Grid, require_grid

if TYPE_CHECKING:
    import pandas as pd
    from nibabel.nifti1 import Nifti1Image

    from voxplain.images.files import ImageLike

__all__ = ["Cohort", "Volume", "resample", "scan_name", "smooth"]


@dataclass(frozen=True, eq=False)
class Volume:
    """One scan: its values, where they lie, and whose they are.

    Parameters
    ----------
    values : array (X, Y, Z), float32
        Intensities in the scanner's or the preset's unit.
    grid : Grid
    subject : str, default=""
        Participant label without ``sub-``; with the session and run where there are several scans:
        ``"01_ses-2"``.

    Raises
    ------
    GridError
        If the array's shape is not the grid's.
    """

    values: NDArray[np.float32]
    grid: Grid
    subject: str = ""

    def __post_init__(self) -> None:
        require_grid(self.grid, "A volume")
        if not isinstance(self.subject, str):
            raise InputError(
                f"A volume's subject must be text, such as '01'; {self.subject!r} was given."
            )
        values = _numbers(self.values)
        if values.shape != self.grid.shape:
            raise GridError(
                f"The values have shape {values.shape}, their grid {self.grid.shape}: "
                "give the grid of this array."
            )
        object.__setattr__(self, "values", values)

    @classmethod
    def from_nifti(
        cls, image: ImageLike, subject: str | None = None, orientation: str | None = None
    ) -> Volume:
        """Read a scan from a file, or take it from an image of nibabel.

        Parameters
        ----------
        image : path, nibabel image or ImageFile
            A NIfTI-1 or NIfTI-2 file (``.nii``, ``.nii.gz``, ``.hdr``/``.img``) or a FreeSurfer
            file (``.mgz``, ``.mgh``) that holds one volume and says where it lies; or a ``.npy``
            array of OpenBHB.
        subject : str, optional
            Participant label, with or without ``sub-``; taken from the file name when left out
            (see `voxplain.cohort.subject_label`), empty for an image without a file.
        orientation : {"sform", "qform"}, optional
            Which of a NIfTI file's two places to believe where it gives both; by default the sform.

        Returns
        -------
        Volume
            Scaled as the header says, array (X, Y, Z), float32, axes as stored in the file.

        Raises
        ------
        InputError
            If the file is missing, unreadable, damaged or of another format; if it holds more than
            one volume, colours, complex numbers, NaN or infinite voxels, or one single value; if it
            has no affine or one that is singular or not finite, or its sform and qform contradict
            each other on left and right and none was chosen; if the label is not alphanumeric.

        Warns
        -----
        VoxplainWarning
            If sform and qform differ by more than rounding.
        """
        from voxplain.images.reading import read_scan

        return cls(*read_scan(image, subject, orientation))

    def to_nifti(self) -> Nifti1Image:
        """Return the volume as an image of nibabel, float32, with the grid's affine."""
        from voxplain.images.writing import nifti_image

        return nifti_image(self.values, self.grid)

    def __repr__(self) -> str:
        return f"Volume({self.grid}{f', subject {self.subject!r}' * bool(self.subject)})"


@dataclass(frozen=True, eq=False)
class Cohort:
    """Participants and their volumes, all on one grid, loaded when asked for.

    Parameters
    ----------
    participants : pandas.DataFrame
        One row per scan in the order of the volumes; columns ``participant_id`` and ``label``
        (the name of the class), any covariates, and, where participants have several scans,
        ``session_id`` (``"ses-2"``) and ``run_id`` (``"run-1"``).
    class_names : tuple of str
        Names in the order of the network's outputs.
    grid : Grid
    load : callable
        From a position in the table to that subject's values, array (X, Y, Z), float32.
    """

    participants: pd.DataFrame
    class_names: tuple[str, ...]
    grid: Grid
    load: Callable[[int], NDArray[np.float32]]

    def __post_init__(self) -> None:
        if not hasattr(self.participants, "columns"):
            raise InputError(
                "A cohort's participants must be a pandas DataFrame with a row per scan; "
                f"{type(self.participants).__name__} was given. A cohort on disk is opened by "
                "voxplain.open_store(folder)."
            )
        require_grid(self.grid, "A cohort")
        unknown = sorted(set(self.participants["label"]) - set(self.class_names))
        if unknown:
            raise InputError(
                f"Labels {', '.join(map(str, unknown))} are not among the classes "
                f"{', '.join(self.class_names)}."
            )

    def __len__(self) -> int:
        return len(self.participants)

    def __repr__(self) -> str:
        classes = f"classes {', '.join(self.class_names)}; " * bool(self.class_names)
        return f"Cohort({len(self)} scans; {classes}{self.grid})"

    def __getitem__(self, index: int) -> Volume:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        position = index % len(self)
        return Volume(self.load(position), self.grid, self._names[position])

    def __iter__(self) -> Iterator[Volume]:
        return (self[i] for i in range(len(self)))

    @property
    def subjects(self) -> list[str]:
        """Label of each scan in order: its participant's without ``sub-``, session and run."""
        return list(self._names)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        table = self.participants
        columns = [table[name] for name in _SCAN_COLUMNS if name in table.columns]
        return tuple(scan_name(*parts) for parts in zip(*columns, strict=True))

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class index of each subject, array (N,)."""
        index = {name: i for i, name in enumerate(self.class_names)}
        return np.array([index[name] for name in self.participants["label"]], dtype=np.int64)

    def stack(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Load some subjects into one array (N, X, Y, Z), float32."""
        out = np.empty((len(indices), *self.grid.shape), dtype=np.float32)
        for row, index in enumerate(indices):
            out[row] = self.load(int(index))
        return out

    def mean(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Average some subjects one at a time, array (X, Y, Z), float32."""
        if not len(indices):
            raise InputError("The mean of a cohort needs at least one subject.")
        total = np.zeros(self.grid.shape, dtype=np.float64)
        for index in indices:
            total += self.load(int(index))
        return (total / len(indices)).astype(np.float32)


def _numbers(given: object) -> NDArray[np.float32]:
    """Read an array of real numbers, array float32."""
    try:
        # A tensor that is part of a graph, or not on the processor, gives no array by itself.
        tensor = hasattr(given, "detach")
        array = np.asarray(given.detach().cpu() if tensor else given)  # type: ignore[attr-defined]
    except (TypeError, ValueError, RuntimeError):
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        kind = type(given).__name__ if array.ndim == 0 else f"values of type {array.dtype}"
        raise InputError(
            f"A volume's values must be an array (X, Y, Z) of real numbers; {kind} was given."
        )
    return array.astype(np.float32, copy=False)


_SCAN_COLUMNS = ("participant_id", "session_id", "run_id")


def scan_name(participant: object, *parts: object) -> str:
    """Join a participant's label, without ``sub-``, with the session and run of a scan.

    Parameters
    ----------
    participant : str
    *parts : str
        Such as ``"ses-2"`` and ``"run-1"``; empty and missing ones are left out.

    Returns
    -------
    str
        ``"01"``, ``"01_ses-2"`` or ``"01_ses-2_run-1"``.
    """
    told = [str(part) for part in parts if isinstance(part, str) and part]
    return "_".join([str(participant).removeprefix("sub-"), *told])


def resample(
    values: ArrayLike,
    source: Grid,
    target: Grid,
    order: Literal[0, 1, 2, 3] = 1,
    fill: float = 0.0,
) -> NDArray[np.float32]:
    """Carry an array from one grid to another by their affines.

    Parameters
    ----------
    values : array (X, Y, Z)
    source, target : Grid
        Where the values lie, and where they are wanted.
    order : {0, 1, 2, 3}, default=1
        Degree of the spline: 0 for labels, 1 for trilinear.
    fill : float, default=0.0
        Value outside the source's field of view.

    Returns
    -------
    array (X', Y', Z'), float32
        The input's own array, converted, where the grids agree.
    """
    from scipy.ndimage import affine_transform

    array = np.asarray(values, dtype=np.float32)
    if array.shape != source.shape:
        raise GridError(f"The values have shape {array.shape}, their grid {source.shape}.")
    if source.same_as(target):
        return array
    to_source = np.linalg.inv(source.affine) @ target.affine
    return affine_transform(
        array, to_source, output_shape=target.shape, order=order, mode="constant", cval=fill
    )


def smooth(values: ArrayLike, grid: Grid, fwhm: float) -> NDArray[np.float32]:
    """Smooth with a Gaussian of a stated width in space.

    Parameters
    ----------
    values : array (X, Y, Z)
    grid : Grid
    fwhm : float, mm
        Full width at half maximum; 0 leaves the values as they are.

    Returns
    -------
    array (X, Y, Z), float32
    """
    from scipy.ndimage import find_objects, gaussian_filter

    array = np.asarray(values, dtype=np.float32)
    if fwhm <= 0:
        return array
    sigma = [fwhm / np.sqrt(8 * np.log(2)) / size for size in grid.voxel_size]
    # Cut at four sigma, the filter gives 0 where it reaches nothing: a region takes its own time.
    reach, smoothed = [int(4 * width) + 1 for width in sigma], np.zeros_like(array)
    for box in find_objects((array != 0).view(np.int8)):
        near = tuple(
            slice(max(0, s.start - r), s.stop + r) for s, r in zip(box, reach, strict=True)
        )
        smoothed[near] = gaussian_filter(array[near], sigma, mode="constant", truncate=4)
    return smoothed
