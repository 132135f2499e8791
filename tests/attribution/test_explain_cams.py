"""The class activation maps and channel attention against slower derivations and peers."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import torch
from explain_hand import dense_convolution, last_layer_by_hand, relative, trilinear
from explain_nets import EXACT, SHAPE, PaperLike, Rectified, batch, paper_like, volumes
from torch import nn

from voxplain.attribution.run import explain
from voxplain.errors import InputError, VoxplainWarning


def test_grad_cam_plus_plus_by_three_derivatives_of_the_papers_score() -> None:
    """Every derivative of Y = exp(S) is taken one cell at a time, by repeated differentiation."""
    model = paper_like().double()
    x = batch(volumes(1)).double()
    with torch.no_grad():
        a = model.features[:7](x)
    cam = np.zeros(a.shape[2:])
    for channel in range(a.shape[1]):
        weight = 0.0
        for place in itertools.product(*map(range, a.shape[2:])):
            step = torch.zeros((), dtype=torch.float64, requires_grad=True)
            cell = torch.zeros_like(a)
            cell[(0, channel, *place)] = 1
            logit = model.classifier(model.features[7:](a + step * cell))[0, 1]
            derivatives = [logit.exp()]
            for _ in range(3):
                found = torch.autograd.grad(derivatives[-1], step, create_graph=True)
                derivatives.append(found[0])
            y, first, second, third = (d.item() for d in derivatives)
            if first > 0:
                alpha = second / (2 * second + a[0, channel].sum().item() * third)
                weight += alpha * first / y
        cam += weight * a[0, channel].numpy()
    made = explain(model, volumes(1)[0], "grad-cam++", 1, engine=EXACT).values
    assert relative(made, trilinear(np.maximum(cam, 0), SHAPE)) < 1e-6
    # This layer's activation and these weights have no negative side.
    raw = explain(model, volumes(1)[0], "grad-cam++", 1, relu=False, engine=EXACT).values
    assert np.array_equal(made, raw)


@pytest.mark.parametrize("target", [0, 1])
def test_hirescam_and_layercam_by_loops_over_cells(target: int) -> None:
    model, item = paper_like(), volumes(1)[0]
    a, gradient = last_layer_by_hand(model, batch([item]), target)
    hires, layer = np.zeros(a.shape[1:]), np.zeros(a.shape[1:])
    for cell in itertools.product(*map(range, a.shape)):
        hires[cell[1:]] += gradient[cell] * a[cell]
        layer[cell[1:]] += max(gradient[cell], 0) * a[cell]
    assert hires.min() < 0 < hires.max()
    made = {
        name: explain(model, item, name, target, engine=EXACT).values
        for name in ("hirescam", "layercam")
    }
    assert relative(made["hirescam"], trilinear(hires, SHAPE)) < 1e-5
    assert relative(made["layercam"], trilinear(layer, SHAPE)) < 1e-5
    cut = explain(model, item, "hirescam", target, relu=True, engine=EXACT).values
    assert relative(cut, trilinear(np.maximum(hires, 0), SHAPE)) < 1e-5


def shifted_down(amount: float) -> PaperLike:
    """Shift the first convolution's output, which its batch norm takes back."""
    model = paper_like()
    with torch.no_grad():
        model.features[0].bias.sub_(amount)
        model.features[1].running_mean.sub_(amount)
    return model


def test_layercam_cuts_gradients_and_then_the_map() -> None:
    """Before its ReLU a layer is negative in places, so that both cuts matter."""
    model, item = shifted_down(0.4), volumes(1)[0]
    with torch.no_grad():
        a = model.features[:1](batch([item]))
    leaf = a.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model.classifier(model.features[1:](leaf))[0, 1], leaf)
    raw = (np.maximum(gradient.numpy(), 0) * a.numpy()).sum(1)[0]
    assert raw.min() < 0 < raw.max()
    for relu in (True, False):
        made = explain(model, item, "layercam", 1, layer="features.0", relu=relu, engine=EXACT)
        assert relative(made.values, np.maximum(raw, 0) if relu else raw) < 1e-5


def test_hirescam_adds_up_to_the_logit_where_all_that_follows_is_linear() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv3d(1, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 504, 2)
    )
    items = volumes(3)
    with torch.no_grad():
        evidence = (model(batch(items)) - model[3].bias)[:, 1].numpy()
    for name, sums_up in (("hirescam", True), ("grad-cam", False)):
        made = explain(model, items, name, 1, relu=False, layer="1", engine=EXACT)
        sums = np.array([m.values.sum() for m in made])
        assert np.allclose(sums, evidence, rtol=1e-4) is sums_up


@pytest.mark.parametrize("name", ["grad-cam++", "hirescam", "layercam", "guided-grad-cam"])
def test_a_zero_cam_is_zeros_and_a_warning(name: str) -> None:
    model, item = paper_like(), volumes(1)[0]
    with torch.no_grad():
        model.classifier[-1].weight[1] = 0
    with pytest.warns(VoxplainWarning, match=r"'features.6' is zero everywhere"):
        made = explain(model, item, name, 1, engine=EXACT)
    assert not made.values.any()


