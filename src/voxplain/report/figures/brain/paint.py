"""Colours of a map over the anatomy, and the flat sheet of millimetres that cuts are laid on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib import patheffects
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.lines import Line2D

from voxplain.report.figures.style import INK, mute
from voxplain.report.words.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from voxplain.report.figures.brain.planes import Scene

__all__ = ["TRUTH", "Look", "Panel", "Sheet", "colour_bar", "truth_key"]

TRUTH: Final = "#00e08a"
"""Outline of the truth: apart from red, blue and grey for common colour blindness too."""

_SIGNED: Final = LinearSegmentedColormap.from_list(
    "voxplain_signed",
    ["#08308f", "#1a5fe0", "#6fb1ff", "#dfe6ee", "#ff9a6b", "#e0301e", "#a00d16"],
)
_POSITIVE: Final = LinearSegmentedColormap.from_list(
    "voxplain_positive", ["#5a0f6e", "#a3195b", "#e0402f", "#f98b0c", "#fde24a"]
)
_EYE_PERCENTILE: Final = 99.5
# The anatomy stays visible under a map that is strong everywhere.
_OPAQUE: Final = 0.85
_BAR_GREY: Final = 0.62
_NARROW: Final = 1.0
_LONG: Final = 5


@dataclass(frozen=True)
class Look:
    """How the values of a map become colours.

    Parameters
    ----------
    top : float
        Magnitude at which the colours end, in the map's unit.
    signed : bool
        Blue and red about 0, or one sequence from 0 upwards.
    rule : str
        The scaling in words.
    """

    top: float
    signed: bool
    rule: str = "Colours end at the 99.5th percentile of |value| in the head"

    @classmethod
    def of(
        cls, values: NDArray[np.float32], head: NDArray[np.bool_], symmetric: bool | None = None
    ) -> Look:
        """Choose a scale: the 99.5th percentile of the magnitude within the head.

        Parameters
        ----------
        values : array (X, Y, Z)
        head : array (X, Y, Z), bool
        symmetric : bool, optional
            Force a scale about 0; by default whether the map has negative values.
        """
        magnitude = np.abs(values)
        top = float(np.percentile(magnitude[head], _EYE_PERCENTILE))
        if top <= 0:
            top = float(magnitude.max()) or 1.0
        negative = bool(values.min() < -1e-6 * top)
        return cls(top, negative if symmetric is None else symmetric)

    @property
    def colours(self) -> Colormap:
        """The colour map."""
        return _SIGNED if self.signed else _POSITIVE

    def over(self, grey: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Lay values over a picture, transparent near zero.

        Parameters
        ----------
        grey : array (...), 0 to 1
        values : array (...), the map's unit

        Returns
        -------
        array (..., 3)
            RGB, 0 to 1.
        """
        scaled = np.clip(values / self.top, -1, 1)
        colour = self.colours((scaled + 1) / 2 if self.signed else scaled)[..., :3]
        ramp = np.clip((np.abs(scaled) if self.signed else scaled) / 0.6 - 0.08, 0, 1)
        alpha = _OPAQUE * (ramp * ramp * (3 - 2 * ramp))[..., None]
        blend: NDArray[np.float64] = np.clip(alpha * colour + (1 - alpha) * grey[..., None], 0, 1)
        return blend


@dataclass(frozen=True, eq=False)
class Panel:
    """One cut, ready to be laid down: RGB picture, outline and words."""

    image: NDArray[np.float64]
    size: tuple[float, float]
    label: str = ""
    outline: NDArray[np.float32] | None = None
    ends: tuple[str, str] = ("", "")

    @classmethod
    def of(
        cls, scene: Scene, plane: str, index: int, values: NDArray[np.float32], look: Look
    ) -> Panel:
        """Cut a scene and a map that `Scene.bring` turned."""
        head = scene.cut(scene.head.astype(np.float32), plane, index, soft=True)[..., None]
        grey = 0.12 + 0.84 * scene.cut(scene.grey, plane, index)
        # Air is the page's white.
        image = head * look.over(grey, scene.cut(values, plane, index)) + 1 - head
        outline = None
        if scene.truth is not None:
            outline = scene.cut(scene.truth, plane, index, soft=True)
        ends = ("P", "A") if plane == "sagittal" else ("L", "R")
        return cls(image, scene.size(plane), scene.position(plane, index), outline, ends)


