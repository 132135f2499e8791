"""Baselines and confounds, against scikit-learn on flattened voxels and explicit regressions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fit_cohorts import classes, make_cohort, numbers
from sklearn.decomposition import PCA
from sklearn.svm import SVC

from voxplain.errors import InputError
from voxplain.fit import Fold, make_folds, outcome_of, voxels
from voxplain.fit.confounds import confound_columns, confounds_alone, design, residual_outputs
from voxplain.fit.morphometry import Features, fit_table, ranked, read_features, table_models
from voxplain.fit.voxels import Products, inner_products, voxel_models
from voxplain.pipeline.fit.baselines import features_of
from voxplain.pipeline.fit.setting import Setting

VOXEL_MODELS = voxel_models(classes=True)


@pytest.fixture
def setting() -> tuple[np.ndarray, Products, list[Fold]]:
    cohort = make_cohort(30, signal=0.5)
    flat = cohort.stack(range(30)).reshape(30, -1).astype(np.float64)
    return flat, inner_products(cohort), make_folds(outcome_of(cohort), 3)


def test_products_of_blocks_are_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = make_cohort(11)
    flat = cohort.stack(range(11)).reshape(11, -1).astype(np.float64)
    seen: list[int] = []
    monkeypatch.setattr(voxels, "_BLOCK_BYTES", 4 * 504 * 4)
    made = inner_products(cohort, seen.append)
    np.testing.assert_allclose(made.values, flat @ flat.T, rtol=1e-5)
    assert seen[-1] == 121
    assert seen[0] == 4 * 4
    alone: list[int] = []
    monkeypatch.setattr(voxels, "_BLOCK_BYTES", 1)
    np.testing.assert_allclose(inner_products(cohort, alone.append).values, made.values, rtol=1e-5)
    assert alone[0] == 1


def test_scans_that_are_all_alike_have_no_size_to_scale_by() -> None:
    alike = Products(np.full((4, 4), 9.0))
    np.testing.assert_array_equal(alike.centred(np.array([0, 1, 2])), np.zeros((4, 4)))
    faint = Products(np.diag([0.1, 0.2, 0.3, 0.4]))
    centred = faint.centred(np.arange(4))
    assert np.trace(centred) == pytest.approx(4)


def test_the_linear_machine_is_that_of_scikit_learn(setting) -> None:
    flat, products, folds = setting
    outcome = classes(*([0, 1] * 15))
    for fold in folds:
        centred = flat - flat[fold.train].mean(axis=0)
        centred /= np.sqrt((centred[fold.train] ** 2).sum(axis=1).mean())
        wanted = SVC(kernel="linear").fit(centred[fold.train], outcome.values[fold.train])
        made = VOXEL_MODELS["voxels, linear SVC"](products, outcome, fold, None)
        margin = wanted.decision_function(centred[fold.test])
        np.testing.assert_allclose(made[:, 1] - made[:, 0], margin, atol=1e-3)


def test_the_radial_machine_is_that_of_scikit_learn(setting) -> None:
    """Its width is the median distance between two of the training part."""
    flat, products, folds = setting
    outcome = classes(*([0, 1] * 15))
    for fold in folds:
        own = flat[fold.train]
        square = [((a - b) ** 2).sum() for i, a in enumerate(own) for b in own[:i]]
        wanted = SVC(kernel="rbf", gamma=1 / np.median(square)).fit(own, outcome.values[fold.train])
        made = VOXEL_MODELS["voxels, RBF SVC"](products, outcome, fold, None)
        margin = wanted.decision_function(flat[fold.test])
        np.testing.assert_allclose(made[:, 1] - made[:, 0], margin, atol=1e-3)


@pytest.mark.parametrize(("signal", "chosen"), [(0.0, 0.001), (0.7, 1.0), (6.0, 1000.0)])
def test_the_penalty_on_components_is_chosen_inside_the_training_part(
    signal: float, chosen: float
) -> None:
    """The least log loss of five inner folds, of seven penalties from a thousandth to a thousand.

    Without a signal the strongest penalty is best, with a clear one the weakest.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold

    cohort = make_cohort(60, signal=signal, seed=1)
    outcome = outcome_of(cohort)
    flat = cohort.stack(range(60)).reshape(60, -1).astype(np.float64)
    fold = make_folds(outcome, 3)[0]
    truth = outcome.values[fold.train]
    size = np.sqrt(((flat[fold.train] - flat[fold.train].mean(0)) ** 2).sum(1).mean())
    pca = PCA(0.95, svd_solver="full").fit(flat[fold.train] / size)
    learn, test = pca.transform(flat[fold.train] / size), pca.transform(flat[fold.test] / size)
    parts = list(StratifiedKFold(5, shuffle=True, random_state=0).split(learn, truth))

    def model(c: float) -> LogisticRegression:
        return LogisticRegression(C=c, max_iter=5000)

    def loss(c: float) -> float:
        each = [
            log_loss(truth[b], model(c).fit(learn[a], truth[a]).predict_proba(learn[b]))
            for a, b in parts
        ]
        return float(np.mean(each))

    best = min((10.0**power for power in range(-3, 4)), key=loss)
    assert best == chosen
    margin = model(best).fit(learn, truth).decision_function(test)
    made = VOXEL_MODELS["voxels, PCA and logistic regression"](
        inner_products(cohort), outcome, fold, None
    )
    np.testing.assert_allclose(made[:, 1] - made[:, 0], margin, rtol=0.01, atol=2e-3)


