"""Each method against a second, slower derivation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from explain_hand import dense_convolution, last_layer_by_hand, relative, trilinear
from explain_nets import EXACT, SHAPE, STYLES, Linear, Rectified, batch, paper_like, volumes
from torch import nn

from voxplain.attribution.run import explain
from voxplain.errors import InputError, NetworkError


def test_gradient_of_a_linear_network_is_its_weights() -> None:
    weights = np.random.default_rng(1).normal(size=SHAPE)
    made = explain(Linear(weights), volumes(3), "gradient", [1, 0, 1], engine=EXACT)
    for one, sign in zip(made, (1, -1, 1), strict=True):
        assert relative(one.values, sign * weights.astype(np.float32)) < 1e-7


@pytest.mark.parametrize("score", ["margin", "logit"])
def test_gradient_equals_finite_differences(score: str) -> None:
    model = paper_like(3).double()
    item = volumes(1)[0]
    x = batch([item]).double()

    def f(z: torch.Tensor) -> float:
        with torch.no_grad():
            logits = model(z)[0].numpy()
        if score == "logit":
            return float(logits[2])
        return float(logits[2] - np.log(np.exp(logits[0]) + np.exp(logits[1])))

    made = explain(model, item, "gradient", 2, score=score, engine=EXACT).values
    for place in [(0, 0, 0), (3, 4, 5), (6, 7, 8), (2, 6, 1)]:
        step = torch.zeros_like(x)
        step[(0, 0, *place)] = 1e-5
        slope = (f(x + step) - f(x - step)) / 2e-5
        assert made[place] == pytest.approx(slope, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("target", [0, 1])
def test_grad_cam_by_loops_over_channels(target: int) -> None:
    model, item = paper_like(), volumes(1)[0]
    a, gradient = last_layer_by_hand(model, batch([item]), target)
    raw = sum(gradient[c].mean() * a[c] for c in range(len(a)))
    for relu in (True, False):
        cam = np.maximum(raw, 0) if relu else raw
        made = explain(model, item, "grad-cam", target, relu=relu, engine=EXACT)
        assert made.provenance.layer == "features.6"
        assert relative(made.values, trilinear(cam, SHAPE)) < 1e-5


def test_guided_backprop_by_a_dense_backward_pass() -> None:
    shape = (4, 3, 5)
    item = volumes(1, shape)[0]
    model = Rectified("module").double()
    x = batch([item]).double().numpy().ravel()
    first, second = (dense_convolution(c, shape) for c in (model.first, model.second))
    bias = [np.repeat(c.bias.detach().numpy(), 60) for c in (model.first, model.second)]
    hidden = first @ x + bias[0]
    again = second @ np.maximum(hidden, 0) + bias[1]
    back = np.repeat(model.head.weight[1].detach().numpy(), 60) / 60
    back = np.maximum(back, 0) * (again > 0)
    back = second.T @ back
    back = np.maximum(back, 0) * (hidden > 0)
    wanted = (first.T @ back).reshape(shape)
    made = explain(model, item, "guided-backprop", 1, engine=EXACT).values
    assert relative(made, wanted.astype(np.float32)) < 1e-6
    assert relative(explain(model, item, "gradient", 1, engine=EXACT).values, wanted) > 0.1


@pytest.mark.parametrize("style", STYLES)
def test_guided_backprop_finds_every_way_to_write_relu(style: str) -> None:
    items = volumes(2)
    wanted = explain(Rectified("module"), items, "guided-backprop", 1, engine=EXACT)
    made = explain(Rectified(style), items, "guided-backprop", 1, engine=EXACT)
    for a, b in zip(made, wanted, strict=True):
        assert np.array_equal(a.values, b.values)
    calls = 4 if style == "views" else 2
    assert made[0].provenance.notes == (f"negative gradients stopped at {calls} ReLU calls",)


def test_guided_backprop_keeps_the_meaning_of_in_place() -> None:
    class Held(nn.Module):
        def __init__(self, inplace: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.head = nn.Conv3d(1, 2, 3), nn.Linear(2, 2)
            nn.init.ones_(self.head.weight)
            self.inplace = inplace

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            held = self.conv(x)
            if self.inplace:
                torch.relu_(held)
            else:
                held = torch.relu(held)
            return self.head(held.mean((2, 3, 4)))

    item = volumes(1)[0]
    a = explain(Held(True), item, "guided-backprop", 1, engine=EXACT).values
    b = explain(Held(False), item, "guided-backprop", 1, engine=EXACT).values
    assert np.abs(b).max() > 0
    assert np.array_equal(a, b)


def test_guided_backprop_survives_an_in_place_relu_on_the_input() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(504, 2))
    item = volumes(1)[0]
    values = item.values.copy()
    made = explain(model, item, "guided-backprop", 1, engine=EXACT).values
    weight = model[2].weight[1].detach().numpy().reshape(SHAPE)
    assert np.array_equal(made, np.maximum(weight, 0) * (values > 0))
    assert np.array_equal(item.values, values)


def test_guided_backprop_refuses_a_network_without_relu() -> None:
    model = nn.Sequential(nn.Conv3d(1, 2, 3), nn.LeakyReLU(), nn.Flatten(), nn.LazyLinear(2))
    item = volumes(1)[0]
    model(batch([item]))
    with pytest.raises(NetworkError, match="runs no ReLU"):
        explain(model, item, "guided-backprop")


def test_guided_backprop_counts_other_activations() -> None:
    model = nn.Sequential(
        nn.Conv3d(1, 2, 3), nn.ReLU6(), nn.Conv3d(2, 2, 3), nn.LeakyReLU(), nn.ReLU(), nn.Flatten()
    )
    model.append(nn.Linear(2 * 3 * 4 * 5, 2))
    made = explain(model, volumes(1)[0], "guided-backprop")
    assert made.provenance.notes == (
        "negative gradients stopped at 1 ReLU calls",
        "2 calls of other activations keep their plain gradient",
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_guided_backprop_refuses_torchscript() -> None:
    scripted = torch.jit.trace(
        nn.Sequential(nn.Flatten(), nn.Linear(504, 2), nn.ReLU()), torch.rand(1, *SHAPE)
    )
    with pytest.raises(NetworkError, match="TorchScript"):
        explain(scripted, volumes(1)[0], "guided-backprop", engine=EXACT)


@pytest.mark.parametrize("name", ["gradient", "guided-backprop", "lrp"])
def test_a_network_that_detaches_is_refused(name: str) -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = paper_like()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x.detach())

    with pytest.raises(NetworkError, match="no gradient with respect to the input"):
        explain(Cut(), volumes(1)[0], name, engine=EXACT)


def test_gradient_refuses_another_score() -> None:
    with pytest.raises(InputError, match="'margin' or 'logit'"):
        explain(paper_like(), volumes(1)[0], "gradient", score="softmax")
