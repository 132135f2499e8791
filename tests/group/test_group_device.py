"""The null of single voxels in torch: as a loop of least squares in float64 finds it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from voxplain.errors import InputError
from voxplain.group.blocks import Arrangements, read_blocks
from voxplain.group.design import make_design
from voxplain.group.permutation import Residuals, null_maxima
from voxplain.pipeline.group.null.device import null_in_torch, null_on

SCANS, VOXELS = 24, 5_000


def _given(model: str) -> tuple[Residuals, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "participant_id": [str(i) for i in range(SCANS)],
            "label": ["a", "b"] * (SCANS // 2),
            "age": rng.normal(size=SCANS),
            "size": rng.normal(size=SCANS),
        }
    )
    maps = rng.normal(size=(SCANS, VOXELS)).astype(np.float32)
    maps[:, 7] = 0
    design = make_design(table, model)
    rows, _ = Arrangements(design, read_blocks(table, "none")[0]).rows(30, seed=1)
    return Residuals.of(maps, design), rows, maps


@pytest.mark.parametrize("model", ["label", "label + age + size"])
def test_torch_finds_the_t_of_each_arrangement(model: str) -> None:
    residuals, rows, _ = _given(model)
    values = np.concatenate(residuals.pieces).astype(np.float64)
    done: list[int] = []
    maxima, surpassed = null_in_torch(residuals, rows, torch.device("cpu"), done.append)

    observed = np.abs(residuals.correlation)
    every = []
    for regressor, *nuisance in rows.astype(np.float64):
        left = 1 - sum((np.square(values @ one) for one in nuisance), np.zeros(VOXELS))
        every.append(np.abs(values @ regressor) / np.sqrt(left))
    r = np.array(every)
    np.testing.assert_allclose(
        maxima, r.max(axis=1) * np.sqrt(residuals.df / (1 - r.max(axis=1) ** 2)), rtol=2e-5
    )
    expected = (r >= observed * (1 - 1e-5)).sum(axis=0)
    assert surpassed[7] == len(rows)
    assert np.delete(np.abs(surpassed - expected), 7).max() == 0
    assert sum(done) == VOXELS


def test_torch_agrees_with_the_product_of_the_processor() -> None:
    residuals, rows, _ = _given("label + age")
    theirs, ours = null_maxima(residuals, rows, 2), null_in_torch(
        residuals, rows, torch.device("cpu")
    )  # fmt: skip
    np.testing.assert_allclose(ours[0], theirs[0], rtol=2e-5)
    np.testing.assert_array_equal(ours[1], theirs[1])


def test_the_processor_keeps_its_own_product_and_no_gpu_is_said() -> None:
    assert null_on("cpu") is null_maxima
    with pytest.raises(InputError, match="device"):
        null_on("abacus")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_the_same_null() -> None:
    residuals, rows, _ = _given("label + age")
    theirs, ours = null_maxima(residuals, rows, 2), null_on("cuda")(residuals, rows, 1, print)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=2e-5)
    np.testing.assert_array_equal(ours[1], theirs[1])
