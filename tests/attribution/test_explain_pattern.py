"""Patterns over scans, and the recommended map: closed forms, explicit loops, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from explain_nets import EXACT
from torch import nn

import voxplain
from voxplain.attribution.method import describe_options
from voxplain.attribution.methods import make_method
from voxplain.attribution.variation import variation_of
from voxplain.combine import agreeing_mean
from voxplain.errors import GridError, InputError
from voxplain.grid import Grid
from voxplain.volume import Volume, smooth

SHAPE = (6, 5, 4)
GRID = Grid(SHAPE, np.diag([3.0, 3.0, 3.0, 1.0]))


class Linear(nn.Module):
    """Logits 0 and w'x, so that the gradient of the margin is w, whatever the scan."""

    def __init__(self, weights: np.ndarray) -> None:
        super().__init__()
        self.layer = nn.Linear(weights.size, 1, bias=False)
        self.layer.weight.data[:] = torch.from_numpy(weights.ravel())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = self.layer(x.flatten(1))
        return torch.cat([torch.zeros_like(made), made], 1)


def scans(count: int, seed: int = 0) -> list[Volume]:
    """Scans with a component that all voxels share."""
    draw = np.random.default_rng(seed)
    shared = draw.normal(size=(count, 1, 1, 1))
    values = draw.normal(size=(count, *SHAPE)) + shared + 3
    values[:, 0] = 0
    return [Volume(v.astype(np.float32), GRID, f"{i:02d}") for i, v in enumerate(values)]


