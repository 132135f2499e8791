"""How models compare on held-out scans, and what they use."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from voxplain.errors import InputError
from voxplain.report.figures.style import (
    ACCENT,
    BLUE,
    FAINT,
    GREY,
    INK,
    house_style,
    new_figure,
    png_bytes,
)
from voxplain.report.words.numbers import cell, number
from voxplain.report.words.scores import ScoreRow
from voxplain.results.fit import Importance
from voxplain.results.scores import Calibrated, Judged

__all__ = ["calibration_curves", "importances", "model_scores", "predicted_numbers"]

# At half of this width, one column of a journal, the smallest type is still above 5 points.
_SAME: Final = 0.02
_WIDTH: Final = 5.4
_GREEN: Final = "#009e73"
_DASHED: Final = (0, (4, 2.5))
_GROUPS: Final[dict[str, tuple[str, str]]] = {
    "network": ("Networks", BLUE),
    "voxels": ("Baselines on voxels", INK),
    "table": ("Baselines on the table", INK),
    "confound": ("Confounds alone", ACCENT),
}


def model_scores(
    rows: Sequence[ScoreRow],
    measure_label: str,
    chance: float | None = None,
    ceiling: float | None = None,
) -> bytes:
    """Draw one score of all models side by side, with 95 % intervals and single folds.

    Parameters
    ----------
    rows : sequence of ScoreRow
        One per model.
    measure_label : str
        Stands below the axis.
    chance : float, optional
        Score without any information.
    ceiling : float, optional
        Score of the best possible classifier, known for phantoms.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If no row has a value.
    """
    if all(np.isnan(_number(row.value)) for row in rows):
        raise InputError("A figure of scores needs at least one model with a score; none has one.")
    marks: list[tuple[float, str, ScoreRow | None]] = []
    for group in dict.fromkeys([*_GROUPS, *(row.group for row in rows)]):
        members = [row for row in rows if row.group == group]
        if members:
            top = marks[-1][0] + 1.15 if marks else 0.0
            marks.append((top, _GROUPS.get(group, (group, INK))[0], None))
            marks += [(top + 0.95 * n, r.label, r) for n, r in enumerate(members, 1)]
    with house_style():
        figure = new_figure(_WIDTH, 0.75 + 0.27 * (marks[-1][0] + 1), constrained=True)
        axes = figure.subplots()
        axes.set_yticks([place for place, _, _ in marks], [name for _, name, _ in marks])
        for (place, _, row), tick in zip(marks, axes.get_yticklabels(), strict=True):
            if row is None:
                tick.set_fontweight("bold")
            else:
                _score(axes, place, row)
        axes.set_ylim(marks[-1][0] + 0.65, -0.4)
        axes.margins(x=0.06)
        _levels(axes, chance, ceiling)
        axes.set_xlabel(measure_label)
        axes.grid(axis="x", color=FAINT, lw=0.5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        return png_bytes(figure)


def _score(axes: Axes, place: float, row: ScoreRow) -> None:
    colour = _GROUPS.get(row.group, ("", INK))[1]
    value = _number(row.value)
    bounds = [_number(bound) for bound in row.ci or ()]
    folds = np.array([_number(fold) for fold in row.per_fold])
    folds = np.sort(folds[np.isfinite(folds)])
    if len(folds):
        same = np.array([(folds[:n] == fold).sum() for n, fold in enumerate(folds)])
        # Equal scores are stacked, and stay within the row however many there are.
        below = place + 0.24 + same * min(0.1, 0.3 / max(1, same.max()))
        axes.plot(folds, below, "o", ms=2.4, mew=0, color=colour, alpha=0.45, clip_on=False)
    marker, size = ("D", 4.4) if row.group == "confound" else ("o", 5.6)
    axes.plot(value, place, marker, ms=size, color=colour, clip_on=False, zorder=4)
    words = _text(value)
    if bounds and np.isfinite(bounds).all():
        words += f" ({' to '.join(map(_text, bounds))})"
        axes.plot(bounds, [place, place], color=colour, lw=1.5, clip_on=False, zorder=3)
    _beside(axes, words, (1, place), ("axes fraction", "data"), (8, 0))


def _levels(axes: Axes, chance: float | None, ceiling: float | None) -> None:
    """Mark chance and ceiling by dashed lines, with words above that never meet."""
    if chance is not None and ceiling is not None and abs(ceiling - chance) < _SAME:
        known: dict[str, float | None] = {"chance and best possible": chance}
    else:
        known = {"chance": chance, "best possible": ceiling}
    levels = {words: level for words, level in known.items() if level is not None}
    for words, level in levels.items():
        colour = _GREEN if words == "best possible" else GREY
        axes.axvline(level, color=colour, lw=1, ls=_DASHED, zorder=1.8)
        place = 0 if len(levels) == 1 else -1 if level == min(levels.values()) else 1
        at = ("data", "axes fraction")
        text = _beside(axes, f"{words} {_text(level)}", (level, 1), at, (3 * place, 7))
        text.set_horizontalalignment(("center", "left", "right")[place])


def _beside(
    axes: Axes, words: str, at: tuple[float, float], coordinates: Any = "data", shift: Any = (4, 0)
) -> Annotation:
    return axes.annotate(words, at, shift, coordinates, "offset points", va="center", fontsize=7.5)


def calibration_curves(models: Mapping[str, Judged]) -> bytes:
    """Draw how often predictions are right against how probable they were said to be.

    Parameters
    ----------
    models : mapping of str to Judged
        By name; those without a calibration are left out.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If no model has a calibration.
    """
    told = {name: one.calibration for name, one in models.items() if one.calibration}
    if not told:
        raise InputError("A figure of calibration needs a model with probabilities; none has them.")
    seen = [_number(c) for one in told.values() for c in one.confidence]
    left = min(0.5, np.floor(10 * np.nanmin([1.0, *seen])) / 10)
    columns, largest = min(3, len(told)), max(int(np.max(one.count)) for one in told.values())
    rows = -(-len(told) // columns)
    with house_style():
        figure = new_figure(max(3.6, _WIDTH * columns / 3), 0.4 + 2 * rows, constrained=True)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for n, (axes, name) in enumerate(zip(panels, told, strict=False)):
            axes.plot([0, 1], [0, 1], color=GREY, lw=0.9, ls=_DASHED, zorder=1.8)
            _reliability(axes, told[name], largest)
            error = f"calibration error {_text(told[name].error)}"
            axes.set_title("\n".join([*textwrap.wrap(name, 24), error]), fontsize=7.5)
            axes.set(xlim=(left - 0.03, 1.03), ylim=(-0.04, 1.04))
            axes.grid(color=FAINT, lw=0.5)
            axes.tick_params(labelbottom=n >= len(told) - columns)
        for axes in panels[len(told) :]:
            axes.set_visible(False)
        figure.supxlabel("probability of the predicted class", fontsize=8)
        figure.supylabel("share that is right", fontsize=8)
        steps = sorted({max(1, round(largest / part)) for part in (10, 3, 1)})
        dots = [panels[0].scatter([], [], _area(n, largest), color=BLUE, lw=0) for n in steps]
        figure.legend(dots, [f"n = {n}" for n in steps], loc="outside upper center", ncols=3)
        return png_bytes(figure)


def _reliability(axes: Axes, one: Calibrated, largest: int) -> None:
    points = zip(one.confidence, one.accuracy, one.count, strict=True)
    x, y, count = np.array([p for p in points if p[2]], dtype=np.float64).reshape(-1, 3).T
    axes.plot(x, y, color=BLUE, lw=1, alpha=0.6)
    axes.scatter(x, y, _area(count, largest), color=BLUE, lw=0, zorder=3, clip_on=False)
    for place, share, n in zip(x, y, count, strict=True):
        bounds = binomtest(round(share * n), int(n)).proportion_ci(method="wilson")
        axes.plot([place] * 2, [bounds.low, bounds.high], color=BLUE, lw=0.8, alpha=0.6)


def _area(count: ArrayLike, largest: int) -> NDArray[np.float64]:
    """Marker area in square points, in proportion to the count."""
    return np.maximum(90 * np.asarray(count, dtype=np.float64) / max(1, largest), 3)


def importances(rows: Sequence[Importance], top: int = 15, of: str = "accuracy") -> bytes:
    """Draw what shuffling one measure of a table costs, for the first measures.

    Parameters
    ----------
    rows : sequence of Importance
        Best first; rows without a number are left out.
    top : int, default=15
    of : str, default="accuracy"
        What is lost: ``accuracy`` of classes, ``R²`` of numbers.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If no measure has an importance.
    """
    known = [row for row in rows if np.isfinite(_number(row.permutation))][:top]
    if not known:
        raise InputError("A figure of importances needs at least one measure; none has a number.")
    values = np.array([_number(row.permutation) for row in known])
    words = [row.measure.replace("_", " ") for row in known]
    names = [word if len(word) < 40 else f"{word[:25]}…{word[-12:]}" for word in words]
    with house_style():
        figure = new_figure(_WIDTH, 0.65 + 0.22 * len(known), constrained=True)
        axes = figure.subplots()
        colours = np.where(values > 0, BLUE, GREY)
        axes.barh(range(len(known)), values, height=0.66, color=colours, lw=0)
        for place, value in enumerate(values):
            _beside(axes, cell(round(float(value), 3) + 0.0), (max(float(value), 0), place))
        axes.axvline(0, color=GREY, lw=0.7)
        axes.set_yticks(range(len(known)), names)
        axes.set_ylim(len(known) - 0.4, -0.6)
        axes.set_xlim(1.1 * min(values.min(), 0), 1.15 * max(values.max(), 1e-3))
        axes.set_xlabel(f"loss of held-out {of} when the measure is shuffled")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        return png_bytes(figure)


def predicted_numbers(truth: ArrayLike, predicted: ArrayLike, name: str, unit: str = "") -> bytes:
    """Draw predicted against true numbers of held-out scans, with the line of identity.

    Parameters
    ----------
    truth, predicted : array (N,), in the unit
    name : str
        Of what is predicted, such as ``age``.
    unit : str
        Such as ``years``; empty where it is not known.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If the arrays are empty or differ in length, or hold what is not finite.
    """
    x, y = (np.asarray(given, dtype=np.float64) for given in (truth, predicted))
    if x.ndim != 1 or x.shape != y.shape or not len(x) or not np.isfinite([x, y]).all():
        raise InputError("True and predicted numbers must be two finite lists of one length.")
    margin = 0.04 * (np.ptp([x, y]) or 1.0)
    limits = (min(x.min(), y.min()) - margin, max(x.max(), y.max()) + margin)
    with house_style():
        figure = new_figure(3.6, 3.5, constrained=True)
        axes = figure.subplots()
        axes.plot(limits, limits, color=GREY, lw=0.9, ls=_DASHED, zorder=1.8)
        axes.plot(x, y, "o", ms=4, mew=0, color=BLUE, alpha=min(0.75, 0.15 + 5 / len(x) ** 0.5))
        of = f"{name} ({unit})" if unit else name
        axes.set(xlim=limits, ylim=limits, xlabel=f"true {of}", ylabel=f"predicted {of}")
        axes.set(aspect="equal", yticks=axes.get_xticks()[1:-1])
        axes.set_xticks(axes.get_yticks())
        error = f"{number(float(np.abs(y - x).mean()), 3)} {unit}".rstrip()
        words = f"n = {len(x)}\nmean absolute error {error}"
        if np.ptp(x) > 0 and np.ptp(y) > 0:
            words += f"\nr = {_text(float(np.corrcoef(x, y)[0, 1]))}"
        axes.set_title(words, fontsize=7.5, weight="normal", linespacing=1.4)
        return png_bytes(figure)


def _number(value: Any) -> float:
    return np.nan if value is None else float(value)


def _text(value: float) -> str:
    """Write a score: two decimals, three digits beyond ten, a dash where there is none."""
    text = number(value, 3) if abs(value) >= 10 else f"{value:.2f}"
    return "–" if np.isnan(value) else text.replace("-", "−")
