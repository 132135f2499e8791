"""Networks whose output is a number: units, expected values, single logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import voxplain
from voxplain.attribution import METHODS, Engine, expected_value
from voxplain.attribution.network.identity import logits_on_noise
from voxplain.attribution.network.numbers import Output, in_unit
from voxplain.errors import InputError
from voxplain.study import same_request

SHAPE = (7, 8, 6)
EXACT = Engine(precision="exact")


class Head(nn.Module):
    def __init__(self, outputs: int, seed: int = 0, log_softmax: bool = False) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv, self.head = nn.Conv3d(1, 3, 3), nn.Linear(3, outputs)
        self.log_softmax = log_softmax

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = 4 * self.head(torch.relu(self.conv(x)).mean((2, 3, 4)))
        return z.log_softmax(1) if self.log_softmax else z


def volume(seed: int = 0) -> voxplain.Volume:
    values = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)
    return voxplain.Volume(values, voxplain.Grid(SHAPE, np.eye(4)), "01")


@pytest.mark.parametrize("log_softmax", [True, False])
@pytest.mark.parametrize(("low", "high", "bins"), [(42, 82, 40), (0, 3, 6), (-1, 1, 2)])
def test_an_expected_value_and_its_gradient(
    low: float, high: float, bins: int, log_softmax: bool
) -> None:
    net = Head(bins, log_softmax=log_softmax)
    centres = np.linspace(low, high, 2 * bins + 1)[1::2]
    made = voxplain.explain(
        net,
        volume(),
        "gradient",
        target=expected_value(centres),
        output_unit="years",
        engine=EXACT,
    )
    x = torch.from_numpy(volume().values)[None, None].double().requires_grad_()
    z = net.double()(x)
    chances = torch.exp(z) / torch.exp(z).sum()
    mean = sum(float(c) * p for c, p in zip(centres, chances[0], strict=True))
    (gradient,) = torch.autograd.grad(mean, x)
    np.testing.assert_allclose(made.values, gradient[0, 0].numpy(), rtol=2e-4, atol=1e-6)
    assert low < float(mean.detach()) < high
    assert (made.unit, made.target) == ("years per unit of intensity", "expected value")
    assert made.sign.startswith("positive: a brighter voxel raises the number")


def test_a_scaled_output_is_explained_in_its_own_unit() -> None:
    net, mean, scale = Head(1), 47.0, 12.5
    made = voxplain.explain(
        net,
        volume(),
        "gradient",
        target=Output("age", mean, scale),
        output_unit="years",
        engine=EXACT,
    )

    def age(values: np.ndarray) -> float:
        x = torch.from_numpy(values)[None, None].double()
        return float(mean + scale * net.double()(x).detach()[0, 0])

    step = np.zeros(SHAPE)
    for voxel in ((3, 4, 2), (0, 0, 0), (5, 2, 3)):
        step[:] = 0
        step[voxel] = 1e-6
        rise = (age(volume().values + step) - age(volume().values - step)) / 2e-6
        assert made.values[voxel] == pytest.approx(rise, rel=1e-3, abs=1e-6)
    assert made.provenance.target == "age, 47 + 12.5 times the network's output"


@pytest.mark.parametrize("method", ["gradient", "guided-backprop", "grad-cam", "occlusion", "rise"])
def test_no_method_speaks_of_logits_where_there_are_none(method: str) -> None:
    made = voxplain.explain(Head(1), volume(), method, output_unit="years", layer="conv")
    logits = voxplain.explain(
        Head(1), volume(), method, layer="conv", class_names=("a", "b"), target=1
    )
    assert "logit" not in made.unit + made.sign
    assert made.unit == METHODS[method].info.unit.replace("logit", "years")
    np.testing.assert_allclose(made.values, logits.values, rtol=1e-4, atol=1e-6)


def test_units_are_words_in_place_of_logits() -> None:
    assert in_unit("(logit per unit of intensity)²", "years") == "(years per unit of intensity)²"
    made = voxplain.explain(Head(1), volume())
    assert (made.unit, made.target) == ("output per unit of intensity", "output")


@pytest.mark.parametrize(
    ("outputs", "options", "message"),
    [
        (1, {"target": 1, "output_unit": "years"}, r"Target 1 is a class.*\(years\) has none"),
        (1, {"target": "male", "output_unit": "years"}, "Target 'male' is a class"),
        (1, {"target": [1], "output_unit": "years"}, "Target of each volume is a class"),
        (3, {"output_unit": "years"}, "has 3 outputs, which are not one number"),
        (1, {"output_unit": " "}, "output_unit must be a word such as 'years'; ' ' was given"),
        (1, {"output_unit": "years", "class_names": ("a", "b")}, "class_names were given, and an"),
        (3, {"target": expected_value([1, 2])}, "has 3 outputs, and 2 bins were given"),
        (3, {"class_names": ("a", "b")}, "2 class names were given, and the network has 3 outputs"),
        (2, {"class_names": ("a",)}, "1 class name was given, and the network has 2 outputs"),
        (1, {"class_names": ("a", "b", "c")}, "has 1 output; give two, that of class 0 first"),
    ],
)
def test_what_does_not_fit_the_outputs_is_refused(
    outputs: int, options: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        voxplain.explain(Head(outputs), volume(), **options)


@pytest.mark.parametrize("centres", [[1.0], [[1.0, 2.0]], [1.0, np.nan]])
def test_centres_that_are_no_bins(centres: list) -> None:
    with pytest.raises(InputError, match="two or more finite numbers in a row"):
        expected_value(centres)


def test_a_named_logit_predicts_by_its_sign() -> None:
    for seed in range(6):
        net = Head(1, seed)
        z = net(torch.from_numpy(volume().values)[None, None]).item()
        made = voxplain.explain(net, volume(), class_names=("no", "yes"), engine=EXACT)
        raw = voxplain.explain(net, volume(), engine=EXACT)
        assert made.target == ("yes" if z > 0 else "no")
        np.testing.assert_allclose(made.values, raw.values * np.sign(z), atol=1e-7)


def test_several_networks_with_one_logit_agree_on_a_class() -> None:
    nets = [Head(1, seed) for seed in (0, 1, 2)]
    x = torch.from_numpy(volume().values)[None, None]
    chance = np.mean([torch.sigmoid(net(x)).item() for net in nets])
    made = voxplain.explain(nets, volume(), class_names=("no", "yes"), engine=EXACT)
    assert made.target == ("yes" if chance > 0.5 else "no")
    sign = 1 if chance > 0.5 else -1
    each = [voxplain.explain(net, volume(), engine=EXACT).values for net in nets]
    np.testing.assert_allclose(made.values, sign * np.mean(each, 0), atol=1e-7)


def test_a_network_is_known_by_what_it_computes() -> None:
    def told(net: nn.Module) -> dict:
        return {"logits_on_noise": [logits_on_noise(net, SHAPE)]}

    net = Head(2)
    state, flags = torch.get_rng_state(), [m.training for m in net.modules()]
    one = told(net)
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in net.modules()] == flags
    assert same_request(one, told(Head(2)))
    rounded = Head(2).double()
    assert same_request(one, told(rounded))
    assert not same_request(one, told(Head(2, seed=1)))
    assert not same_request(one, told(Head(2, log_softmax=True)))
    assert not same_request({"logits_on_noise": [None]}, {"logits_on_noise": [None]})

    class Refuses(Head):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("no noise please")

    assert logits_on_noise(Refuses(2), SHAPE) is None
