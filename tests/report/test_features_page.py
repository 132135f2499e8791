"""The page of feature maps and its figure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from scipy import stats

from voxplain.errors import InputError
from voxplain.report.figures import feature_contrasts
from voxplain.report.html.render import render
from voxplain.report.pages.features import MEASURES, features_page

NAMES = ("women", "men")


def measure(differ: int = 5, higher: int = 3) -> dict[str, Any]:
    most = [
        {"map": 17, "means": [0.25, 0.5], "g": 1.5, "p": 1e-5, "q": 4e-4},
        {"map": 3, "means": [0.75, 0.125], "g": -1.25, "p": 0.01, "q": 0.04},
        {"map": 0, "means": [0.0, 0.0], "g": 0.0, "p": 1.0, "q": 1.0},
    ]
    counted = {"differ": differ, "differ_uncorrected": differ + 2, "higher_in_second": higher}
    return {"maps": 32, **counted, "most": most}


def features_of(fold: int = 1, **other: Any) -> dict[str, Any]:
    """What `voxplain features` writes into summary.json."""
    return {
        "network": "mrinet",
        "layer": "features.relu1",
        "fold": fold,
        "scans": "held out" if fold else "all, which the network was trained on",
        "n_scans": 46,
        "participants": 23,
        "counts": {"women": 12, "men": 11},
        "mean": measure(),
        "entropy": measure(0, 0),
        "figure": "model/mrinet/features.png",
        "versions": {"voxplain": "0.1.0", "torch": "2.13.0"},
        **other,
    }


def findings(features: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = features_page(features, {}).sections[0].items[0].findings
    return [(f.label, f.standing, f.sentence) for f in found]


def test_what_differs_in_held_out_scans() -> None:
    (mean, good, words), (entropy, chance, none) = findings(features_of())
    assert (mean, good) == ("Do the maps differ in mean activation?", "good")
    assert "5 of 32 feature maps differ in mean activation at q < .05 (7 at p < .05" in words
    assert "where 1.6 are expected by chance" in words
    assert words.endswith("3 higher in men, 2 higher in women.")
    assert (entropy, chance) == ("Do the maps differ in entropy?", "chance")
    assert "No feature map of 32 differs in entropy" in none
    assert "no difference is shown" in none


def test_scans_of_the_training_are_warned_of() -> None:
    (label, standing, words), (_, mean, _), _ = findings(features_of(fold=0))
    assert (label, standing) == ("Warning", "chance")
    assert "learned by heart" in words
    assert "--fold 1" in words
    assert mean == "weak"
    assert "learned by heart" not in render(features_page(features_of(), {}))


def test_the_tables_of_the_maps_that_differ_most() -> None:
    page = features_page(features_of(), {})
    tables = page.sections[1].items[1].items
    assert [table.caption for table in tables] == list(MEASURES.values())
    first, second, last = tables[0].cells
    assert first == ["17", "0.250", "0.500", "1.500", "men", "1.00×10⁻⁵", "4.00×10⁻⁴"]
    assert second == ["3", "0.750", "0.125", "−1.250", "women", "0.010", "0.040"]
    assert last[4] == "–"
    assert tables[0].highlight == {0, 1}


def test_the_page_holds_all_of_it() -> None:
    tables = {title: table_of([1.0, -1.0]) for title in MEASURES.values()}
    png = feature_contrasts(tables, NAMES, (12, 11))
    html = render(features_page(features_of(), {"contrasts": png}))
    assert html.count("<img") == 1
    for words in (
        "features.relu1",
        "46 scans of 23 participants, held out",
        "23: 12 women, 11 men",
        "several scans of one participant were averaged",
        "fold 1",
        "Welch",
        "Hedges 1981",
        "Benjamini and Hochberg 1995",
        "256 bins",
        "2.13.0",
    ):
        assert words in html
    assert "None" not in html
    assert "<td>all scans</td>" in render(features_page(features_of(fold=0), {}))


def test_names_are_text_and_not_markup() -> None:
    features = features_of(counts={"<b>x</b>": 3, "y & z": 4}, layer="<i>0</i>", fold=0)
    html = render(features_page(features, {}))
    assert "<b>x</b>" not in html
    assert "<i>0</i>" not in html
    assert "y &amp; z" in html


def table_of(g: list[float]) -> pd.DataFrame:
    columns = {f"{what}_{name}": np.ones(len(g)) for what in ("mean", "sd") for name in NAMES}
    return pd.DataFrame({**columns, "g": g, "q": [0.01] * len(g)})


def test_the_figure_numbers_maps_as_the_tables_do(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[str]] = []

    def keep(figure: Any) -> bytes:
        drawn.append([tick.get_text() for tick in figure.axes[0].get_xticklabels()])
        return b""

    monkeypatch.setattr("voxplain.report.figures.charts.features.png_bytes", keep)
    feature_contrasts({"Mean": table_of([0.5, -1.0, 2.0])}, NAMES, (3, 3))
    assert drawn == [["1", "0", "2"]]
    many = np.random.default_rng(0).permutation(60).astype(float)
    feature_contrasts({"Mean": table_of(many.tolist())}, NAMES, (3, 3))
    ordered = [str(i) for i in np.argsort(many)]
    assert drawn[1] == ordered[:24] + ordered[-24:]


def test_the_legend_lies_beside_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(figure: Any) -> bytes:
        figure.draw_without_rendering()
        (legend,) = figure.legends
        assert legend.get_window_extent().y0 >= figure.axes[0].get_window_extent().y1
        assert [text.get_text() for text in legend.get_texts()] == ["women (3)", "men (4)"]
        return b""

    monkeypatch.setattr("voxplain.report.figures.charts.features.png_bytes", check)
    feature_contrasts({"Mean": table_of([0.5, -1.0])}, NAMES, (3, 4))


@pytest.mark.parametrize("counts", [(3, 5), (40, 200)])
def test_an_interval_is_of_95_percent_and_of_its_number_of_participants(
    counts: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[float] = []

    def keep(figure: Any) -> bytes:
        lines = [one for one in figure.axes[0].collections if isinstance(one, LineCollection)]
        drawn.extend(np.diff(one.get_segments()[0][:, 1])[0] / 2 for one in lines)
        return b""

    monkeypatch.setattr("voxplain.report.figures.charts.features.png_bytes", keep)
    feature_contrasts({"Mean": table_of([0.5, -1.0])}, NAMES, counts)
    assert drawn == pytest.approx([stats.t.isf(0.025, n - 1) / n**0.5 for n in counts])


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(InputError, match="at least one measure"):
        feature_contrasts({}, NAMES, (3, 3))
