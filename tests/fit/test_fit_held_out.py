"""Nothing that is fitted has seen the scans that it is judged on, against scikit-learn's own way.

Each value is worked out a second time with the fit on the training part alone, on data where a fit
on all scans, or on the wrong ones, gives another.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fit_cohorts import classes, numbers
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from voxplain.fit import Fold, Outcome, make_folds
from voxplain.fit.confounds import confounds_alone, design, residual_outputs
from voxplain.fit.morphometry import Features, TableFit, fit_table, ranked

COUNT = 36


def skewed(gaps: bool = True) -> np.ndarray:
    """Sizes with gaps, of which a part of the scans has others than the rest."""
    values = np.random.default_rng(5).normal(1200, 100, COUNT) + 900 * (np.arange(COUNT) % 3 == 0)
    values[::5] = np.nan if gaps else values[::5]
    return values


def a_third(repeat: int = 1) -> list[Fold]:
    """Folds that hold out what is unlike the rest, one after the other."""
    everyone = np.arange(COUNT)
    order = everyone if repeat == 1 else np.roll(everyone, 1)
    tests = [np.sort(order[everyone % 3 == k]) for k in range(3)]
    return [
        Fold(repeat, k, np.setdiff1d(everyone, test), test) for k, test in enumerate(tests, start=1)
    ]


@pytest.mark.parametrize("fold", a_third(), ids=lambda fold: f"fold {fold.number}")
def test_gaps_are_filled_and_numbers_scaled_by_the_training_part(fold: Fold) -> None:
    values = skewed()[:, None]
    known = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    expected = known.fit(values[fold.train]).transform(values)
    made = design(pd.Series(values[:, 0], name="brain_ml"), fold.train)
    np.testing.assert_allclose(made, expected, rtol=1e-9)
    everyone = design(pd.Series(values[:, 0], name="brain_ml"), np.arange(COUNT))
    assert np.abs(made - everyone).max() > 0.1


def test_what_does_not_vary_in_the_training_part_is_not_scaled() -> None:
    made = design(pd.Series([5.0, 5.0, 5.0, 8.0], name="age"), np.array([0, 1, 2]))
    np.testing.assert_array_equal(made[:, 0], [0, 0, 0, 3])


def test_words_are_scaled_by_the_training_part() -> None:
    words = pd.Series(["a", "a", "b", "b", "b", "a"] * 6, name="site")
    train = np.arange(0, COUNT, 2)
    is_b = (words == "b").to_numpy().astype(float)
    made = design(words, train)
    np.testing.assert_allclose(made[:, 1], (is_b - is_b[train].mean()) / is_b[train].std())
    np.testing.assert_allclose(made[:, 0], -made[:, 1])


def test_confounds_alone_are_learnt_on_the_training_part() -> None:
    """The penalty of a logistic regression feels the scale, so that a leak shows in every digit."""
    table = pd.DataFrame({"brain_ml": skewed(), "age": skewed(gaps=False)[::-1] / 30})
    labels = np.arange(COUNT) % 2
    made = confounds_alone(table, classes(*labels), a_third())
    for fold, told in zip(a_third(), made, strict=True):
        model = make_pipeline(
            SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(max_iter=1000)
        )
        model.fit(table.to_numpy()[fold.train], labels[fold.train])
        expected = model.predict_log_proba(table.to_numpy()[fold.test])
        np.testing.assert_allclose(told, expected, rtol=1e-5)


def test_numbers_are_predicted_from_confounds_by_the_training_part() -> None:
    size = skewed()
    age = np.random.default_rng(1).uniform(20, 80, COUNT)
    made = confounds_alone(pd.DataFrame({"brain_ml": size}), numbers(age), a_third())
    for fold, told in zip(a_third(), made, strict=True):
        model = make_pipeline(SimpleImputer(strategy="median"), LinearRegression())
        model.fit(size[fold.train, None], age[fold.train])
        np.testing.assert_allclose(told[:, 0], model.predict(size[fold.test, None]), rtol=1e-9)


def test_outputs_lose_what_the_other_folds_of_their_repeat_owe_to_a_confound() -> None:
    """Each fold's and each repeat's network owes the confound something else."""
    rng = np.random.default_rng(2)
    confounds = np.column_stack([skewed(gaps=False) / 300, rng.normal(size=COUNT)])
    folds = [*a_third(1), *a_third(2)]
    outputs = [
        confounds[f.test] @ rng.normal(size=(2, 2)) + rng.normal(size=(len(f.test), 2))
        for f in folds
    ]
    made = residual_outputs(outputs, folds, confounds)
    for i, fold in enumerate(folds):
        mates = [j for j in range(6) if folds[j].repeat == fold.repeat and j != i]
        rows = np.concatenate([folds[j].test for j in mates])
        model = LinearRegression().fit(confounds[rows], np.concatenate([outputs[j] for j in mates]))
        owed = model.predict(confounds[fold.test]) - model.predict(confounds[rows]).mean(axis=0)
        np.testing.assert_allclose(made[i], outputs[i] - owed, rtol=1e-9, atol=1e-9)


class FirstMeasure(ClassifierMixin, BaseEstimator):
    """Says class 1 where the first measure is above .5, whatever it was fitted on."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> FirstMeasure:
        self.classes_ = np.array([0, 1])
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        return (x[:, 0] > 0.5).astype(int)

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        return x[:, 0] - 0.5