@dataclass
class Sheet:
    """An axes whose unit is the millimetre of the head, with cuts laid on it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    box : tuple of 4 floats
        Left, bottom, width and height of the axes, as parts of the figure.
    size : tuple of 2 floats, mm
        Width and height of the sheet; y runs downwards.
    """

    figure: Figure
    box: tuple[float, float, float, float]
    size: tuple[float, float]
    axes: Axes = field(init=False)

    def __post_init__(self) -> None:
        self.axes = self.figure.add_axes(self.box)
        self.axes.set_xlim(0, self.size[0])
        self.axes.set_ylim(self.size[1], 0)
        mute(self.axes)

    def lay(self, panel: Panel, x: float, y: float, *, ends: bool = False) -> None:
        """Lay a panel with its upper left corner at ``x``, ``y``, mm; ``ends`` marks the sides."""
        width, height = panel.size
        self.axes.imshow(
            panel.image[::-1],
            extent=(x, x + width, y + height, y),
            interpolation="bilinear",
            aspect="auto",
            clip_on=False,
        )
        if panel.outline is not None and panel.outline.max() > 0.5:
            rows, columns = panel.outline.shape
            if min(rows, columns) > 1:
                across = x + (np.arange(columns) + 0.5) * width / columns
                down = y + height - (np.arange(rows) + 0.5) * height / rows
                drawn = self.axes.contour(
                    across, down, panel.outline, levels=[0.5], colors=[TRUTH], linewidths=0.9
                )
                drawn.set_path_effects(
                    [
                        patheffects.withStroke(linewidth=1.9, foreground="#10221a"),
                        patheffects.Normal(),
                    ]
                )
        if ends:
            self.write(x + 3, y + 8, panel.ends[0], weight="bold")
            self.write(x + width - 3, y + 8, panel.ends[1], weight="bold")
        self.axes.set_xlim(0, self.size[0])
        self.axes.set_ylim(self.size[1], 0)

    def cross(self, at: tuple[float, float], box: tuple[float, float, float, float]) -> None:
        """Draw cross-hairs about ``at`` that leave the point itself free; ``box`` bounds them."""
        (x, y), (left, top, right, bottom), free = at, box, 9.0
        lines = [
            ((left, x - free), (y, y)),
            ((x + free, right), (y, y)),
            ((x, x), (top, y - free)),
            ((x, x), (y + free, bottom)),
        ]
        for across, down in lines:
            if across[0] <= across[1] and down[0] <= down[1]:
                self.axes.plot(across, down, color=INK, lw=0.5, alpha=0.4)

    def write(
        self,
        x: float,
        y: float,
        text: str,
        *,
        ha: str = "center",
        va: str = "center",
        weight: str = "normal",
        colour: str = INK,
        size: float = 7,
    ) -> None:
        """Write at a place of the sheet, mm."""
        self.axes.text(x, y, text, ha=ha, va=va, weight=weight, color=colour, fontsize=size)


def colour_bar(
    figure: Figure, box: tuple[float, float, float, float], look: Look, unit: str = ""
) -> None:
    """Draw the colours as they look over mid-grey anatomy, with numbers and the unit below.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    box : tuple of 4 floats
        Left, bottom, width and height, as parts of the figure.
    look : Look
    unit : str
    """
    low = -look.top if look.signed else 0.0
    ramp = np.linspace(low, look.top, 256, dtype=np.float32)[None, :]
    axes = figure.add_axes(box)
    axes.imshow(
        look.over(np.full(ramp.shape, _BAR_GREY, dtype=np.float32), ramp),
        extent=(low, look.top, 0, 1),
        aspect="auto",
        interpolation="bilinear",
    )
    mute(axes, keep="bottom")
    axes.spines["bottom"].set_visible(False)
    ticks = [low, 0.0, look.top] if look.signed else [0.0, look.top]
    narrow = box[2] * figure.get_figwidth() < _NARROW
    if narrow and len(number(look.top)) > _LONG:
        # Long numbers at the ends leave no room for the zero between them.
        ticks = [ticks[0], look.top]
    axes.set_xticks(ticks, [number(t) for t in ticks])
    axes.tick_params(length=2, pad=1.5, labelsize=7)
    if unit:
        axes.set_xlabel(unit, fontsize=7, labelpad=1.5)


def truth_key(figure: Figure, x: float, y: float, text: str = "true effect") -> None:
    """Explain the outline of the truth, at a place given as parts of the figure."""
    inches = figure.get_figwidth()
    line = Line2D([x, x + 0.2 / inches], [y, y], color=TRUTH, lw=1.6, transform=figure.transFigure)
    line.set_path_effects(
        [patheffects.withStroke(linewidth=2.8, foreground="#10221a"), patheffects.Normal()]
    )
    figure.add_artist(line)
    figure.text(x + 0.26 / inches, y, text, fontsize=7, va="center", color=INK)
