"""Winograd's rows against the direct convolution, and where the engine takes them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from voxplain.attribution.fast import slabs
from voxplain.attribution.fast.convolution import Geometry, Kernel
from voxplain.attribution.fast.fused import ConvReluPool
from voxplain.attribution.fast.lowering import lower
from voxplain.attribution.fast.winograd import convolve_rows, transformed
from voxplain.attribution.network.needs import Needs


@pytest.mark.parametrize("rows", range(3, 12))
@pytest.mark.parametrize("padding", [(0, 0), (1, 2)])
def test_rows_are_those_of_the_direct_convolution(rows: int, padding: tuple[int, int]) -> None:
    made = torch.manual_seed(rows)
    x = torch.randn(2, 5, rows, 6, 7, generator=made).contiguous(
        memory_format=torch.channels_last_3d
    )
    weight, bias = torch.randn(4, 5, 3, 3, 2, generator=made), torch.randn(4, generator=made)
    wanted = functional.conv3d(x.double(), weight.double(), bias.double(), 1, (0, *padding))
    found = convolve_rows(x, transformed(weight), bias, padding)
    assert found.shape == wanted.shape
    assert found.is_contiguous(memory_format=torch.channels_last_3d)
    assert torch.allclose(found.double(), wanted, atol=2e-5)


def test_a_kernel_of_six_planes_is_the_polynomial_at_six_points() -> None:
    """One voxel wide, by the Toom-Cook products written out: points 0, 1, -1, 2, -2, infinity."""
    taps = np.array([0.5, -2.0, 3.0])
    weight = torch.tensor(taps, dtype=torch.float32).reshape(1, 1, 3, 1, 1)
    planes = [float(p) for p in transformed(weight)]
    values = [np.polyval(taps[::-1], point) for point in (0, 1, -1, 2, -2)]
    scales = [1 / 4, -1 / 6, -1 / 6, 1 / 24, 1 / 24]
    assert np.allclose(planes[:5], np.multiply(values, scales), atol=1e-7)
    assert planes[5] == pytest.approx(taps[2])


@pytest.mark.parametrize("padding", [0, 1, (1, 0, 2)])
@pytest.mark.parametrize("slab", [1, 3000, 10**7])
def test_a_fused_block_of_many_channels_and_its_gradient(
    monkeypatch: pytest.MonkeyPatch, padding: int | tuple[int, int, int], slab: int
) -> None:
    monkeypatch.setitem(slabs._SLAB, "cpu", slab)
    torch.manual_seed(0)
    conv = nn.Conv3d(16, 20, 3, padding=padding).requires_grad_(False)
    block, pool = ConvReluPool(conv, nn.MaxPool3d(2)), nn.MaxPool3d(2)
    assert block.kernel.halves
    x = torch.randn(3, 16, 11, 9, 10)
    leaf, exact = x.clone().requires_grad_(), x.double().requires_grad_()
    out = block(leaf)
    wanted = pool(functional.relu(conv.double()(exact)))
    assert torch.allclose(out.double(), wanted, atol=1e-5)
    weights = torch.randn_like(wanted)
    (slope,) = torch.autograd.grad((out * weights).sum(), leaf)
    (wanted_slope,) = torch.autograd.grad((wanted * weights).sum(), exact)
    assert float((slope.double() - wanted_slope).abs().max()) < 1e-5


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv3d(15, 16, 3),
        nn.Conv3d(16, 15, 3),
        nn.Conv3d(16, 16, (2, 3, 3)),
        nn.Conv3d(16, 16, 3, stride=2),
        nn.Conv3d(16, 16, 3, dilation=2),
        nn.Conv3d(32, 32, 3, groups=2),
        nn.Conv3d(16, 16, (3, 1, 1), padding=(0, 1, 0)),
        nn.Conv3d(16, 16, 3, dtype=torch.float64),
        nn.Conv3d(16, 16, 3, dtype=torch.bfloat16),
    ],
)
def test_other_convolutions_are_multiplied_out(conv: nn.Conv3d) -> None:
    assert not Kernel(conv.weight, conv.bias, Geometry.of(conv)).halves


def test_the_provenance_names_it() -> None:
    model = nn.Sequential(
        nn.Conv3d(1, 16, 3), nn.ReLU(), nn.Conv3d(16, 16, 3), nn.ReLU(), nn.MaxPool3d(2),
        nn.Flatten(), nn.LazyLinear(2),
    )  # fmt: skip
    x = torch.randn(2, 1, 10, 10, 10)
    model(x)
    made = lower(model, x)
    fast, words = made.model, made.words
    assert words == "conv-ReLU-pool fused, Winograd along x, channels last"
    with torch.no_grad():
        assert torch.allclose(fast(x), model(x), atol=1e-5)


def test_a_constant_background_stays_constant_bit_by_bit() -> None:
    """Else rounding, not the pooling's rule for ties, says where the gradient goes."""
    made = torch.manual_seed(0)
    weight, bias = torch.randn(20, 16, 3, 3, 3, generator=made), torch.randn(20, generator=made)
    x = torch.randn(2, 16, 1, 1, 1, generator=made).expand(-1, -1, 12, 9, 8)
    x = x.contiguous(memory_format=torch.channels_last_3d)
    out = convolve_rows(x, transformed(weight), bias, (0, 0))
    assert torch.equal(out, out[:, :, :1, :1, :1].expand_as(out))


