"""One quiet look for every figure, without touching matplotlib's global state."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from matplotlib.axes import Axes

__all__ = [
    "ACCENT",
    "BLUE",
    "DPI",
    "FAINT",
    "GREY",
    "INK",
    "PAGE_WIDTH",
    "Printed",
    "fewer_colours",
    "for_print",
    "house_style",
    "mute",
    "new_figure",
    "png_bytes",
]

DPI: Final = 170
PAGE_WIDTH: Final = 7.4
"""Width of a full-page figure, inches."""

# Okabe and Ito's colours stay apart under the common kinds of colour blindness.
INK: Final = "#222222"
GREY: Final = "#8a8f98"
FAINT: Final = "#d9dce1"
BLUE: Final = "#0072b2"
ACCENT: Final = "#d55e00"

_STYLE: Final[dict[Any, Any]] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 8,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.unicode_minus": True,
    # Names of classes and people are text, whatever dollars they hold.
    "text.parse_math": False,
    # Text of vector figures stays text, and the same figure gives the same file.
    "svg.fonttype": "none",
    "svg.hashsalt": "voxplain",
}
_PRINT_DPI: Final = 300
_SAVED: Final[dict[str, dict[str, Any]]] = {
    "svg": {"metadata": {"Date": None}},
    # Looking for runs alone takes a quarter of the time, and packs brains as well.
    "png": {"metadata": {"Software": None}, "pil_kwargs": {"compress_type": zlib.Z_RLE}},
}


@dataclass(frozen=True)
class Printed:
    """A figure as a journal wants it.

    Parameters
    ----------
    svg : bytes
    png : bytes
        300 dots per inch.
    """

    svg: bytes
    png: bytes


@dataclass(frozen=True)
class _Gathered:
    """What is gathered for print, and whether the page wants the figures as well."""

    made: list[Printed]
    page: bool


_PRINTED: ContextVar[_Gathered | None] = ContextVar("printed", default=None)


def house_style() -> AbstractContextManager[None]:
    """Return a context in which figures are made and drawn in the house style."""
    return mpl.rc_context(_STYLE)


def new_figure(width: float, height: float, constrained: bool = False) -> Figure:
    """Make a figure of a size in inches that no pyplot state knows of."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained" if constrained else None)
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def for_print(page: bool = True) -> Iterator[list[Printed]]:
    """Gather all figures that are drawn within, in order, as a journal wants them.

    Parameters
    ----------
    page : bool, default=True
        Whether they are drawn for a page as well; else their PNG for it is empty.
    """
    made: list[Printed] = []
    token = _PRINTED.set(_Gathered(made, page))
    try:
        yield made
    finally:
        _PRINTED.reset(token)


def png_bytes(figure: Figure) -> bytes:
    """Draw a figure and return it as PNG, bytes; the same figure gives the same bytes."""
    gathered = _PRINTED.get()
    png = _saved(figure, "png", DPI) if gathered is None or gathered.page else b""
    if gathered is not None:
        svg = _saved(figure, "svg", DPI)
        gathered.made.append(Printed(svg, _saved(figure, "png", _PRINT_DPI)))
    return png


def fewer_colours(png: bytes) -> bytes:
    """Write a PNG with 256 colours of its own: a third of the size, and no eye sees it.

    Parameters
    ----------
    png : bytes

    Returns
    -------
    bytes
        PNG.
    """
    from matplotlib.image import imread
    from PIL import Image

    buffer = BytesIO()
    pixels = np.rint(255 * imread(BytesIO(png), format="png")[..., :3]).astype(np.uint8)
    # Colours that cover all that there are: the few of a map are not lost in the many greys.
    # They are chosen from every other row and column, which takes a quarter of the time.
    every_other = Image.fromarray(np.ascontiguousarray(pixels[::2, ::2]))
    colours = every_other.quantize(256, method=Image.Quantize.MAXCOVERAGE)
    nearest = Image.fromarray(pixels).quantize(palette=colours, dither=Image.Dither.NONE)
    # The ground of a figure is the page's white.
    palette = np.array(colours.getpalette(), dtype=np.uint8).reshape(-1, 3)
    indices, ground = np.array(nearest), (pixels == 255).all(axis=-1)
    if ground.any():
        white = palette.sum(axis=1, dtype=int).argmax()
        palette[white], indices[ground] = 255, white
    few = Image.fromarray(indices)
    few.putpalette(palette.tobytes())
    few.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _saved(figure: Figure, kind: str, dpi: int) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format=kind, dpi=dpi, **_SAVED[kind])
    # Laid out once, and the same in every format.
    figure.set_layout_engine("none")
    return buffer.getvalue()


def mute(axes: Axes, keep: str = "") -> None:
    """Hide the spines and ticks of an axes, but for the sides named in ``keep``."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in keep.split())
    if "bottom" not in keep:
        axes.set_xticks([])
    if "left" not in keep:
        axes.set_yticks([])
