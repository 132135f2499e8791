"""Scales of intensity, each by its definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from nilearn.datasets import load_mni152_template

from voxplain.cohort.prepare.intensity import scaled
from voxplain.cohort.prepare.recipe import PRESETS
from voxplain.errors import InputError

RNG = np.random.default_rng(0)
NATIVE = load_mni152_template(resolution=1).get_fdata()
TEMPLATE = NATIVE[NATIVE > 0]
"""The brain of the template on its own voxels, where nothing was interpolated."""
BRAIN = np.where(RNG.uniform(size=(9, 10, 11)) < 0.6, RNG.gamma(4, 20, (9, 10, 11)), 0).astype("f4")
ABOVE = BRAIN > 0


def of(how: str, brain: np.ndarray = BRAIN) -> np.ndarray:
    return scaled(brain, brain > 0, replace(PRESETS["kan2020"], intensity=how))


def test_zscore() -> None:
    out = of("zscore")
    assert out[ABOVE].mean() == pytest.approx(0, abs=1e-5)
    assert out[ABOVE].std() == pytest.approx(1, rel=1e-5)
    assert not out[~ABOVE].any()
    np.testing.assert_allclose(of("zscore", BRAIN * 7), out, atol=1e-5)


def test_none_is_none() -> None:
    assert of("none") is BRAIN


def test_histogram_brings_every_landmark_to_the_templates() -> None:
    out = of("histogram")
    for percentile in (0.5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99.5):
        wanted = np.percentile(TEMPLATE, percentile)
        assert np.percentile(out[ABOVE], percentile) == pytest.approx(wanted, abs=0.002)
    assert not out[~ABOVE].any()
    order = np.argsort(BRAIN[ABOVE])
    assert (np.diff(out[ABOVE][order]) >= 0).all()
    np.testing.assert_allclose(of("histogram", BRAIN * 3), out, atol=1e-4)


def test_the_template_s_brain_is_as_large_as_a_brain_and_no_part_of_it_is_dark() -> None:
    """Around the brain a resampled template is above 0 by 1e-30: half of all its voxels above 0."""
    assert 1800 < TEMPLATE.size / 1000 < 1950
    assert (of("histogram")[ABOVE] > 0.05).all()


def test_beyond_the_outer_landmarks_the_last_line_goes_on() -> None:
    """The darkest and the brightest voxel by hand, with the slope of the segment beside them."""
    inside, out = BRAIN[ABOVE].astype(np.float64), of("histogram")[ABOVE]
    for voxel, (end, beside) in ((inside.argmin(), (0.5, 10)), (inside.argmax(), (99.5, 90))):
        mine = np.percentile(inside, [end, beside])
        its = np.percentile(TEMPLATE, [end, beside])
        slope = (its[1] - its[0]) / (mine[1] - mine[0])
        expected = its[0] + (inside[voxel] - mine[0]) * slope
        assert out[voxel] == pytest.approx(expected, rel=1e-4)
        assert abs(inside[voxel] - mine[0]) > 1


def test_two_grey_levels_stay_two() -> None:
    """Percentiles up to 40 are the one, from 50 on the other: the first of each counts."""
    levels = np.where(np.arange(1000) < 450, 10, 50).astype("f4").reshape(10, 10, 10)
    low, high = np.percentile(TEMPLATE, [0.5, 50])
    expected = np.where(levels == 10, low, high)
    np.testing.assert_allclose(of("histogram", levels), expected, rtol=1e-5)


def test_few_grey_levels_and_one() -> None:
    few = np.where(ABOVE, np.where(BRAIN > 80, 2, 1), 0).astype("f4")
    assert np.isfinite(of("histogram", few)).all()
    for how in ("zscore", "histogram"):
        with pytest.raises(InputError, match=r"Every voxel of the brain is 3; such a scan"):
            of(how, 3 * ABOVE.astype("f4"))