def weights(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


@pytest.mark.parametrize("components", [0, 3])
def test_the_pattern_of_a_linear_network_is_its_output_s_covariance(components: int) -> None:
    given, w = scans(30), weights()
    x = np.stack([one.values for one in given]).astype(np.float64)
    output = np.array([(one * w).sum() for one in x])
    output = (output - output.mean()) / output.std()
    deviation = x.std(axis=0)
    used = deviation > 0
    z = np.zeros_like(x)
    z[:, used] = (x - x.mean(axis=0))[:, used] / deviation[used]
    _, _, axes = np.linalg.svd(z.reshape(30, -1), full_matrices=False)
    flat = z.reshape(30, -1)
    left = flat - (flat @ axes[:components].T) @ axes[:components]
    told = np.linalg.svd(flat, full_matrices=False)[0][:, :components]
    output = output - told @ (told.T @ output)
    wanted = np.zeros(SHAPE)
    for place in np.ndindex(SHAPE):
        column = left[:, np.ravel_multi_index(place, SHAPE)]
        wanted[place] = sum(a * b for a, b in zip(column, output, strict=True)) / 30
    options = {"gradient_fwhm": 0.0, "fwhm": 0.0, "components": components}
    for found in voxplain.explain(Linear(w), given, "pattern", 1, engine=EXACT, **options):
        np.testing.assert_allclose(found.values, wanted, atol=1e-5)
        assert found.unit == "correlation"
        assert "over 30 scans" in found.provenance.notes


def test_a_voxel_that_only_cancels_noise_has_a_gradient_and_no_pattern() -> None:
    draw = np.random.default_rng(0)
    signal, noise = draw.normal(size=(2, 150))
    values = draw.normal(scale=0.01, size=(150, *SHAPE))
    values[:, 2, 2, 2] += signal + noise
    values[:, 4, 1, 1] += noise
    given = [Volume(v.astype(np.float32), GRID, f"{i:03d}") for i, v in enumerate(values)]
    w = np.zeros(SHAPE, np.float32)
    w[2, 2, 2], w[4, 1, 1] = 1, -1
    plain = {"gradient_fwhm": 0.0, "fwhm": 0.0, "components": 0}
    (gradient,) = voxplain.explain(Linear(w), given[:1], "gradient", 1, engine=EXACT)
    pattern = voxplain.explain(Linear(w), given, "pattern", 1, engine=EXACT, **plain)[0]
    assert gradient.values[4, 1, 1] == -gradient.values[2, 2, 2]
    # The share of the suppressor falls to less than a quarter.
    assert abs(pattern.values[4, 1, 1]) < abs(pattern.values[2, 2, 2]) / 4


def test_the_recommended_map_is_the_mean_of_both_where_they_agree() -> None:
    given, network = scans(25), Linear(weights())
    found = voxplain.explain(network, given, "recommended", 1, engine=EXACT, samples=3)
    plain = voxplain.explain(network, given, "smoothgrad", 1, engine=EXACT, samples=3)
    pattern = voxplain.explain(network, given, "pattern", 1, engine=EXACT)
    method = make_method("smoothgrad", {"samples": 3})
    for one, a, b in zip(found, plain, pattern, strict=True):
        smoothed = explained_by(a.values)
        wanted = np.zeros(SHAPE)
        for place in np.ndindex(SHAPE):
            p, q = smoothed[place], b.values[place]
            if p * q > 0:
                wanted[place] = np.sign(p) * np.sqrt(abs(p) * abs(q))
        np.testing.assert_allclose(one.values, wanted, atol=2e-5)
        assert not one.additive
        assert one.unit == f"√({method.unit} × correlation)"


def explained_by(values: np.ndarray) -> np.ndarray:
    """Smooth by 8 mm, the border's weights adding up to one."""
    weight = smooth(np.ones(SHAPE), GRID, 8.0)
    return smooth(values, GRID, 8.0) / weight


def test_one_scan_gets_smoothgrad_alone_and_is_told() -> None:
    one, network = scans(1)[0], Linear(weights())
    found = voxplain.explain(network, one, "recommended", 1, engine=EXACT)
    plain = voxplain.explain(network, one, "smoothgrad", 1, engine=EXACT)
    np.testing.assert_allclose(found.values, explained_by(plain.values), atol=1e-5)
    assert found.unit == plain.unit
    assert found.additive
    assert any("fewer than 20 scans" in note for note in found.provenance.notes)


def test_several_networks_share_the_scans() -> None:
    given, networks = scans(22), [Linear(weights(1)), Linear(weights(2))]
    options = {"engine": EXACT, "samples": 2}
    both = voxplain.explain(networks, given, "recommended", 1, **options)
    alone = [voxplain.explain(n, given, "recommended", 1, **options) for n in networks]
    for one, a, b in zip(both, *alone, strict=True):
        np.testing.assert_allclose(one.values, (a.values + b.values) / 2, atol=1e-6)


def test_scans_that_were_looked_at_before_serve_other_runs() -> None:
    given, network = scans(25), Linear(weights())
    whole = voxplain.explain(network, given, "pattern", 1, engine=EXACT)
    known = variation_of(given, 5)
    part = voxplain.explain(network, given[3:5], "pattern", 1, engine=EXACT, scans=known)
    for one, other in zip(whole[3:5], part, strict=True):
        np.testing.assert_allclose(one.values, other.values, atol=1e-6)
    told = describe_options(make_method("pattern", {"scans": known}))
    assert json.loads(json.dumps(told))["scans"].startswith("25 scans, sha256 ")


def test_of_many_scans_two_hundred_are_taken_at_equal_steps() -> None:
    assert len(variation_of(scans(401), 2)) == 200
    every = [one for i, one in enumerate(scans(399)) if i % 2 == 0]
    found, wanted = variation_of(scans(399), 2), variation_of(every, 2)
    assert torch.equal(found.scores, wanted.scores)


def test_what_cannot_be_used_is_refused() -> None:
    network, given = Linear(weights()), scans(25)
    with pytest.raises(InputError, match="3 scans cannot show how voxels vary together; give 20"):
        voxplain.explain(network, given[:3], "pattern", 1, engine=EXACT)
    with pytest.raises(InputError, match="they are all the same image"):
        variation_of([given[0]] * 20, 5)
    other = Volume(np.ones((3, 3, 3), np.float32), Grid((3, 3, 3), GRID.affine), "x")
    with pytest.raises(GridError, match=r"must share a shape to show how voxels vary"):
        variation_of([*given, other], 5)
    with pytest.raises(GridError, match="bring them to one grid"):
        variation_of(given, 5).pattern(torch.zeros(1, 3, 3, 3))
    with pytest.raises(InputError, match="components must not be negative; -1 was given"):
        make_method("pattern", {"components": -1})
    with pytest.raises(InputError, match=r"fwhm must be 0 mm or more; -1.0 was given"):
        make_method("recommended", {"fwhm": -1.0})
    with pytest.raises(InputError, match=r"scans must be a voxplain.attribution.variation"):
        make_method("recommended", {"scans": "all"})
    with pytest.raises(InputError, match="samples must be 1 or more; 0 was given"):
        make_method("recommended", {"samples": 0})


def test_a_mean_of_two_maps_where_they_agree_in_sign() -> None:
    first, second = np.array([2.0, -2.0, 3.0, -4.0, 0.0]), np.array([8.0, -8.0, -1.0, 5.0, 7.0])
    np.testing.assert_allclose(agreeing_mean(first, second, 0.5), [4, -4, 0, 0, 0])
    np.testing.assert_allclose(agreeing_mean(first, second, 1.0), [8, -8, 0, 0, 0])
