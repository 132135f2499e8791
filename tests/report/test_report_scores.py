from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from report_results import agreement_result, localisation_row
from sklearn.metrics import roc_curve

from voxplain.errors import InputError
from voxplain.report.figures.charts.bars import localisation_bars, region_bars
from voxplain.report.figures.charts.matrix import agreement_matrix
from voxplain.report.figures.charts.scores import _roc, predictions, training_curve
from voxplain.report.words.numbers import cell, duration, interval, number


def pixels(png: bytes) -> np.ndarray:
    with Image.open(BytesIO(png)) as image:
        rgb = np.asarray(image.convert("RGB")).astype(float) / 255
    assert 600 <= rgb.shape[1] <= 1800
    assert 150 <= rgb.shape[0] <= 1600
    assert 0.01 < (rgb.min(-1) < 0.95).mean() < 0.8
    return rgb


def near(rgb: np.ndarray, colour: tuple[float, float, float]) -> np.ndarray:
    return np.abs(rgb - colour).max(-1) < 0.06


ORANGE = (0.835, 0.369, 0.0)


def test_training_curve_draws_held_out_only_where_measured() -> None:
    history: list[dict[str, Any]] = [
        {"epoch": n, "train_loss": 1 / n, "train_accuracy": 1 - 0.5 / n} for n in range(1, 9)
    ]
    alone = pixels(training_curve(history))
    both = pixels(
        training_curve([r | {"held_out_loss": 1.2, "held_out_accuracy": 0.5} for r in history])
    )
    assert near(alone, ORANGE).sum() == 0
    assert near(both, ORANGE).sum() > 500
    pixels(training_curve(history[:1]))
    with pytest.raises(InputError, match="the history is empty"):
        training_curve([])


def test_roc_is_that_of_sklearn() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 20)
    p = np.round(np.clip(rng.normal(0.35 + 0.3 * y, 0.2), 0, 1), 1)
    false, true = _roc(p, y)
    expected = roc_curve(y, p, drop_intermediate=False)
    np.testing.assert_allclose(false, expected[0])
    np.testing.assert_allclose(true, expected[1])


def test_predictions_are_drawn_and_checked() -> None:
    p, y = np.linspace(0, 1, 12), np.repeat([0, 1], 6)
    pixels(predictions(p, y, ["control", "case"], roc_auc=1.0, roc_auc_ci=[0.9, 1.0]))
    with pytest.raises(InputError, match="two lists of one length"):
        predictions(p[1:], y, ["a", "b"])
    with pytest.raises(InputError, match="both present"):
        predictions(p, 0 * y, ["a", "b"])


def test_bars_mark_chance_and_order_by_score(summary: dict[str, Any]) -> None:
    rows = [localisation_row(m) for m in summary["methods"].values()]
    controls = [localisation_row(c | {"control": True}) for c in summary["controls"].values()]
    first = localisation_bars([*rows, *controls], chance=0.011, chance_95=0.035)
    assert first == localisation_bars([*controls, *rows[::-1]], chance=0.011, chance_95=0.035)
    assert near(pixels(first), ORANGE).sum() > 300
    pixels(localisation_bars(rows[:1], chance=0.011))
    with pytest.raises(InputError, match="at least one method"):
        localisation_bars([], chance=0.1)


def test_agreement_needs_pairs(agreement_of: dict[str, Any]) -> None:
    pixels(agreement_matrix(agreement_result(agreement_of), {"gradient": "Gradient"}))
    low = agreement_of | {"pairs": [p | {"dice": 0.01} for p in agreement_of["pairs"]]}
    assert agreement_matrix(agreement_result(low)) != agreement_matrix(
        agreement_result(agreement_of)
    )
    with pytest.raises(InputError, match="at least two methods"):
        agreement_matrix(agreement_result(agreement_of | {"pairs": []}))


def test_affected_regions_are_coloured(summary: dict[str, Any]) -> None:
    top = summary["regions"]["methods"]["gradient"]["case"]["top"]
    plain = region_bars(top)
    assert near(pixels(plain), ORANGE).sum() == 0
    marked = region_bars(pd.DataFrame(top), ["Insula_R"], unit="logit", title="Gradient")
    assert near(pixels(marked), ORANGE).sum() > 1000
    assert region_bars(top[::-1]) == plain
    pixels(
        region_bars([{"region": "A", "share": -0.1}, {"region": "B", "share": 0.2}], value="share")
    )
    with pytest.raises(InputError, match="lacks region"):
        region_bars([{"mean": 1.0}])
    with pytest.raises(InputError, match="has no row"):
        region_bars([])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.25, "0.25"),
        (-0.0312, "−0.031"),
        (1234.0, "1200"),
        (-3.14e-5, "−3.1×10⁻⁵"),
        (2.5e7, "2.5×10⁷"),
    ],
)
def test_numbers_for_axes(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (True, "yes"),
        (3, "3"),
        (0.0, "0.000"),
        (-0.12345, "−0.123"),
        (1.234e-5, "1.23×10⁻⁵"),
        ("sub-<01>", "sub-<01>"),
        ([0.5, 1], "0.500 to 1.000"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert cell(value) == text


def test_intervals_and_durations() -> None:
    assert interval(None) == "–"
    assert interval((None, 0.5)) == "– to 0.500"
    assert [duration(s) for s in (None, 0.123, 4.56, 241)] == ["–", "0.12 s", "4.6 s", "4 min 1 s"]
