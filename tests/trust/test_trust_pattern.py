from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr

from voxplain.errors import GridError, InputError
from voxplain.trust import PatternMap, RegionMeans, critical_correlation

SHAPE = (4, 5, 6)


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def fed(scans, logits):
    found = PatternMap()
    for scan, logit in zip(scans, logits, strict=True):
        found.add(scan, logit)
    return found


def test_the_stream_gives_numpys_covariance(rng):
    scans = 100 + rng.standard_normal((30, *SHAPE))
    scans[:, 0] = 7
    logits = 1000 + scans[:, 1, 1, 1] + rng.standard_normal(30)
    found = fed(scans, logits).pattern()
    for place in ((1, 1, 1), (3, 2, 5)):
        values = scans[(slice(None), *place)]
        assert found.covariance[place] == pytest.approx(np.cov(values, logits)[0, 1], rel=1e-5)
        assert found.correlation[place] == pytest.approx(pearsonr(values, logits)[0], rel=1e-5)
        slope = np.polyfit(logits, values, 1)[0]
        assert found.per_logit[place] == pytest.approx(slope, rel=1e-5)
    assert not found.correlation[0].any()
    assert found.scans == 30


def test_a_suppressor_is_in_the_filter_and_not_in_the_pattern(rng):
    """Voxel 0 holds class and noise, voxel 1 the noise: the best filter is their difference."""
    classes = rng.choice([-1.0, 1.0], 4000)
    noise = 3 * rng.standard_normal(4000)
    scans = np.zeros((4000, 2, 1, 1))
    scans[:, 0, 0, 0], scans[:, 1, 0, 0] = classes + noise, noise
    weights = np.array([1.0, -1.0])
    logits = scans[:, :, 0, 0] @ weights
    found = fed(scans, logits).pattern()
    share = np.abs(found.per_logit[:, 0, 0]) / np.abs(found.per_logit).sum()
    assert share[1] < 0.1
    assert found.per_logit[0, 0, 0] == pytest.approx(1, abs=0.15)
    forward = np.cov(scans[:, :, 0, 0].T) @ weights / np.var(logits, ddof=1)
    np.testing.assert_allclose(found.per_logit[:, 0, 0], forward, rtol=1e-4, atol=1e-6)


def test_the_level_is_exceeded_at_its_rate(rng):
    scans, logits = rng.standard_normal((20, 40, 50, 1)), rng.standard_normal(20)
    found = fed(scans, logits).pattern()
    above = np.mean(np.abs(found.correlation) > found.correlation_95)
    # 2,000 independent voxels: a standard deviation of .005.
    assert above == pytest.approx(0.05, abs=0.02)
    assert found.correlation_95 == pytest.approx(0.444, abs=5e-4)
    assert found.correlation_95_all == critical_correlation(20, 0.05 / 2000)
    assert np.abs(found.correlation).max() < found.correlation_95_all + 0.1
    r = critical_correlation(12, 0.2)
    t = r * np.sqrt(10 / (1 - r**2))
    assert t == pytest.approx(1.372, abs=1e-3)


def test_regions_are_averaged_and_spread_again(rng):
    labels = rng.integers(0, 4, SHAPE) * 5
    scan = rng.standard_normal(SHAPE)
    regions = RegionMeans(labels)
    assert regions.labels == (5, 10, 15)
    expected = [scan[labels == n].mean() for n in regions.labels]
    np.testing.assert_allclose(regions.of(scan), expected)
    spread = regions.spread(regions.of(scan))
    assert spread[labels == 10] == pytest.approx(expected[1], rel=1e-5)
    assert not spread[labels == 0].any()
    scans, logits = rng.standard_normal((9, *SHAPE)), rng.standard_normal(9)
    found = fed([regions.of(s) for s in scans], logits).pattern()
    means = np.array([[s[labels == n].mean() for n in regions.labels] for s in scans])
    assert found.correlation[2] == pytest.approx(pearsonr(means[:, 2], logits)[0], rel=1e-5)
    assert found.correlation_95_all == critical_correlation(9, 0.05 / 3)


def test_a_pattern_checks_its_input(rng):
    scans = rng.standard_normal((3, *SHAPE))
    with pytest.raises(InputError, match="3 scans or more; 2 were given"):
        fed(scans[:2], [0, 1]).pattern()
    with pytest.raises(InputError, match="All logits are the same"):
        fed(scans, [1, 1, 1]).pattern()
    with pytest.raises(GridError, match=r"shape \(3, 5, 6\), those before"):
        fed([scans[0], scans[1][1:]], [0, 1])
    with pytest.raises(InputError, match="not finite"):
        PatternMap().add(scans[0], np.nan)
    with pytest.raises(InputError, match="no region on this grid"):
        RegionMeans(np.zeros(SHAPE, dtype=int))
    with pytest.raises(GridError, match=r"call atlas.on\(volume.grid\) first"):
        RegionMeans(np.ones(SHAPE, dtype=int)).of(scans[0][1:])
