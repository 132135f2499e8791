"""nilearn's interactive slice viewer, as a page that needs no network."""

from __future__ import annotations

import re
import warnings
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np

from voxplain.errors import InputError, VoxplainError
from voxplain.grid import Grid
from voxplain.report.figures.brain.paint import Look
from voxplain.report.figures.brain.planes import Scene
from voxplain.report.words.numbers import number
from voxplain.volume import resample

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["outside_loads", "slice_viewer"]

_EDGE_MM: Final = 2.5
_DEFAULT_THRESHOLD: Final = 0.25
_WIDTH: Final = 760
_STYLE: Final = (
    "<style>body{margin:4px 8px;font:13px/1.4 system-ui,sans-serif;color:#222}"
    "p{margin:2px 0 6px}</style>"
)

# An address that a browser would fetch on its own: not data, not a place in the page.
_LOADS: Final = re.compile(
    r"""(?:\b(?:src|srcset|href|data|poster|action)\s*=\s*["']?\s*(?!data:|\#|about:)(?:[a-z]+:)?//"""
    r"""|url\(\s*["']?\s*(?:[a-z]+:)?//|@import\b)[^"'\s>)]*""",
    re.IGNORECASE,
)
_TAG_OR_STYLE: Final = re.compile(r"<style\b.*?</style>|<[a-z][^>]*>", re.IGNORECASE | re.DOTALL)
_SCRIPT: Final = re.compile(r"(<script\b[^>]*>).*?</script>", re.IGNORECASE | re.DOTALL)
_ICON: Final = re.compile(r"<link\b[^>]*\brel=\"icon\"[^>]*>", re.IGNORECASE)


def slice_viewer(
    values: ArrayLike,
    background: ArrayLike,
    grid: Grid,
    *,
    title: str = "",
    threshold: float | None = None,
) -> str:
    """Make an interactive viewer of three linked cuts, for the ``srcdoc`` of an iframe.

    Map and anatomy are brought by their affine to cubic voxels of 2.5 mm along the world's axes.
    The colour bar counts in percent of the magnitude at which the colours end, which the heading
    tells: the viewer rounds small numbers to 0.

    Parameters
    ----------
    values, background : array (X, Y, Z)
    grid : Grid
        Of both arrays; any orientation.
    title : str
    threshold : float, optional
        Magnitude, in the map's unit, below which the map is transparent; by default a quarter of
        the magnitude at which the colours end.

    Returns
    -------
    str
        A whole HTML page that loads nothing.

    Raises
    ------
    GridError
        If an array does not fit the grid.
    InputError
        If an array has values that are not finite, or the threshold is not 0 or more.
    VoxplainError
        If the viewer of the installed nilearn would load something.
    """
    if threshold is not None and not (np.isfinite(threshold) and threshold >= 0):
        raise InputError(f"The viewer's threshold must be 0 or more; {threshold} was given.")
    scene = Scene.of(background, grid)
    shown = scene.bring(values)
    look = Look.of(shown, scene.head)
    cubes = _cubic(scene.grid)
    head = resample(scene.head.astype(np.float32), scene.grid, cubes) >= 0.5
    anatomy = np.where(head, 0.05 + 0.95 * resample(scene.grey, scene.grid, cubes), 0)
    painted = np.where(head, resample(shown, scene.grid, cubes), 0)
    cut_off = _DEFAULT_THRESHOLD if threshold is None else min(threshold / look.top, 0.99)
    percent = Look(100.0, look.signed)
    painted *= np.float32(100 / look.top)
    page = _nilearn_page(painted, anatomy, cubes, percent, 100 * cut_off)
    scale = f"Colours in percent of {number(look.top)}; below {100 * cut_off:.0f} % transparent."
    page = _dressed(_ICON.sub("", page), title, scale)
    loads = outside_loads(page)
    if loads:
        raise VoxplainError(
            f"The slice viewer of the installed nilearn loads {loads[0]!r} from the network; "
            "leave the viewer out of the report."
        )
    return page


def outside_loads(page: str) -> list[str]:
    """List what a browser would fetch from the network to show a page.

    Parameters
    ----------
    page : str
        HTML. Attributes of tags and style sheets are searched, not the text of scripts.

    Returns
    -------
    list of str
        The attributes or rules, empty for a page that stands alone.
    """
    markup = _SCRIPT.sub(r"\1</script>", page)
    return [
        found.group() for part in _TAG_OR_STYLE.findall(markup) for found in _LOADS.finditer(part)
    ]


def _cubic(grid: Grid) -> Grid:
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in grid.shape])).reshape(3, -1).T
    world = grid.to_world(corners)
    low, high = world.min(axis=0), world.max(axis=0)
    shape = np.ceil((high - low) / _EDGE_MM - 1e-6).astype(int)
    affine = np.diag([_EDGE_MM, _EDGE_MM, _EDGE_MM, 1.0])
    affine[:3, 3] = (low + high) / 2 - _EDGE_MM * (shape - 1) / 2
    x, y, z = (int(n) for n in shape)
    return Grid((x, y, z), affine)


def _nilearn_page(
    values: NDArray[np.float32],
    anatomy: NDArray[np.float32],
    grid: Grid,
    look: Look,
    threshold: float,
) -> str:
    import nibabel as nib
    from nilearn.plotting import view_img

    peak = np.unravel_index(np.abs(values).argmax(), grid.shape)
    with warnings.catch_warnings():
        # A map without a value near zero has nothing to hide, which nilearn finds worth a word.
        warnings.filterwarnings("ignore", message="Threshold given was", category=UserWarning)
        view = view_img(
            nib.Nifti1Image(values.astype(np.float32), grid.affine),
            bg_img=nib.Nifti1Image(anatomy.astype(np.float32), grid.affine),
            cut_coords=tuple(grid.to_world(peak)),
            threshold=threshold,
            cmap=look.colours,
            symmetric_cmap=look.signed,
            vmax=look.top,
            vmin=None if look.signed else 0,
            black_bg=False,
            dim=0,
            width_view=_WIDTH,
        )
    return str(view.get_standalone())


def _dressed(page: str, title: str, scale: str) -> str:
    """Give nilearn's page a heading, the report's type and ids that a rerun repeats."""
    found = re.search(r"div_viewer-([0-9a-f]{32})", page)
    if found:
        page = page.replace(found.group(1), sha256((title + scale).encode()).hexdigest()[:32])
    page = page.replace('"crosshair": true', '"crosshair": true, "colorCrosshair": "#333333"')
    return page.replace("<body>", f"<body>{_STYLE}<p><b>{escape(title)}</b> {scale}</p>", 1)