def test_grad_cam_plus_plus_warns_where_it_is_not_derived() -> None:
    model, item = shifted_down(1), volumes(1)[0]
    with pytest.warns(VoxplainWarning, match="negative on the whole.*ends in a ReLU"):
        made = explain(model, item, "grad-cam++", 1, layer="features.0", engine=EXACT)
    assert np.isfinite(made.values).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explain(paper_like(), item, "grad-cam++", 1, engine=EXACT)


@pytest.mark.filterwarnings("ignore::voxplain.errors.VoxplainWarning")
def test_grad_cam_plus_plus_is_cut_at_zero_unless_told() -> None:
    model, item = shifted_down(1), volumes(1)[0]
    cut, whole = (
        explain(model, item, "grad-cam++", 1, layer="features.0", engine=EXACT, **options).values
        for options in ({}, {"relu": False})
    )
    assert whole.min() < 0
    assert cut.min() == 0


def test_guided_grad_cam_is_the_product_of_its_two_parts() -> None:
    items = volumes(4)
    made, guided, cam = (
        explain(paper_like(inplace=True), items, name, engine=EXACT, layer="features.4")
        for name in ("guided-grad-cam", "guided-backprop", "grad-cam")
    )
    for a, b, c in zip(made, guided, cam, strict=True):
        assert relative(a.values, b.values.astype(np.float64) * c.values) < 1e-6
        assert a.provenance.notes == b.provenance.notes
        assert a.provenance.target.endswith("the predicted class")


class TwoLayers:
    """A `Rectified` network in float64, its activations and slopes by dense matrices."""

    def __init__(self, style: str = "module") -> None:
        self.shape = (4, 3, 5)
        self.item = volumes(1, self.shape)[0]
        self.model = Rectified(style).double()
        first, second = (dense_convolution(c, self.shape) for c in self.layers)
        bias = [np.repeat(c.bias.detach().numpy(), 60) for c in self.layers]
        hidden = first @ self.item.values.astype(np.float64).ravel() + bias[0]
        again = second @ np.maximum(hidden, 0) + bias[1]
        head = self.model.head.weight.detach().numpy()[1]
        slope = np.repeat(head, 60) / 60 * (again > 0)
        self.evidence = slope.reshape(3, 60).mean(1) * again.reshape(3, 60).mean(1)
        # One row a channel: the slope of its summed activation over the voxels.
        self.slopes = [
            (first.T @ ((hidden > 0) * (second.T @ np.repeat(np.eye(3)[c], 60)))).reshape(
                self.shape
            )
            for c in range(3)
        ]

    @property
    def layers(self) -> tuple[nn.Conv3d, nn.Conv3d]:
        return self.model.first, self.model.second


@pytest.mark.parametrize("style", ["module", "module in place"])
def test_channel_attention_by_dense_matrices(style: str) -> None:
    by_hand = TwoLayers(style)
    for channel in range(3):
        made = explain(
            by_hand.model, by_hand.item, "channel-attention", 1,
            channel=channel, layer="second", engine=EXACT,
        )  # fmt: skip
        assert relative(made.values, by_hand.slopes[channel]) < 1e-6
        assert made.provenance.notes == (f"channel {channel} of layer 'second'",)
    best = int(by_hand.evidence.argmax())
    assert by_hand.evidence[best] > 0
    made = explain(
        by_hand.model, by_hand.item, "channel-attention", 1, layer="second", engine=EXACT
    )
    assert relative(made.values, by_hand.slopes[best]) < 1e-6
    (note,) = made.provenance.notes
    assert note == (
        f"channel {best} of layer 'second', Grad-CAM weight times mean activation "
        f"{by_hand.evidence[best]:.3g}"
    )


def test_the_target_only_picks_the_channel() -> None:
    model, item = paper_like(), volumes(1)[0]
    a, b = (explain(model, item, "channel-attention", t, channel=2, engine=EXACT) for t in (0, 1))
    assert np.array_equal(a.values, b.values)
    assert a.provenance.target == "activation of channel 2, whatever the logit of class 0"
    a, b = (explain(model, item, "channel-attention", t, engine=EXACT) for t in (0, 1))
    assert a.provenance.notes != b.provenance.notes
    assert a.provenance.target == "strongest channel for the logit of class 0"


def test_channels_that_do_not_serve() -> None:
    model, item = paper_like(), volumes(1)[0]
    with pytest.raises(InputError, match="channel must not be negative; -1 was given"):
        explain(model, item, "channel-attention", channel=-1)
    with pytest.raises(InputError, match=r"'features.6' has 5 channels, numbered 0 to 4; channel"):
        explain(model, item, "channel-attention", channel=5, engine=EXACT)
    with torch.no_grad():
        model.classifier[-1].weight.copy_(-model.classifier[-1].weight.abs())
    with pytest.warns(VoxplainWarning, match="no channel of layer 'features.6' speaks"):
        made = explain(model, item, "channel-attention", 1, engine=EXACT)
    assert not made.values.any()
