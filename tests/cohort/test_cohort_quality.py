"""Scans that stand out, planted one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from voxplain.cohort.check.quality import measure_quality
from voxplain.grid import Grid
from voxplain.volume import Cohort

GRID = Grid.covering((-60, -72, -48), (60, 72, 48), (20, 24, 16))


@pytest.fixture
def arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    at = GRID.to_world(np.stack(np.indices(GRID.shape), -1))
    inside = np.linalg.norm(at / [50, 62, 40], axis=-1) < 1
    common = 500 + 2 * at[..., 0] + at[..., 2]
    noise = rng.normal(0, 30, (12, *GRID.shape))
    return [np.where(inside, common * (1 + 0.01 * i % 3) + noise[i], 0) for i in range(12)]


def cohort(arrays: list[np.ndarray], size: np.ndarray | None = None) -> Cohort:
    ids = [f"sub-{i:02d}" for i in range(len(arrays))]
    table = pd.DataFrame({"participant_id": ids, "label": ["a", "b"] * (len(arrays) // 2)})
    if size is not None:
        table["brain_ml"] = size
    return Cohort(table, ("a", "b"), GRID, lambda i: arrays[i].astype(np.float32))


def test_nobody_stands_out_among_equals(arrays: list[np.ndarray]) -> None:
    found = measure_quality(cohort(arrays))
    assert found.outliers == []
    assert (found.table["correlation"] > 0.9).all()
    assert "brain_ml" not in found.table
    np.testing.assert_allclose(found.mean, np.mean(arrays, axis=0), rtol=1e-5)


def test_each_fault_is_named(arrays: list[np.ndarray]) -> None:
    arrays[3] = arrays[3][::-1, :, ::-1].copy()
    arrays[5] = arrays[5] * 1.6
    size = np.linspace(1190, 1240, 12)
    size[7] = 700
    found = measure_quality(cohort(arrays, size))
    told = {i: found.table["outlier"][i] for i in found.outliers}
    assert set(told) == {3, 5, 7}
    assert told[3].startswith("low correlation with the other scans")
    assert told[5].startswith("high mean intensity")
    assert told[7] == "low brain volume (700)"


def test_correlation_is_with_the_others_alone(arrays: list[np.ndarray]) -> None:
    found = measure_quality(cohort(arrays))
    for i in (0, 7):
        others = np.mean([a for j, a in enumerate(arrays) if j != i], axis=0)
        wanted = np.corrcoef(arrays[i].ravel(), others.ravel())[0, 1]
        assert found.table["correlation"][i] == pytest.approx(wanted, abs=1e-6)


def test_histograms_are_densities_of_the_inner_brain(arrays: list[np.ndarray]) -> None:
    found = measure_quality(cohort(arrays))
    shares = (found.histograms * np.diff(found.edges)).sum(axis=1)
    assert ((shares > 0.95) & (shares <= 1 + 1e-9)).all()
    assert found.edges[0] > 200  # the rim, half background, is left out


def test_a_cohort_of_one_intensity_has_all_of_it_in_one_bin(arrays: list[np.ndarray]) -> None:
    found = measure_quality(cohort([np.where(values > 0, 7.0, 0) for values in arrays]))
    assert found.edges[0] < 7 < found.edges[-1]
    shares = found.histograms * np.diff(found.edges)
    np.testing.assert_allclose(shares.max(axis=1), 1)
