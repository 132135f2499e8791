"""The page of a fit and its figures."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from report_results import fit_result, importance, judged, typed_row

from voxplain.errors import InputError
from voxplain.report import figures
from voxplain.report.figures.charts.fit import predicted_numbers
from voxplain.report.html.render import render
from voxplain.report.html.sections import Page
from voxplain.report.pages import fit as pages
from voxplain.report.words import scores
from voxplain.report.words.scores import ScoreRow

ORANGE, BLUE, GREEN = (0.835, 0.369, 0.0), (0.0, 0.447, 0.698), (0.0, 0.62, 0.451)
NAMES = {
    "mrinet": "network",
    "monai:DenseNet121": "network",
    "voxels, linear SVC": "voxels",
    "voxels, PCA and logistic regression": "voxels",
    "table, k-NN (15)": "table",
}


def fit_page(fit: dict[str, Any], pictures: dict[str, bytes]) -> Page:
    return pages.fit_page(fit_result(fit), pictures)


def score_rows(fit: dict[str, Any]) -> list[ScoreRow]:
    return pages.score_rows(fit_result(fit))


def chance_level(fit: dict[str, Any]) -> float | None:
    return scores.chance_level(fit["class_names"], fit.get("class_counts", ()))


def importances(rows: list[dict[str, Any]], **options: int) -> bytes:
    return figures.importances([importance(one) for one in rows], **options)


def calibration_curves(models: dict[str, Any]) -> bytes:
    return figures.calibration_curves({name: judged(one) for name, one in models.items()})


def model_scores(rows: list[Any], *options: Any) -> bytes:
    return figures.model_scores([typed_row(one) for one in rows], *options)


def pixels(png: bytes) -> np.ndarray:
    rgb = imread(io.BytesIO(png))[..., :3]
    assert 500 <= rgb.shape[1] <= 1000
    assert 100 <= rgb.shape[0] <= 1600
    assert 0.01 < (rgb.min(-1) < 0.95).mean() < 0.5
    assert (rgb[:, [0, 1, -2, -1]] == 1).all(), "something is cut off at a side"
    return rgb


def near(png: bytes, colour: tuple[float, float, float]) -> int:
    return int((np.abs(pixels(png) - colour).max(-1) < 0.06).sum())


def score(value: float, half: float = 0.1, folds: int = 5, one_out: bool = False) -> dict[str, Any]:
    interval = [value - half, value + half]
    known = np.linspace(value - half, value + half, folds).tolist()
    return {
        "mean": None if one_out else value,
        "ci": interval,
        "per_fold": [None, float("nan"), 1.0] if one_out else known,
        "folds_ci": None if one_out else interval,
        "pooled": value,
    }


def bins(last: int = 20) -> dict[str, Any]:
    return {
        "confidence": [*[None] * 5, 0.55, None, 0.75, 0.85, 0.95],
        "accuracy": [*[None] * 5, 0.5, None, 0.6, 0.75, 1.0],
        "count": [*[0] * 5, 4, 0, 10, 4, last],
        "error": 0.1,
    }


def fit_of(
    classes: tuple[str, ...] = ("control", "case"),
    value: float = 0.8,
    p: float | None = 0.001,
    one_out: bool = False,
    confound: float = 0.6,
) -> dict[str, Any]:
    """What `voxplain fit` writes into summary.json, as far as the page reads it."""
    folds = 40 if one_out else 5
    measures = ["accuracy", "balanced_accuracy", "roc_auc", "brier"] if classes else ["mae", "r"]
    models: dict[str, Any] = {}
    for name, group in NAMES.items():
        model = {key: score(value, folds=folds, one_out=one_out) for key in measures}
        model |= {"name": name, "permutation": {"of": measures[0], "p": p}}
        if not classes:
            model["r2"] = score(0.5, folds=folds)
        elif "SVC" in name:
            del model["brier"]
        else:
            model["calibration"] = bins()
        if group == "network":
            model |= {"class": "MRINet", "parameters": 322818, "training_seconds": 199.0}
        models[name] = model
    pooled = dict.fromkeys(["accuracy", "mae", "r"], confound)
    return {
        "outcome": "label" if classes else "age",
        "class_names": list(classes),
        "scans": 40,
        "folds": folds,
        "repeats": 1,
        "grouping": "Scans of one family_id stay together.",
        "schedule": "12 epochs of Adam",
        "confounds": {
            "columns": ["brain_ml", "site_id"],
            "alone": {"brain_ml": pooled, "site_id": {"accuracy": 0.123, "mae": 9.0, "r": None}},
            "removed": dict.fromkeys(NAMES, pooled | {"accuracy": 0.717, "r": 0.717}),
            "matched": {"scans": 22, **dict.fromkeys(NAMES, pooled | {"accuracy": 0.654})},
        },
        "importances": [
            {"measure": "lh_hippocampus_volume", "permutation": 0.1, "own": {}},
            {"measure": "etiv", "permutation": None, "own": {}},
        ],
        "models": models,
        "versions": {"voxplain": "0.1.0", "torch": "2.13.0"},
    }


def pictures_of(fit: dict[str, Any]) -> dict[str, bytes]:
    pictures = {
        "scores": model_scores(score_rows(fit), "score", chance_level(fit)),
        "importances": importances(fit["importances"]),
    }
    if fit["class_names"]:
        return pictures | {"calibration": calibration_curves(fit["models"])}
    return pictures | {"predictions:mrinet": predicted_numbers([30, 60], [35, 50], "age", "years")}


@pytest.mark.parametrize("classes", [("control", "case"), ("control", "mci", "ad"), ()])
@pytest.mark.parametrize("one_out", [False, True])
def test_every_kind_of_fit_has_its_figures_and_names_every_model(
    classes: tuple[str, ...], one_out: bool
) -> None:
    fit = fit_of(classes, one_out=one_out)
    pictures = pictures_of(fit)
    for png in pictures.values():
        pixels(png)
    html = render(fit_page(fit, pictures))
    assert html.count("<img") == 3
    for name in NAMES:
        assert f"<td>{name}</td>" in html
    for words in ("322,818 parameters, all trainings 3 min 19 s", fit["grouping"], "2.13.0"):
        assert words in html
    assert ("Are the probabilities right?" in html) == bool(fit["class_names"])
    without_pictures = render(fit_page(fit, {}))
    assert "nan" not in without_pictures.lower()
    assert "None" not in without_pictures


def test_groups_and_folds_of_the_rows() -> None:
    rows = {row.label: row for row in score_rows(fit_of())}
    assert rows["mrinet"].group == "network"
    assert rows["PCA and logistic regression"].group == "voxels"
    assert rows["k-NN (15)"].group == "table"
    assert rows["brain volume"] == ScoreRow("brain volume", "confound", 0.6)
    assert len(rows["mrinet"].per_fold) == 5
    for one_out in (fit_of(one_out=True), fit_of((), one_out=True)):
        (row,) = (row for row in score_rows(one_out) if row.label == "mrinet")
        assert row.value == 0.8
        assert len(row.per_fold) == 0


def test_folds_chance_and_ceiling_are_drawn() -> None:
    row = {"label": "a", "group": "network", "value": 0.7, "ci": [0.6, 0.8], "per_fold": []}
    plain = model_scores([row], "accuracy")
    dots = model_scores([row | {"per_fold": [0.65, None, float("nan"), 0.65]}], "accuracy")
    assert dots != plain
    assert model_scores([row | {"per_fold": [None]}], "accuracy") == plain
    assert near(plain, GREEN) == 0
    assert near(model_scores([row], "accuracy", 0.5, 0.9), GREEN) > 100
    assert near(plain, ORANGE) == 0
    alone = {"label": "age", "group": "confound", "value": 0.6}
    assert near(model_scores([alone, row], "accuracy", 0.5), ORANGE) > 30
    assert model_scores([alone, row], "accuracy") == model_scores([row, alone], "accuracy")


def test_what_has_no_score_is_named_all_the_same() -> None:
    row = {"label": "a", "group": "network", "value": 0.7, "ci": [None, None]}
    gone = {"label": "b", "group": "another", "value": None, "ci": None, "per_fold": None}
    assert len(pixels(model_scores([row, gone], "a"))) > len(pixels(model_scores([row], "a")))
    with pytest.raises(InputError, match="at least one model with a score"):
        model_scores([gone], "accuracy")


def test_many_folds_of_few_values_stay_in_their_row() -> None:
    row = {"label": "a", "group": "network", "value": 0.7, "ci": [0.6, 0.8]}
    plain = pixels(model_scores([row, row], "accuracy"))
    many = pixels(model_scores([row | {"per_fold": [0.65] * 100}, row], "accuracy"))
    changed = np.nonzero((plain != many).any((1, 2)))[0]
    assert 10 < np.ptp(changed) < 30, "more than half of a row of this figure"


def test_calibration_leaves_out_models_without_probabilities() -> None:
    models = fit_of()["models"]
    likely = {name: model for name, model in models.items() if "SVC" not in name}
    assert calibration_curves(models) == calibration_curves(likely)
    one, other = ({"mrinet": models["mrinet"] | {"calibration": bins(last)}} for last in (20, 2))
    assert calibration_curves(one) != calibration_curves(other)
    with pytest.raises(InputError, match="needs a model with probabilities"):
        calibration_curves({"voxels, linear SVC": models["voxels, linear SVC"]})


def test_importances_keep_their_order_and_their_sign() -> None:
    rows = [{"measure": f"m{i}", "permutation": 0.1 - 0.01 * i} for i in range(20)]
    assert importances(rows) == importances(rows[:15])
    assert importances(rows, top=3) == importances(rows[:3])
    noise = importances([{"measure": "a_b", "permutation": -0.1}, rows[0] | {"measure": "c" * 90}])
    assert near(noise, BLUE) > 1000
    assert near(importances([{"measure": "a", "permutation": -0.1}]), BLUE) == 0
    with pytest.raises(InputError, match="none has a number"):
        importances(
            [{"measure": "a", "permutation": None}, {"measure": "b", "permutation": np.nan}]
        )


def test_predicted_numbers_are_checked() -> None:
    pixels(predicted_numbers(np.linspace(20, 80, 50), np.full(50, 45.0), "age"))
    for truth, predicted in (([1, 2], [1]), ([], []), ([1, np.nan], [1, 2])):
        with pytest.raises(InputError, match="two finite lists of one length"):
            predicted_numbers(truth, predicted, "age")


def test_chance_is_the_share_of_the_largest_class_where_it_is_known() -> None:
    assert chance_level(fit_of()) == 0.5
    assert chance_level(fit_of(("a", "b", "c"))) == pytest.approx(1 / 3)
    assert chance_level(fit_of() | {"class_counts": [30, 10]}) == 0.75
    assert chance_level(fit_of(())) is None


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        (fit_of(), "better than chance"),
        (fit_of(p=0.2), "cannot be distinguished from chance"),
        (fit_of(p=None), "cannot be distinguished from chance"),
        (fit_of(value=0.55), "does not lie above 0.5"),
        (fit_of() | {"class_counts": [30, 10]}, "does not lie above 0.75"),
        (fit_of(()), "better than chance"),
    ],
)
def test_the_verdict_on_chance(fit: dict[str, Any], words: str) -> None:
    said = [f.sentence for f in fit_page(fit, {}).sections[0].items[0].findings]
    assert len(said) == 2
    assert words in said[0]


def test_numbers_that_the_mean_predicts_as_well() -> None:
    fit = fit_of((), 4.0)
    fit["models"]["mrinet"]["r2"] = score(-0.2)
    first, second = fit_page(fit, {}).sections[0].items[0].findings
    assert first.standing == "weak"
    assert "R² is −0.200 (−0.300 to −0.100), where predicting the mean gives 0" in first.sentence
    assert second.standing == "good"


@pytest.mark.parametrize(
    ("fit", "warned"),
    [
        (fit_of(value=0.8, confound=0.65), False),
        (fit_of(value=0.8, confound=0.75), True),
        (fit_of(value=0.8, confound=0.95), True),
        (fit_of((), value=4.0, confound=5.0), False),
        (fit_of((), value=4.0, confound=4.05), True),
        (fit_of((), value=4.0, confound=3.0), True),
    ],
)
def test_the_warning_of_confounds_comes_and_goes(fit: dict[str, Any], warned: bool) -> None:
    html = render(fit_page(fit, {}))
    assert ("mrinet does not beat confounds alone" in html) == warned
    assert ("mrinet beats confounds alone" in html) == (not warned)
    assert "What brain volume and site do alone" in html
    at_chance = render(fit_page(fit_of(value=0.6, p=0.3, confound=0.4), {}))
    assert "nothing to compare" in at_chance
    assert "beats confounds alone" not in at_chance


def test_the_table_of_confounds() -> None:
    html = render(fit_page(fit_of(), {}))
    assert html.count("<td>0.717</td>") == len(NAMES)
    assert html.count("<td>0.654</td>") == len(NAMES)
    assert "22 of matched size" in html
    fit = fit_of(())
    fit["confounds"]["matched"] = {"scans": 0}
    assert "none of matched size" in render(fit_page(fit, {}))
    del fit["confounds"]["matched"]
    html = render(fit_page(fit, {}))
    assert "Pooled held-out predictions: r<" in html
    assert "of matched size<" not in html


def test_a_fit_without_confounds_says_that_they_were_not_examined() -> None:
    fit = fit_of() | {"confounds": {}}
    page = fit_page(fit, {})
    assert [section.anchor for section in page.sections] == ["scores", "confounds", "methods"]
    html = render(page)
    assert "What confounds do alone" in html
    assert "Not examined" in html
    assert "beat confounds" not in html
    pixels(model_scores(score_rows(fit), "accuracy", 0.5))


def test_intervals_that_json_lost_are_left_out() -> None:
    fit = fit_of()
    fit["models"]["mrinet"]["accuracy"]["ci"] = [None, None]
    fit["models"]["mrinet"]["roc_auc"] |= {"mean": None, "pooled": None, "folds_ci": None}
    html = render(fit_page(fit, {}))
    assert "The accuracy of mrinet is 0.800; chance" in html
    assert "does not beat confounds alone" in html
    assert "None" not in html


@pytest.mark.parametrize(
    ("folds", "repeats", "few"), [(2, 1, True), (4, 1, True), (5, 1, False), (2, 3, False)]
)
def test_too_few_folds_are_warned_of(folds: int, repeats: int, few: bool) -> None:
    html = render(fit_page(fit_of() | {"folds": folds, "repeats": repeats}, {}))
    assert (f"There are too few folds, {folds}, to know how much they differ" in html) == few


def test_a_network_that_failed_is_named_with_the_reason() -> None:
    fit = fit_of() | {"failed": {"resnet10": "The loss is no longer <finite> in epoch 3."}}
    fit["models"]["mrinet"]["arithmetic"] = {"words": "bfloat16; in float32 1 layer (a)"}
    page = fit_page(fit, {})
    *others, last = page.sections[0].items[0].findings
    assert [f.standing for f in others] == ["good", "good"]
    assert last.standing == "chance"
    assert last.sentence.startswith("The loss is no longer <finite> in epoch 3.")
    html = render(page)
    assert "resnet10, failed" in html
    assert "no longer &lt;finite&gt; in epoch 3" in html
    assert "arithmetic of mrinet" in html
    assert "in float32 1 layer (a)" in html