def test_components_are_those_of_scikit_learn(setting) -> None:
    """The model sees scores only; any rotation of them gives the same predictions."""
    from sklearn.linear_model import LogisticRegression

    flat, products, folds = setting
    outcome = classes(*([0, 1] * 15))
    fold = folds[0]
    made = VOXEL_MODELS["voxels, PCA and logistic regression"](products, outcome, fold, None)
    size = np.sqrt(((flat[fold.train] - flat[fold.train].mean(0)) ** 2).sum(1).mean())
    pca = PCA(0.95, svd_solver="full").fit(flat[fold.train] / size)
    learn, test = pca.transform(flat[fold.train] / size), pca.transform(flat[fold.test] / size)
    margins = [
        LogisticRegression(C=c, max_iter=5000).fit(learn, outcome.values[fold.train])
        .decision_function(test)
        for c in np.logspace(-3, 3, 7)
    ]  # fmt: skip
    nearest = min(float(np.abs(made[:, 1] - made[:, 0] - m).max()) for m in margins)
    assert nearest < 1e-2


def test_products_without_a_confound_are_those_of_the_voxels_without_it(setting) -> None:
    flat, products, folds = setting
    confound = np.random.default_rng(0).normal(size=(30, 2))
    train = folds[0].train
    x = np.column_stack([np.ones(30), confound])
    slopes = np.linalg.lstsq(x[train], flat[train], rcond=None)[0]
    residual = flat - x @ slopes
    made = products.without(confound, train).values
    np.testing.assert_allclose(made, residual @ residual.T, atol=1e-3)


@pytest.mark.parametrize("name", VOXEL_MODELS)
def test_every_model_on_voxels_learns(name: str) -> None:
    cohort = make_cohort(40, signal=4)
    products = inner_products(cohort)
    outcome, age = outcome_of(cohort), outcome_of(cohort, "age")
    groups = np.arange(40) // 2
    for fold in make_folds(outcome, 4, groups=groups):
        made = VOXEL_MODELS[name](products, outcome, fold, groups)
        assert (made.argmax(axis=1) == outcome.values[fold.test]).mean() > 0.8
        predicted = VOXEL_MODELS[name](products, age, fold, groups)
        assert predicted.shape == (len(fold.test), 1)
        assert np.corrcoef(predicted[:, 0], age.values[fold.test])[0, 1] > 0.7


def test_nobody_who_is_held_out_is_seen(setting) -> None:
    """The truth of held-out scans may be anything without changing a prediction."""
    _, products, folds = setting
    for name, model in VOXEL_MODELS.items():
        values = np.array([0, 1] * 15)
        before = model(products, classes(*values), folds[0], None)
        values[folds[0].test] = 1 - values[folds[0].test]
        np.testing.assert_array_equal(
            before, model(products, classes(*values), folds[0], None), name
        )


def measured(n: int = 40) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    values = np.arange(n) % 2
    table = pd.DataFrame(
        {
            "FS_A": (values * 3 + rng.normal(size=n)).astype(str),
            "FS_B": rng.normal(size=n).astype(str),
            "Release": np.where(np.arange(n) < 9, "S500", "S900"),
            "Gender": np.where(values == 1, "M", "F"),
            "Same": "7",
        }
    )
    table.loc[3, "FS_B"] = "n/a"
    return table, values


