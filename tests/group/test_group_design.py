"""Designs: each effect against a fit of the whole model, written out, and each refusal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from voxplain.errors import InputError
from voxplain.group.design import Design, make_design

RNG = np.random.default_rng(3)
N = 24


def _table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "participant_id": [f"{i:02d}" for i in range(N)],
            "label": ["case" if i % 3 else "control" for i in range(N)],
            "age": RNG.normal(50, 9, N).round(1),
            "brain_ml": RNG.normal(1200, 90, N),
            "site": [1, 2, 3, 3] * (N // 4),
            "wave": [1, 2] * (N // 2),
        }
    )


def _t(design: Design, maps: np.ndarray) -> np.ndarray:
    """The t of the contrast, from the normal equations of the whole model."""
    x, c = design.matrix, design.contrast
    inverse = np.linalg.inv(x.T @ x)
    b = inverse @ x.T @ maps
    rss = ((maps - x @ b) ** 2).sum(axis=0)
    return (c @ b) / np.sqrt(rss / (len(x) - x.shape[1]) * (c @ inverse @ c))


@pytest.mark.parametrize(
    ("model", "contrast"),
    [
        ("class", None),
        ("class + age + brain_ml + site", None),
        ("class + age + brain_ml + site", "age"),
        ("site + age", "3 > 1"),
        ("site + age", "2 > 3"),
        ("1", None),
        ("1 + age + site", None),
        ("age + C(wave)", "wave"),
    ],
)
def test_the_regressor_carries_the_t_of_the_whole_model(model: str, contrast: str | None) -> None:
    contrast = "C(wave)" if contrast == "wave" else contrast
    design = make_design(_table(), model, contrast, class_names=("control", "case"))
    maps = RNG.normal(size=(N, 6)).astype(np.float32)
    left = design.residuals(maps)
    r = design.regressor @ left / np.linalg.norm(left, axis=0)
    t = r * np.sqrt(design.df / (1 - r**2))
    assert t == pytest.approx(_t(design, maps.astype(np.float64)))
    assert design.nuisance.T @ design.regressor == pytest.approx(0, abs=1e-12)


def test_plain_designs_are_the_tests_of_textbooks() -> None:
    table, maps = _table(), RNG.normal(size=(N, 4))
    case = (table["label"] == "case").to_numpy()
    two = make_design(table, "class", class_names=("control", "case"))
    assert two.effect == "case - control"
    assert _t(two, maps) == pytest.approx(stats.ttest_ind(maps[case], maps[~case]).statistic)
    one = make_design(table, "1 + age")
    # A centred covariate leaves the mean as it is, and takes its part of the noise.
    assert one.flips
    assert one.effect == "mean"
    assert _t(make_design(table, "1"), maps) == pytest.approx(stats.ttest_1samp(maps, 0).statistic)
    slope = stats.linregress(table["age"], maps[:, 0])
    assert _t(make_design(table, "age"), maps)[0] == pytest.approx(slope.slope / slope.stderr)


def test_columns_of_numbers_and_of_categories() -> None:
    design = make_design(_table(), "class + age + site + C(wave)")
    assert design.titles == (
        "mean", "class: control", "age", "site: 2", "site: 3", "C(wave): 2",
    )  # fmt: skip
    # Without an order of classes, that of the alphabet.
    assert design.effect == "control - case"
    assert make_design(_table(), "wave").titles == ("mean", "wave")
    assert make_design(_table(), "Age").titles == ("mean", "Age")


def test_some_of_the_scans() -> None:
    design = make_design(_table(), "class + age")
    keep = np.arange(N) < 15
    some = design.rows(keep)
    assert some.subjects == design.subjects[:15]
    assert some.df == 12


@pytest.mark.parametrize(
    ("change", "model", "contrast", "said"),
    [
        ({}, "class + + age", None, "empty term"),
        ({}, "class + class", None, "names a term twice"),
        ({}, "class * age", None, "without interactions"),
        ({}, "klass", None, r"Unknown column 'klass'.*Did you mean 'class'\?"),
        ({}, "class + age", "brain_ml", "is no term of the model"),
        ({}, "site", None, r"site has 3 levels \(1, 2, 3\).*'2 > 1'"),
        ({}, "class + site", "1 > case", "must name two levels of one category"),
        ({}, "age", "b > a", "which has: no category"),
        ({"age": [np.nan] * 2 + [30.0] * (N - 2)}, "class + age", None, "no value for 2 of 24"),
        ({"age": [np.inf] + [30.0, 31.0] * 11 + [32.0]}, "age", None, "no finite number for 1"),
        ({"age": [30.0] * N}, "class + age", None, "'age' is 30 for all scans"),
        ({"site": ["a"] * N}, "class + site", None, "'site' is 'a' for all scans"),
        ({"site": ["a"] + ["b"] * (N - 1)}, "class + site", None, "site 'a' has one scan, 00:"),
        ({"site": list("abcdefghijklm") + list("abcdefghijk")}, "class + site", None, "one each"),
        ({"site": [1 + (i % 3 > 0) for i in range(N)]}, "class + site", None, "'site: 2' cannot"),
        ({"brain_ml": np.arange(N) * 2.0, "age": np.arange(N)}, "age + brain_ml", None, "told"),
    ],
)
def test_designs_that_cannot_be_fitted(
    change: dict[str, object], model: str, contrast: str | None, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        make_design(_table().assign(**change), model, contrast)  # type: ignore[arg-type]


def test_too_few_scans_for_the_columns() -> None:
    table = _table().iloc[:4]
    with pytest.raises(InputError, match="leaves 1 degrees of freedom"):
        make_design(table.assign(label=["a", "a", "b", "b"]), "class + age")


def test_designs_made_by_hand() -> None:
    x = np.stack([np.ones(5), np.arange(5.0)], axis=1)
    names = tuple("abcde")
    with pytest.raises(InputError, match="row per scan and a title per column"):
        Design(x, ("mean",), np.array([0.0, 1.0]), "slope", names)
    with pytest.raises(InputError, match="contrast is zero"):
        Design(x, ("mean", "slope"), np.zeros(2), "slope", names)
    with pytest.raises(InputError, match="'slope' of the design holds values that are not finite"):
        Design(np.where(x == 3, np.nan, x), ("mean", "slope"), np.array([0.0, 1.0]), "slope", names)
