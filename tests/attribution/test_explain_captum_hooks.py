"""Captum's methods that hang hooks on modules, on networks that call functions."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from explain_hand import dense_convolution, relative
from explain_nets import EXACT, STYLES, Rectified, batch, paper_like, volumes
from torch import nn
from torch.nn import functional

from voxplain.attribution import explain
from voxplain.errors import NetworkError, VoxplainWarning
from voxplain.maps import AttributionMap

pytest.importorskip("captum")

SHAPE = (4, 3, 5)
ITEM = volumes(1, SHAPE)[0]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("GuidedBackprop", "guided-backprop"),
        ("Deconvolution", "deconvolution"),
        ("GuidedGradCam", "guided-grad-cam"),
    ],
)
def test_every_spelling_of_a_relu_is_reached(style: str, name: str, own: str) -> None:
    if style == "views" and name == "GuidedGradCam":
        pytest.skip("PyTorch itself cannot differentiate this without a rule")
    net = Rectified(style)
    made = explain(net, ITEM, f"captum:{name}", 1, layer="second", engine=EXACT)
    wanted = explain(net, ITEM, own, 1, layer="second", engine=EXACT)
    assert relative(made.values, wanted.values) < 1e-5
    if style != "views":
        plain = explain(net, ITEM, "gradient", 1, score="logit", engine=EXACT)
        assert relative(made.values, plain.values) > 0.05


def slope_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """DeepLIFT's rescale rule for a ReLU that sees `a`, and `b` at the baseline."""
    same = np.abs(a - b) < 1e-9
    steps = (np.maximum(a, 0) - np.maximum(b, 0)) / np.where(same, 1, a - b)
    return np.where(same, a > 0, steps)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("baseline", [0.0, 0.7])
def test_deeplift_by_dense_matrices(style: str, baseline: float) -> None:
    net = Rectified(style).double()
    first, second = (dense_convolution(c, SHAPE) for c in (net.first, net.second))
    bias = [np.repeat(c.bias.detach().numpy(), 60) for c in (net.first, net.second)]
    seen = []
    for x in (ITEM.values.astype(float).ravel(), np.full(60, baseline)):
        hidden = first @ x + bias[0]
        seen.append((x, hidden, second @ np.maximum(hidden, 0) + bias[1]))
    (x, hidden, again), (x0, hidden0, again0) = seen
    head = np.repeat(net.head.weight.detach().numpy()[1], 60) / 60
    multiplier = second.T @ (head * slope_between(again, again0))
    multiplier = first.T @ (multiplier * slope_between(hidden, hidden0))
    wanted = (multiplier * (x - x0)).reshape(SHAPE)
    made = explain(Rectified(style), ITEM, "captum:DeepLift", 1, baselines=baseline, engine=EXACT)
    assert relative(made.values, wanted) < 1e-4
    assert wanted.sum() == pytest.approx((np.maximum(again, 0) - np.maximum(again0, 0)) @ head)


