"""Layer-wise relevance propagation against dense matrices, closed forms and Captum."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from explain_nets import EXACT, Rectified, batch, paper_like, volumes
from lrp_by_hand import TINY, Tiny, by_hand, relevance
from torch import nn

from voxplain.attribution.run import explain
from voxplain.nets import MRINet


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("first", ["same", "flat", "w2"])
@pytest.mark.parametrize(
    ("rule", "how"),
    [
        ("composite", {"epsilon": 0.01, "beta": 1.0}),
        ("epsilon", {"epsilon": 0.25, "beta": 1.0}),
        ("epsilon", {"epsilon": 0.0, "beta": 1.0}),
        ("alpha-beta", {"epsilon": 0.01, "beta": 0.5}),
        ("alpha-beta", {"epsilon": 0.01, "beta": 0.0}),
    ],
)
def test_every_rule_by_dense_matrices(rule: str, how: dict[str, float], first: str) -> None:
    model = Tiny()
    items = volumes(2, TINY, seed=2)
    x = batch(items).double()
    made = relevance(model, x, 1, rule=rule, first=first, **how)
    for row in range(2):
        wanted, _ = by_hand(model, x[row : row + 1], 1, rule, first, **how)
        assert np.abs(wanted).max() > 1e-4
        assert relative(made[row], wanted) < 1e-10
    lowered = explain(model, items, "lrp", 1, rule=rule, first=first, **how)
    assert relative(np.stack([m.values for m in lowered]), made) < 1e-5


def test_a_tiny_part_against_a_unit_is_not_rounding() -> None:
    """Contributions of 1 and -1e-4 are both shared out; none at all leaves the other everything."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 2, bias=False)).double()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1.0, -1e-4, 0.0], [2.0, 3.0, 0.0]]))
    x = torch.ones(1, 1, 1, 1, 3, dtype=torch.float64)
    mixed = relevance(model, x, 0, rule="alpha-beta", first="same").ravel()
    assert mixed == pytest.approx(0.9999 * np.array([2, -1, 0]))
    alone = relevance(model, x, 1, rule="alpha-beta", first="same").ravel()
    assert alone == pytest.approx([2, 3, 0])


def without_biases(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.Conv3d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.BatchNorm3d):
            nn.init.zeros_(module.bias)
            module.running_mean.zero_()
    return model


def test_the_parts_add_up_to_the_logit_without_biases() -> None:
    model = without_biases(Tiny())
    x = batch(volumes(3, TINY, seed=2)).double()
    with torch.no_grad():
        logits = model(x)[:, 1].numpy()
    assert np.abs(logits).min() > 0.01
    for options in ({"rule": "epsilon"}, {}, {"rule": "alpha-beta"}, {"beta": 0.0}):
        for first in ("same", "flat", "w2"):
            made = relevance(model, x, 1, epsilon=0.0, first=first, **options)
            assert made.sum((1, 2, 3)) == pytest.approx(logits, rel=1e-9)


def test_epsilon_zero_is_input_times_gradient_without_biases() -> None:
    """Theorem of Ancona et al. 2018 (and of Shrikumar et al. 2016) for ReLU networks."""
    model = without_biases(paper_like(3).double())
    x = batch(volumes(2)).double().requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[:, 2].sum(), x)
    wanted = (x * gradient).detach()[:, 0].numpy()
    made = relevance(model, x.detach(), 2, rule="epsilon", first="same", epsilon=0.0)
    assert relative(made, wanted) < 1e-12


def test_a_layer_read_before_and_after_its_batch_norm_keeps_both_readers() -> None:
    class Forked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(2)
            self.conv, self.norm = nn.Conv3d(1, 3, 3), nn.BatchNorm3d(3)
            self.head = nn.Linear(3, 2)
            nn.init.normal_(self.norm.weight)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.conv(x)
            return self.head((torch.relu(self.norm(h)) + torch.relu(h)).mean((2, 3, 4)))

    model = without_biases(Forked().double()).eval()
    x = batch(volumes(2)).double().requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[:, 1].sum(), x)
    made = relevance(model, x.detach(), rule="epsilon", first="same", epsilon=0.0)
    assert relative(made, (x * gradient).detach()[:, 0].numpy()) < 1e-12


def test_the_note_accounts_for_the_logit() -> None:
    model, item = paper_like(), volumes(1)[0]
    made = explain(model, item, "lrp", 1, engine=EXACT)
    logit = EXACT.logits(model, [item])[0, 1]
    total = made.values.sum()
    assert made.provenance.notes == (
        f"sum of the map {total:.4g}, relevance at the logits {logit:.4g}, absorbed by biases and "
        f"the stabiliser {logit - total:.4g}",
    )
    assert made.provenance.target == "logit of class 1"


