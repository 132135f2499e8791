"""Rules for ReLUs: deconvolution, shared in-place ReLUs, fused blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from explain_hand import dense_convolution, relative
from explain_nets import EXACT, STYLES, Rectified, batch, volumes
from torch import nn
from torch.nn import functional

from voxplain.attribution import Engine
from voxplain.attribution.network.rectifiers import Rectifiers, active_rectifiers, passed_on
from voxplain.attribution.run import explain
from voxplain.errors import NetworkError


def test_deconvolution_by_a_dense_backward_pass() -> None:
    shape = (4, 3, 5)
    item = volumes(1, shape)[0]
    model = Rectified("module").double()
    first, second = (dense_convolution(c, shape) for c in (model.first, model.second))
    back = np.repeat(model.head.weight[1].detach().numpy(), 60) / 60
    back = np.maximum(second.T @ np.maximum(back, 0), 0)
    wanted = (first.T @ back).reshape(shape)
    made = explain(model, item, "deconvolution", 1, engine=EXACT).values
    assert relative(made, wanted) < 1e-6
    # Without pooling the map does not even depend on the image.
    other = explain(model, volumes(2, shape)[1], "deconvolution", 1, engine=EXACT).values
    assert np.array_equal(made, other)
    assert relative(explain(model, item, "guided-backprop", 1, engine=EXACT).values, wanted) > 0.1


@pytest.mark.parametrize("style", STYLES)
def test_deconvolution_finds_every_way_to_write_relu(style: str) -> None:
    item = volumes(1)[0]
    wanted = explain(Rectified("module"), item, "deconvolution", 1, engine=EXACT)
    made = explain(Rectified(style), item, "deconvolution", 1, engine=EXACT)
    assert np.array_equal(made.values, wanted.values)
    calls = 4 if style == "views" else 2
    assert made.provenance.notes == (f"negative gradients stopped at {calls} ReLU calls",)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("deconvolution", "deconvolution"),
        ("guided-backprop", "guided backpropagation"),
        ("guided-grad-cam", "guided backpropagation"),
    ],
)
def test_a_network_without_relu_is_refused(name: str, words: str) -> None:
    model = nn.Sequential(nn.Conv3d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.LazyLinear(2))
    model(batch(volumes(1)))
    with pytest.raises(NetworkError, match=f"runs no ReLU, so {words} would be the plain"):
        explain(model, volumes(1)[0], name, layer="0", engine=EXACT)
    assert active_rectifiers() is None


class Residual(nn.Module):
    """Two residual blocks that share one in-place ReLU, or write everything out of place."""

    def __init__(self, shared: bool) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.stem = nn.Conv3d(1, 3, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv3d(3, 3, 3, padding=1) for _ in range(4))
        self.norms = nn.ModuleList(nn.BatchNorm3d(3) for _ in range(4))
        for norm in self.norms:
            norm.running_mean.normal_(0, 0.1)
        self.head = nn.Linear(3, 2)
        self.relu = nn.ReLU(inplace=True)
        self.shared = shared

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        relu = self.relu if self.shared else functional.relu
        x = relu(self.stem(x))
        for i in (0, 2):
            out = relu(self.norms[i](self.convs[i](x)))
            out = self.norms[i + 1](self.convs[i + 1](out))
            if self.shared:
                out += x
                x = relu(out)
            else:
                x = relu(out + x)
        return self.head(x.mean((2, 3, 4)))


@pytest.mark.parametrize("precision", ["exact", "auto"])
@pytest.mark.parametrize("name", ["guided-backprop", "deconvolution", "guided-grad-cam"])
def test_a_shared_in_place_relu_of_a_residual_network(name: str, precision: str) -> None:
    items = volumes(3)
    engine = Engine("cpu", precision)
    made, wanted = (
        explain(Residual(shared), items, name, 1, layer="norms.2", engine=engine)
        for shared in (True, False)
    )
    for a, b in zip(made, wanted, strict=True):
        assert np.abs(b.values).max() > 0
        assert relative(a.values, b.values) < 1e-5
        assert "negative gradients stopped at 5 ReLU calls" in a.provenance.notes


class _Block(torch.autograd.Function):
    """A ReLU fused into a function, as the engine's blocks are."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        mode = active_rectifiers()
        if mode is not None:
            mode.reached()
        ctx.rule = None if mode is None else mode.rule
        # Written as a ReLU on purpose: it must not be counted a second time.
        out = torch.relu(x)
        ctx.save_for_backward(out > 0)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        (open_,) = ctx.saved_tensors
        if ctx.rule is None:
            return grads[0] * open_
        return passed_on(ctx.rule, grads[0], open_)


class Fused(Rectified):
    def relu(self, x: torch.Tensor) -> torch.Tensor:
        return _Block.apply(x)


@pytest.mark.parametrize("name", ["gradient", "guided-backprop", "deconvolution"])
def test_a_fused_block_keeps_the_rule_and_is_counted(name: str) -> None:
    item = volumes(1)[0]
    made, wanted = (
        explain(model, item, name, 1, engine=EXACT)
        for model in (Fused("module"), Rectified("module"))
    )
    assert np.array_equal(made.values, wanted.values)
    assert made.provenance.notes == wanted.provenance.notes


def test_the_mode_ends_with_its_block_also_after_an_error() -> None:
    outer, inner = Rectifiers("guided"), Rectifiers("deconvolution")

    def fail() -> None:
        with outer:
            assert active_rectifiers() is outer
            with inner:
                assert active_rectifiers() is inner
                raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        fail()
    assert active_rectifiers() is None
    assert active_rectifiers() is None
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    torch.relu(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1]
    assert (outer.relus, inner.relus) == (0, 0)