def test_ties_in_a_constant_background_are_broken_as_torch_breaks_them() -> None:
    torch.manual_seed(0)
    first, second = nn.Conv3d(1, 16, 3, padding=1), nn.Conv3d(16, 16, 3, padding=1)
    head = nn.Conv3d(16, 1, 3)
    model = nn.Sequential(
        first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool3d(2), head, nn.Flatten(), nn.LazyLinear(1)
    )
    x = torch.full((1, 1, 40, 12, 12), 0.3)
    x[:, :, 16:24] = torch.randn(8, 12, 12)
    model(x)
    made = lower(model.eval().requires_grad_(False), x, needs=Needs(gradient=False))
    fast, words = made.model, made.words
    assert "Winograd" in words
    slopes = []
    for net in (fast, model):
        leaf = x.clone().requires_grad_()
        slopes.append(torch.autograd.grad(net(leaf).sum(), leaf)[0])
    # Whole tiles of four rows, away from the border and from the inside.
    for rows in (slice(6, 10), slice(30, 34)):
        assert torch.allclose(slopes[0][:, :, rows], slopes[1][:, :, rows], atol=1e-6)


@pytest.mark.parametrize("padding", [0, 1, (2, 0, 1)])
@pytest.mark.parametrize("slab", [1, 3000, 10**7])
def test_a_convolution_that_is_not_fused_and_its_gradient(
    monkeypatch: pytest.MonkeyPatch, padding: int | tuple[int, int, int], slab: int
) -> None:
    monkeypatch.setitem(slabs._SLAB, "cpu", slab)
    torch.manual_seed(0)
    conv = nn.Conv3d(16, 20, 3, padding=padding).requires_grad_(False)
    exact = copy.deepcopy(conv).double()
    assert slabs.RowsConvolution.fits(conv)
    conv.__class__ = slabs.RowsConvolution
    x = torch.randn(3, 16, 11, 9, 10)
    leaf, wide = x.clone().requires_grad_(), x.double().requires_grad_()
    out, wanted = conv(leaf), exact(wide)
    assert out.shape == wanted.shape
    assert torch.allclose(out.double(), wanted, atol=1e-5)
    weights = torch.randn_like(wanted)
    (slope,) = torch.autograd.grad((out * weights).sum(), leaf)
    (wanted_slope,) = torch.autograd.grad((wanted * weights).sum(), wide)
    assert float((slope.double() - wanted_slope).abs().max()) < 1e-5
    assert torch.equal(conv.double()(wide), wanted)


def test_convolutions_without_a_pooling_take_it_too() -> None:
    model = nn.Sequential(
        nn.Conv3d(1, 16, 3), nn.ReLU(), nn.Conv3d(16, 16, 3), nn.ReLU(inplace=True),
        nn.Conv3d(16, 16, 3, padding="same"), nn.Flatten(), nn.LazyLinear(2),
    )  # fmt: skip
    x = torch.randn(2, 1, 10, 10, 10)
    model(x)
    made = lower(model, x, layer="3")
    fast, words = made.model, made.words
    assert words == "Winograd along x, channels last"
    kinds = [type(m).__name__ for m in fast.modules() if isinstance(m, nn.Conv3d)]
    assert kinds == ["Conv3d", "RowsConvolution", "Conv3d"]
    assert type(model[2]) is nn.Conv3d
    with torch.no_grad():
        assert torch.allclose(fast(x), model(x), atol=1e-5)
