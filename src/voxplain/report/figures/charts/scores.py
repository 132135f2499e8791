"""How the network learned, and what it says of subjects it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

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

__all__ = ["predictions", "training_curve"]

_SERIES: Final = (("train", "training", BLUE), ("held_out", "held out", ACCENT))


def training_curve(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw loss and accuracy over the epochs.

    Parameters
    ----------
    history : sequence of mapping
        One row per epoch: ``epoch``, ``train_loss``, ``train_accuracy`` and, where they were
        measured, ``held_out_loss`` and ``held_out_accuracy``.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If the history is empty.
    """
    if not history:
        raise InputError("A training curve needs at least one epoch; the history is empty.")
    with house_style():
        figure = new_figure(6.4, 2.3, constrained=True)
        left, right = figure.subplots(1, 2)
        for axes, quantity, title in ((left, "loss", "Loss"), (right, "accuracy", "Accuracy")):
            for key, name, colour in _SERIES:
                column = f"{key}_{quantity}"
                points = [(r["epoch"], r[column]) for r in history if r.get(column) is not None]
                if points:
                    epochs, values = zip(*points, strict=True)
                    marker = "o" if len(points) < 25 else ""
                    axes.plot(epochs, values, color=colour, label=name, marker=marker, ms=3)
            axes.set_title(title)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(axis="y", color=FAINT, lw=0.5)
            axes.set_axisbelow(True)
        left.set_ylim(bottom=0)
        right.set_ylim(min(0.4, right.get_ylim()[0]), 1.02)
        right.axhline(1, color=FAINT, lw=0.7, zorder=0)
        handles, names = left.get_legend_handles_labels()
        if len(names) > 1:
            right.legend(handles, names, loc="lower right")
        return png_bytes(figure)


def predictions(
    probabilities: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    *,
    roc_auc: float | None = None,
    roc_auc_ci: Sequence[float] | None = None,
) -> bytes:
    """Draw every held-out subject's probability by true class, and the ROC curve.

    Parameters
    ----------
    probabilities : array (N,)
        Of the second class.
    labels : array (N,), int
        True class, 0 or 1.
    class_names : sequence of 2 str
    roc_auc : float, optional
        Written beside the curve, with its interval.
    roc_auc_ci : sequence of 2 floats, optional

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    InputError
        If the arrays differ in length, the labels are not 0 and 1, or a class has no subject.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if p.ndim != 1 or p.shape != y.shape:
        raise InputError(
            f"Probabilities {p.shape} and labels {y.shape} must be two lists of one length."
        )
    if set(np.unique(y).tolist()) != {0, 1} or len(class_names) != 2:
        raise InputError("A prediction figure needs two classes, labelled 0 and 1, both present.")
    with house_style():
        figure = new_figure(6.4, 2.7, constrained=True)
        left, right = figure.subplots(1, 2, width_ratios=[1.35, 1])
        _strip(left, p, y, class_names)
        false, true = _roc(p, y)
        right.plot([0, 1], [0, 1], color=FAINT, lw=1)
        right.plot(false, true, color=INK, drawstyle="steps-post", clip_on=False)
        right.fill_between(false, true, step="post", color=FAINT, alpha=0.5, lw=0)
        right.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        right.set(xlabel=f"{class_names[0]} called {class_names[1]}")
        right.set(ylabel=f"{class_names[1]} found")
        right.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        right.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
        right.set_title("ROC curve")
        if roc_auc is not None:
            words = f"area {roc_auc:.3f}"
            if roc_auc_ci is not None:
                words += f"\n95 % interval\n{roc_auc_ci[0]:.3f} to {roc_auc_ci[1]:.3f}"
            right.text(0.95, 0.08, words, ha="right", va="bottom", fontsize=7.5, linespacing=1.35)
        return png_bytes(figure)


def _strip(axes: Axes, p: NDArray[np.float64], y: NDArray[Any], class_names: Sequence[str]) -> None:
    axes.axvspan(0, 0.5, color=BLUE, alpha=0.05, lw=0)
    axes.axvspan(0.5, 1, color=ACCENT, alpha=0.05, lw=0)
    axes.axvline(0.5, color=GREY, lw=0.7, ls=(0, (3, 3)))
    for row, colour in ((0, BLUE), (1, ACCENT)):
        values = np.sort(p[y == row])
        wrong = (values >= 0.5) != bool(row)
        heights = row + _spread(values)
        axes.scatter(values[~wrong], heights[~wrong], s=17, color=colour, alpha=0.75, lw=0)
        axes.scatter(
            values[wrong], heights[wrong], s=19, facecolor="white", edgecolor=colour, linewidth=1.3
        )
    counts = [int((y == row).sum()) for row in (0, 1)]
    axes.set_yticks([0, 1], [f"{c}\n(n = {k})" for c, k in zip(class_names, counts, strict=True)])
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.55, 1.55))
    axes.set_xlabel(f"probability of {class_names[1]} (open: wrong)")
    axes.set_title("Held-out subjects by true class")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move dots that would lie on each other apart, turn by turn up and down."""
    offsets = np.zeros(len(values))
    lanes = [0.0]
    for step in range(1, 9):
        lanes += [0.05 * step, -0.05 * step]
    last = dict.fromkeys(lanes, -np.inf)
    for n, value in enumerate(values):
        lane = next((k for k in lanes if value - last[k] > 0.026), min(lanes, key=last.__getitem__))
        offsets[n] = lane
        last[lane] = value
    return offsets


def _roc(
    p: NDArray[np.float64], y: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    thresholds = np.unique(p)[::-1]
    called = p[None, :] >= thresholds[:, None]
    false = np.r_[0.0, called[:, y == 0].mean(axis=1)]
    true = np.r_[0.0, called[:, y == 1].mean(axis=1)]
    return false, true