class Functions(nn.Module):
    """Activations and poolings as functions, in a row, or as modules that do the same."""

    def __init__(self, kind: str, modules: bool) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.conv, self.head = nn.Conv3d(1, 4, 3, padding=1), nn.Linear(4, 2)
        if kind == "softmax":
            nn.init.normal_(self.conv.weight, 0, 1)
        made: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], nn.Module]] = {
            "relu": (functional.relu, nn.ReLU()),
            "relu in place": (lambda z: functional.relu(z, True), nn.ReLU(inplace=True)),
            "sigmoid": (torch.sigmoid, nn.Sigmoid()),
            "method sigmoid": (lambda z: z.sigmoid(), nn.Sigmoid()),
            "tanh": (functional.tanh, nn.Tanh()),
            "tanh in place": (lambda z: z.tanh_(), nn.Tanh()),
            "elu": (lambda z: functional.elu(z, 0.5), nn.ELU(0.5)),
            "leaky": (lambda z: functional.leaky_relu(z, 0.2, True), nn.LeakyReLU(0.2)),
            "softplus": (lambda z: functional.softplus(z, beta=2), nn.Softplus(2)),
            "softmax": (lambda z: z.softmax(1), nn.Softmax(1)),
            "max-pool": (lambda z: functional.max_pool3d(z, 2, 1), nn.MaxPool3d(2, 1)),
            "max-pool of PyTorch": (lambda z: torch.max_pool3d(z, 2, 1), nn.MaxPool3d(2, 1)),
        }
        self.inner = made[kind][1] if modules else None
        self.function = made[kind][0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.conv(x)
        hidden = self.function(hidden) if self.inner is None else self.inner(hidden)
        return self.head(functional.max_pool3d(functional.relu(hidden - 0.1), 2).mean((2, 3, 4)))


def told_by(run: Callable[[], AttributionMap]) -> tuple[AttributionMap, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = run()
    return made, [str(w.message) for w in caught if issubclass(w.category, VoxplainWarning)]


SUMS = "adds up to"


@pytest.mark.parametrize(
    "kind",
    [
        *("relu", "relu in place", "sigmoid", "method sigmoid", "tanh", "tanh in place", "elu"),
        *("leaky", "softplus", "softmax", "max-pool", "max-pool of PyTorch"),
    ],
)
def test_deeplift_adds_up_however_activations_are_written_or_says_that_it_does_not(
    kind: str,
) -> None:
    maps = []
    for modules in (False, True):
        net = Functions(kind, modules)
        made, told = told_by(lambda n=net: explain(n, ITEM, "captum:DeepLift", 1, engine=EXACT))
        with torch.no_grad():
            x = batch([ITEM])
            difference = float((net(x) - net(torch.zeros_like(x)))[0, 1])
        adds_up = bool(np.isclose(made.values.sum(), difference, rtol=1e-2, atol=1e-5))
        assert [SUMS in one for one in told] == [True] * (not adds_up)
        # Captum's own rules for a softmax inside a network, and for windows that overlap.
        assert adds_up is not (kind == "softmax" or kind.startswith("max-pool"))
        maps.append(made.values)
    assert relative(*maps) < 1e-5


class Shortcut(nn.Module):
    """The input of a ReLU goes past it too, as in pre-activation networks."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.first, self.second = nn.Conv3d(1, 4, 3, padding=1), nn.Conv3d(4, 4, 3, padding=1)
        self.relu, self.last, self.head = nn.ReLU(), nn.ReLU(), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.first(x)
        return self.head(self.last(hidden + self.second(self.relu(hidden))).mean((2, 3, 4)))


@pytest.mark.parametrize("name", ["GuidedBackprop", "Deconvolution"])
def test_what_goes_past_a_relu_keeps_its_gradient(name: str) -> None:
    attr = pytest.importorskip("captum.attr")
    net = Shortcut()
    made = explain(net, ITEM, f"captum:{name}", 1, engine=EXACT).values
    own = explain(net, ITEM, name.lower().replace("guidedb", "guided-b"), 1, engine=EXACT).values
    assert relative(made, own) < 1e-5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bare = getattr(attr, name)(net).attribute(batch([ITEM]), 1)[0, 0].detach().numpy()
    assert relative(bare, own) > 0.1


def test_deeplift_adds_up_where_a_shortcut_goes_past_a_relu() -> None:
    net = Shortcut()
    made = explain(net, ITEM, "captum:DeepLift", 1, engine=EXACT)
    with torch.no_grad():
        difference = float((net(batch([ITEM])) - net(torch.zeros(1, 1, *SHAPE)))[0, 1])
    assert made.values.sum() == pytest.approx(difference, rel=1e-4)


class Gelu(nn.Module):
    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.act, self.head = nn.Conv3d(1, 4, 3, padding=1), activation, nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.act(3 * self.conv(x)).mean((2, 3, 4)))


@pytest.mark.parametrize(
    ("activation", "words"),
    [
        (nn.GELU(), r"no rule for gelu \(1\)"),
        (nn.SiLU(), r"no rule for silu \(1\)"),
        (nn.ReLU6(), r"no rule for hardtanh \(1\)"),
        (nn.PReLU(), r"no rule for prelu \(1\)"),
        (nn.Hardtanh(), r"no rule for hardtanh \(1\)"),
    ],
)
def test_an_activation_without_a_rule_is_told(activation: nn.Module, words: str) -> None:
    made, told = told_by(
        lambda: explain(Gelu(activation), ITEM, "captum:DeepLift", 1, engine=EXACT)
    )
    assert re.search(words, told[0])
    assert "the map is not DeepLIFT in full" in made.provenance.notes[1]
    assert [SUMS in one for one in told[1:]] == [True]


def test_a_map_that_does_not_add_up_is_told() -> None:
    class Squared(Gelu):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.conv(x).square().mean((2, 3, 4)))

    words = r"DeepLift adds up to .* where the logit differs from the baseline's by "
    with pytest.warns(VoxplainWarning, match=words):
        explain(Squared(nn.Identity()), ITEM, "captum:DeepLift", 1, engine=EXACT)


@pytest.mark.parametrize("name", ["GuidedBackprop", "Deconvolution", "GuidedGradCam"])
def test_a_network_without_relus_is_refused(name: str) -> None:
    with pytest.raises(NetworkError, match=f"Gelu runs no ReLU, so Captum's {name} would"):
        explain(Gelu(nn.GELU()), ITEM, f"captum:{name}", 1, layer="conv", engine=EXACT)


@pytest.mark.parametrize("name", ["GuidedBackprop", "DeepLift"])
def test_torchscript_is_refused(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        net = torch.jit.trace(Rectified("module").eval(), batch([ITEM]))
    with pytest.raises(
        NetworkError, match=f"TorchScript modules, which the hooks of Captum's {name}"
    ):
        explain(net, ITEM, f"captum:{name}", 1, engine=EXACT)


def test_other_activations_are_noted_for_the_rules_of_relus() -> None:
    class Mixed(Gelu):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.relu())

    made = explain(Mixed(nn.GELU()), ITEM, "captum:GuidedBackprop", 1, engine=EXACT)
    assert made.provenance.notes[1] == "other activations keep their plain gradient: gelu (1)"


def test_a_network_that_changes_its_mind_is_refused() -> None:
    class Moody(Rectified):
        calls = 0

        def relu(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return x.tanh() if self.calls > 8 else x.relu()

    with pytest.raises(NetworkError, match="other activations on this pass than on the one before"):
        explain(Moody("functional"), ITEM, "captum:DeepLift", 1, engine=EXACT)


@pytest.mark.parametrize("name", ["DeepLift", "Saliency", "LayerGradCam"])
def test_warnings_from_inside_are_passed_on_once(name: str) -> None:
    class Warns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = paper_like()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if torch.is_grad_enabled():
                warnings.warn("an odd scale.", UserWarning, stacklevel=1)
                warnings.warn("old style", DeprecationWarning, stacklevel=1)
            return self.net(x)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        made = explain(
            Warns(), volumes(1)[0], f"captum:{name}", 1, layer="net.features.4", engine=EXACT
        )
    assert made.provenance.notes[1:] == (f"Captum's {name} warns: an odd scale",)
    own = [str(w.message) for w in told if issubclass(w.category, VoxplainWarning)]
    assert own == [f"Subject 00: Captum's {name} warns: an odd scale."]


def test_tokens_are_laid_out_where_captum_needs_no_channels() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.patch, self.mix = nn.Conv3d(1, 6, 2, 2), nn.Linear(6, 6)
            self.head = nn.Linear(6, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.mix(self.patch(x).flatten(2).transpose(1, 2)).relu().mean(1))

    net, item = Tokens(), volumes(1, (4, 6, 8))[0]
    made = explain(net, item, "captum:LayerGradientXActivation", 1, layer="mix", engine=EXACT)
    own = explain(net, item, "hirescam", 1, layer="mix", engine=EXACT)
    assert relative(made.values, own.values) < 1e-5
    for name, other in (("LayerGradCam", "grad-cam"), ("GuidedGradCam", "guided-grad-cam")):
        with pytest.raises(NetworkError, match=f"second axis of layer 'mix'.*use method '{other}'"):
            explain(net, item, f"captum:{name}", 1, layer="mix", engine=EXACT)
