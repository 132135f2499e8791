"""The convolutions of the faster copy: in float32, in bfloat16, under several names."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from explain_nets import batch, volumes
from torch import nn
from torch.nn import functional

from voxplain.attribution.fast import slabs
from voxplain.attribution.fast.fused import ConvReluPool
from voxplain.attribution.fast.lowering import lower
from voxplain.attribution.fast.rewrites import channels_last, convolve_in_bfloat16, use_onednn
from voxplain.attribution.network.needs import Needs


@pytest.mark.parametrize("padding", [0, 1, (1, 0, 2)])
@pytest.mark.parametrize("slab", [1, 3000, 10**7])
def test_a_fused_block_of_many_channels_and_its_gradient(
    monkeypatch: pytest.MonkeyPatch, padding: int | tuple[int, int, int], slab: int
) -> None:
    monkeypatch.setitem(slabs._SLAB, "cpu", slab)
    torch.manual_seed(0)
    conv = nn.Conv3d(16, 20, 3, padding=padding).requires_grad_(False)
    block, pool = ConvReluPool(conv, nn.MaxPool3d(2)), nn.MaxPool3d(2)
    x = torch.randn(3, 16, 11, 9, 10)
    leaf, exact = x.clone().requires_grad_(), x.double().requires_grad_()
    out = block(leaf)
    wanted = pool(functional.relu(conv.double()(exact)))
    assert torch.allclose(out.double(), wanted, atol=1e-5)
    weights = torch.randn_like(wanted)
    (slope,) = torch.autograd.grad((out * weights).sum(), leaf)
    (wanted_slope,) = torch.autograd.grad((wanted * weights).sum(), exact)
    assert float((slope.double() - wanted_slope).abs().max()) < 1e-5


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
    assert made.words == "conv-ReLU-pool fused, channels last"
    slopes = []
    for net in (made.model, model):
        leaf = x.clone().requires_grad_()
        slopes.append(torch.autograd.grad(net(leaf).sum(), leaf)[0])
    # Away from the border and from the inside.
    for rows in (slice(6, 10), slice(30, 34)):
        assert torch.allclose(slopes[0][:, :, rows], slopes[1][:, :, rows], atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": (2, 0, 1)},
        {"padding": "same"},
        {"padding": 1, "padding_mode": "reflect"},
        {"padding": 1, "stride": 2},
        {"padding": 2, "dilation": 2, "groups": 2},
        {"bias": False},
    ],
)
@pytest.mark.parametrize("scans", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_convolution_that_is_not_fused_and_its_gradient(
    options: dict[str, object], scans: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv3d(4, 6, 3, **options)).to(dtype)  # type: ignore[arg-type]
    exact = copy.deepcopy(model).double()
    use_onednn(model)
    x = torch.randn(scans, 4, 9, 8, 7, dtype=dtype)
    leaf, wide = x.clone().requires_grad_(), x.double().requires_grad_()
    out, wanted = model(leaf), exact(wide)
    assert out.dtype == dtype
    assert torch.allclose(out.double(), wanted, atol=1e-5)
    weights = torch.randn_like(wanted)
    (slope,) = torch.autograd.grad((out * weights).sum(), leaf)
    (wanted_slope,) = torch.autograd.grad((wanted * weights).sum(), wide)
    assert torch.allclose(slope.double(), wanted_slope, atol=1e-5)


def test_one_scan_runs_by_the_library_where_torch_would_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = nn.Sequential(
        nn.Conv3d(1, 4, 3), nn.ELU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    x, asked, library = batch(volumes(1)), [], torch.mkldnn_convolution
    made = lower(model, x).model

    def noted(x: torch.Tensor, *given: object) -> torch.Tensor:
        asked.append(x.shape)
        return library(x, *given)

    monkeypatch.setattr(torch, "mkldnn_convolution", noted)
    with torch.no_grad():
        assert torch.allclose(made(x), model(x), atol=1e-6)
    assert asked == [x.shape]


def test_bfloat16_under_every_name_and_nowhere_else() -> None:
    torch.manual_seed(0)
    one = nn.Conv3d(1, 1, 3, padding=1)
    model = nn.Sequential(one, nn.Sequential(one), nn.Conv3d(1, 2, 1))
    given = copy.deepcopy(model)
    kept = list(model)
    assert convolve_in_bfloat16(model) == 2
    assert model[0] is model[1][0]
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in (*kept[0].parameters(), *kept[2].parameters())} == {torch.float32}
    x = torch.randn(1, 1, 6, 7, 8)
    with torch.no_grad():
        found, wanted = model(x), given(x)
    assert found.dtype == torch.float32
    assert 0 < (found - wanted).abs().max() < 0.03 * wanted.abs().max()


@pytest.mark.parametrize("bfloat16", [False, True])
def test_outputs_of_one_channel_are_channels_last_too(bfloat16: bool) -> None:
    """A convolution of one channel takes the order of its weight, not of the scan."""
    model = nn.Sequential(nn.Conv3d(1, 8, 3), nn.Conv3d(8, 4, 3))
    before = [p.detach().numpy().copy() for p in model.parameters()]
    if bfloat16:
        convolve_in_bfloat16(model)
    channels_last(model)
    with torch.no_grad():
        out = model[0](batch(volumes(2)))
    assert out.is_contiguous(memory_format=torch.channels_last_3d)
    for parameter, value in zip(model.parameters(), before, strict=True):
        assert np.allclose(parameter.detach().float().numpy(), value, rtol=2**-8)