class TestTables:
    def test_what_is_read(self) -> None:
        table, values = measured()
        found = read_features(table, classes(*values, names=("F", "M")))
        assert found.names == ("FS_A", "FS_B", "Release=S500", "Release=S900")
        assert np.isnan(found.values[3, 1])
        assert found.values[:, 2].sum() == 9
        assert found.notes == (
            "Left out, they hold the outcome itself: Gender.",
            "One column for each word: Release.",
        )

    @pytest.mark.parametrize(
        ("column", "message"),
        [
            (["inf"] + ["1"] * 39, "Column 'X' holds infinite values"),
            ([f"w{i}" for i in range(40)], "Column 'X' holds words, such as 'w0', of 40 kinds"),
        ],
    )
    def test_columns_that_cannot_be(self, column: list[str], message: str) -> None:
        table, values = measured()
        with pytest.raises(InputError, match=message):
            read_features(table.assign(X=column), classes(*values))
        with pytest.raises(InputError, match="no measure that varies"):
            read_features(table[["Gender", "Same"]], classes(*values))

    def test_numbers_as_people_write_them(self) -> None:
        table, values = measured()
        commas = table.assign(FS_A=table["FS_A"].str.replace(".", ","), FS_B="unknown")
        found = read_features(commas, classes(*values, names=("F", "M")))
        plain = read_features(table, classes(*values, names=("F", "M")))
        np.testing.assert_allclose(found.values[:, 0], plain.values[:, 0])
        assert "FS_B" not in found.names
        mixed = table.assign(FS_B=["1,234", *table["FS_B"][1:]])
        with pytest.raises(InputError, match=r"Column 'FS_B' holds numbers, but for '1,234'"):
            read_features(mixed, classes(*values))

    def test_a_row_for_each_session(self, tmp_path: Path) -> None:
        """Each scan gets its own session's row, or its participant's where there is but one."""
        cohort = make_cohort(6)
        people = cohort.participants.assign(
            participant_id=["sub-OAS10001", "sub-OAS10001", *[f"sub-1{i}" for i in range(4)]],
            session_id=["ses-1", "ses-2", *[""] * 4],
        ).assign(source_id=["OAS1_0001", "OAS1_0001", "10", "11", "12", "1_3"])
        setting = Setting(
            replace(cohort, participants=people), outcome_of(cohort), [], None, seed=0
        )
        path = tmp_path / "t.csv"
        path.write_text("id,m\nOAS1_0001_ses-02,2\nOAS1_0001_ses-01,1\n12,5\n11,4\n10,3\n1_3,6\n")
        assert features_of(path, setting).values[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
        path.write_text("id,m\nOAS1_0001,1\n12,5\n11,4\n10,3\n13,6\n")
        with pytest.raises(InputError, match=r"no row for 1 of 5 .*1_3 of the scans and 13 of the"):
            features_of(path, setting)

    @pytest.mark.parametrize("name", table_models(classes=True))
    def test_models_find_the_measure_that_tells(self, name: str) -> None:
        table, values = measured(80)
        outcome = classes(*values)
        features = read_features(table, outcome)
        folds = make_folds(outcome, 4)
        made = fit_table(table_models(classes=True)[name], features, outcome, folds)
        right = np.concatenate([o.argmax(1) for o in made.outputs])
        truth = np.concatenate([values[f.test] for f in folds])
        assert (right == truth).mean() > 0.8
        assert ranked(features, {name: made})[0].measure == "FS_A"
        assert (made.own is not None) == (name == "XGBoost")

    def test_nothing_is_fitted_on_held_out_rows(self) -> None:
        """What the other held-out rows hold changes no prediction: scaling is fitted inside."""
        table, values = measured()
        outcome, fold = classes(*values), make_folds(classes(*values), 4)[0]
        features = read_features(table, outcome)
        wild = features.values.copy()
        wild[fold.test[1:]] *= 1e6
        for name, make in table_models(classes=True).items():
            a, b = (
                fit_table(make, Features(features.names, v), outcome, [fold]).outputs[0][0]
                for v in (features.values, wild)
            )
            np.testing.assert_array_equal(a, b, name)

    @pytest.mark.parametrize("name", table_models(classes=False))
    def test_numbers(self, name: str) -> None:
        rng = np.random.default_rng(1)
        age = rng.uniform(20, 80, 80)
        features = Features(
            ("a", "b"), np.stack([age + rng.normal(0, 5, 80), rng.normal(size=80)], 1)
        )
        outcome = numbers(age)
        made = fit_table(
            table_models(classes=False)[name], features, outcome, make_folds(outcome, 4)
        )
        assert made.permutation[0] > made.permutation[1]

    @pytest.mark.parametrize(("noise", "chosen"), [(0.01, 0.001), (3.0, 1.0), (1e4, 1000.0)])
    def test_the_penalty_of_a_ridge_is_chosen_one_scan_left_out(
        self, noise: float, chosen: float
    ) -> None:
        """Of thirteen penalties, two a decade from a thousandth to a thousand, scan by scan."""
        from sklearn.linear_model import Ridge
        from sklearn.preprocessing import StandardScaler

        rng = np.random.default_rng(5)
        values = rng.normal(size=(24, 6))
        age = values @ rng.normal(size=6) + noise * rng.normal(size=24)
        fold = make_folds(numbers(age), 3)[0]
        scale = StandardScaler().fit(values[fold.train])
        x, y, n = scale.transform(values[fold.train]), age[fold.train], len(fold.train)

        def error(penalty: float) -> float:
            kept = [np.arange(n) != i for i in range(n)]
            told = [Ridge(penalty).fit(x[k], y[k]).predict(x[~k])[0] for k in kept]
            return float(((np.array(told) - y) ** 2).mean())

        best = min((10.0 ** (step / 2) for step in range(-6, 7)), key=error)
        assert best == chosen
        expected = Ridge(best).fit(x, y).predict(scale.transform(values[fold.test]))
        features = Features(tuple("abcdef"), values)
        made = fit_table(table_models(classes=False)["ridge regression"], features, numbers(age),
                         [fold]).outputs[0]  # fmt: skip
        np.testing.assert_allclose(made[:, 0], expected, rtol=1e-6)

    def test_too_few_scans_for_neighbours(self) -> None:
        features = Features(("a",), np.arange(12.0)[:, None])
        outcome = classes(*([0, 1] * 6))
        with pytest.raises(InputError, match=r"cannot be fitted on 8 scans: .*n_neighbors"):
            fit_table(
                table_models(classes=True)["k-NN (15)"], features, outcome, make_folds(outcome, 3)
            )


class TestConfounds:
    def test_columns(self) -> None:
        table = pd.DataFrame({"brain_ml": [1, 2], "Age": [3, 4], "site": ["a", "a"], "iq": [1, 2]})
        assert confound_columns(table, classes(0, 1)) == ["brain_ml", "Age"]
        assert confound_columns(table, classes(0, 1), ["IQ"]) == ["iq"]
        with pytest.raises(InputError, match="no column 'height' to control for"):
            confound_columns(table, classes(0, 1), ["height"])

    def test_the_column_that_is_called_just_so_comes_first(self) -> None:
        table = pd.DataFrame({"age": [1, 2], "Age": [3, 3], "AGE": [5, 6]})
        assert confound_columns(table, classes(0, 1)) == ["age"]
        assert confound_columns(table, classes(0, 1), ["AGE"]) == ["AGE"]

    def test_a_site_with_a_number_is_a_group(self) -> None:
        train = np.arange(6)
        for site in ([1, 2, 3] * 2, ["1", "2", "3"] * 2, ["a", "A ", "unknown"] * 2):
            made = design(pd.Series(site, name="site"), train)
            assert made.shape == (6, len({str(s).strip().lower() for s in site}))

    def test_design_of_words_gaps_and_numbers(self) -> None:
        train = np.array([0, 1, 2])
        made = design(pd.Series([1.0, 2.0, 3.0, np.nan]), train)
        np.testing.assert_allclose(made[:, 0], np.array([-1, 0, 1, 0]) / np.std([1, 2, 3]))
        assert design(pd.Series(["a", "b", "a", "c"]), train).shape == (4, 3)

    def test_size_alone(self) -> None:
        rng = np.random.default_rng(0)
        values = np.arange(60) % 2
        table = pd.DataFrame({"brain_ml": 1100 + 200 * values + rng.normal(0, 30, 60)})
        outcome = classes(*values)
        folds = make_folds(outcome, 5)
        made = confounds_alone(table, outcome, folds)
        right = np.concatenate(
            [o.argmax(1) == values[f.test] for o, f in zip(made, folds, strict=True)]
        )
        assert right.mean() > 0.95

    def test_outputs_without_a_confound(self) -> None:
        """An output that is the confound and nothing else is nothing without it."""
        rng = np.random.default_rng(0)
        size = rng.normal(size=60)
        outcome = classes(*([0, 1] * 30))
        folds = make_folds(outcome, 5)
        outputs = [np.stack([-2 * size[f.test] - 1, 3 * size[f.test] + 2], axis=1) for f in folds]
        for left in residual_outputs(outputs, folds, size[:, None]):
            assert np.ptp(left, axis=0) == pytest.approx(0, abs=1e-9)
            np.testing.assert_allclose(left.mean(axis=0), [-1, 2], atol=1)
        other = rng.normal(size=60)
        outputs = [np.stack([-o, o], axis=1) for o in (size[f.test] + other[f.test] for f in folds)]
        left = np.concatenate([o[:, 1] for o in residual_outputs(outputs, folds, size[:, None])])
        rows = np.concatenate([f.test for f in folds])
        assert np.corrcoef(left, other[rows])[0, 1] > 0.97