def shares_lost(part: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy of a measure less what any order of its values gives on average."""
    said = part > 0.5
    right = np.mean(said == labels)
    by_chance = said.mean() * labels.mean() + (1 - said.mean()) * (1 - labels.mean())
    return float(right - by_chance)


def test_importance_is_what_shuffling_costs_the_held_out_part() -> None:
    """The measure tells all of the training scans, and half of those held out."""
    labels = np.arange(400) % 2
    test = np.arange(300, 400)
    tells = np.where((np.arange(400) >= 300) & (np.arange(400) % 4 < 2), 1 - labels, labels)
    values = np.column_stack([tells.astype(float), labels.astype(float)])
    fold = Fold(1, 1, np.arange(300), test)
    made = fit_table(FirstMeasure, Features(("a", "b"), values), classes(*labels), [fold])
    expected = shares_lost(values[test, 0], labels[test])
    assert made.permutation[0] == pytest.approx(expected, abs=0.06)
    assert shares_lost(values[:300, 0], labels[:300]) > expected + 0.3
    assert made.permutation[1] == 0


class Weighed(FirstMeasure):
    """Has importances of its own: the means of the measures that it was fitted on."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> Weighed:
        super().fit(x, y)
        self.feature_importances_ = x.mean(axis=0)
        return self


def test_a_model_s_own_importance_is_the_mean_over_folds() -> None:
    values = np.random.default_rng(0).uniform(size=(30, 3))
    folds = make_folds(classes(*(np.arange(30) % 2)), 5)
    features = Features(("a", "b", "c"), values)
    made = fit_table(Weighed, features, classes(*(np.arange(30) % 2)), folds)
    expected = [np.mean([values[f.train, k].mean() for f in folds]) for k in range(3)]
    assert made.own == pytest.approx(expected)
    assert made.permutation.shape == (3,)


def test_folds_of_all_repeats_are_those_of_each() -> None:
    outcome = Outcome("label", np.arange(30) % 2, ("control", "case"))
    twice = make_folds(outcome, 3, repeats=2, seed=4)
    assert [fold.test.tolist() for fold in twice[:3]] == [
        fold.test.tolist() for fold in make_folds(outcome, 3, seed=4)
    ]
    assert [fold.test.tolist() for fold in twice[3:]] == [
        fold.test.tolist() for fold in make_folds(outcome, 3, seed=5)
    ]


def test_measures_are_ranked_by_their_mean_over_models() -> None:
    losses = {"one": [0.1, 0.0, 0.3], "other": [0.5, 0.2, 0.1]}
    fits = {name: TableFit([], np.array(loss), None) for name, loss in losses.items()}
    told = ranked(Features(("a", "b", "c"), np.zeros((1, 3))), fits)
    assert [one.measure for one in told] == ["a", "c", "b"]
    assert [one.permutation for one in told] == pytest.approx([0.3, 0.2, 0.1])