def test_the_margin_of_two_classes_is_the_difference_of_two_maps() -> None:
    model, item = paper_like(2), volumes(1)[0]
    margin = explain(model, item, "lrp", 1, rule="epsilon", score="margin", engine=EXACT)
    one, zero = (explain(model, item, "lrp", t, rule="epsilon", engine=EXACT) for t in (1, 0))
    assert relative(margin.values, one.values - zero.values) < 1e-5
    assert margin.provenance.target == "logit margin of class 1"


@pytest.mark.parametrize("first", ["same", "flat", "w2"])
def test_black_voxels_have_relevance_only_where_intensity_does_not_count(first: str) -> None:
    values = batch(volumes(1))
    values[0, 0, 2] = 0
    made = relevance(paper_like(), values, first=first)[0]
    assert (np.abs(made[2]).max() == 0) == (first == "same")


@pytest.mark.parametrize("rule", ["composite", "epsilon", "alpha-beta"])
def test_rescaling_a_layer_changes_nothing(rule: str) -> None:
    model = paper_like().double()
    x = batch(volumes(2)).double()
    before = relevance(model, x, rule=rule, epsilon=0.2)
    with torch.no_grad():
        for part in (model.features[1].weight, model.features[1].bias):
            part *= 8
        model.features[5].running_mean *= 8
        model.features[5].running_var *= 64
        model.features[5].eps *= 64
        model.features[4].bias *= 8
        again = relevance(model, x, rule=rule, epsilon=0.2)
    assert relative(again, before) < 1e-9


def test_stabiliser_shrinks_relevance() -> None:
    model, x = paper_like().double(), batch(volumes(1)).double()
    sizes = [
        np.abs(relevance(model, x, rule="epsilon", first="same", epsilon=e)).sum()
        for e in (0, 0.01, 0.25, 10)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.1 * sizes[0]


def test_every_way_to_write_relu_passes_relevance() -> None:
    items = volumes(2)
    wanted = explain(Rectified("module"), items, "lrp", 1, engine=EXACT)
    for style in ("module in place", "functional in place", "torch.relu_", "Tensor.relu"):
        made = explain(Rectified(style), items, "lrp", 1, engine=EXACT)
        for a, b in zip(made, wanted, strict=True):
            assert relative(a.values, b.values) < 1e-6


def residual() -> nn.Module:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.stem = nn.Conv3d(1, 3, 3, padding=1)
            self.conv, self.norm = nn.Conv3d(3, 3, 3, padding=1), nn.BatchNorm3d(3)
            self.relu, self.head = nn.ReLU(inplace=True), nn.Linear(3, 2)
            self.style = "out of place"

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            skip = self.relu(self.stem(x))
            out = self.norm(self.conv(skip))
            if self.style == "in place":
                out += skip
            else:
                out = skip + out
            return self.head(self.relu(out).mean((2, 3, 4)))

    return Residual()


def test_a_sum_in_place_is_a_sum() -> None:
    model, items = residual(), volumes(2)
    wanted = explain(model, items, "lrp", 1, engine=EXACT)
    model.style = "in place"
    for a, b in zip(explain(model, items, "lrp", 1, engine=EXACT), wanted, strict=True):
        assert np.abs(b.values).max() > 0
        assert relative(a.values, b.values) < 1e-6


def test_the_papers_network() -> None:
    torch.manual_seed(0)
    model = MRINet((24, 28, 26), channels=(4, 8, 8))
    items = volumes(2, (24, 28, 26))
    exact = explain(model, items, "lrp", 1, engine=EXACT)
    for a, b in zip(explain(model, items, "lrp", 1), exact, strict=True):
        assert np.abs(b.values).max() > 0
        assert relative(a.values, b.values) < 1e-4


@pytest.mark.parametrize("rule", ["epsilon", "alpha-beta"])
def test_captum_agrees(rule: str) -> None:
    """Captum's epsilon is absolute, near zero here; its other rule has alpha = 1 and beta = 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        captum_attr = pytest.importorskip("captum.attr")
        rules = pytest.importorskip("captum.attr._utils.lrp_rules")
    torch.manual_seed(4)
    model = nn.Sequential(
        *(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(4, 5, 2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(5 * 1 * 2 * 2, 2)),
    ).double()
    positive = rule == "alpha-beta"
    # Its positive rule keeps negative biases and looks at the signs of weights alone.
    x = batch(volumes(2)).double().abs()
    if positive:
        nn.init.zeros_(model[0].bias)
        nn.init.zeros_(model[3].bias)
    oracle = copy.deepcopy(model)
    for layer in oracle:
        # It knows neither by itself.
        if isinstance(layer, nn.Conv3d):
            layer.rule = rules.Alpha1_Beta0_Rule() if positive else rules.EpsilonRule(1e-12)
        if isinstance(layer, nn.Flatten):
            layer.rule = rules.EpsilonRule(1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = captum_attr.LRP(oracle).attribute(x.clone(), 1)[:, 0].detach().numpy()
    options = {"rule": "composite", "beta": 0.0} if positive else {"rule": "epsilon"}
    made = relevance(model, x, 1, epsilon=0.0, first="same", **options)
    assert relative(made, wanted) < 1e-6
