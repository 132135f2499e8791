"""Agreement with Captum, MONAI's networks, and the defects found in peers."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from explain_nets import EXACT, SHAPE, batch, paper_like, volumes
from torch import nn

from voxplain.attribution import METHODS, Engine
from voxplain.attribution.run import explain
from voxplain.volume import Volume

FEW_PASSES = {"smoothgrad": {"samples": 2}, "integrated-gradients": {"steps": 2}}

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    captum_attr = pytest.importorskip("captum.attr")
    monai_nets = pytest.importorskip("monai.networks.nets")


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("layer", ["features.6", "features.5", "features.2", "features.0"])
@pytest.mark.filterwarnings("ignore:Subject .* zero everywhere")
@pytest.mark.parametrize("target", [0, 1])
def test_grad_cam_equals_captum(layer: str, target: int) -> None:
    model, items = paper_like(), volumes(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cam = captum_attr.LayerGradCam(model, model.get_submodule(layer)).attribute(
            batch(items), target, relu_attributions=True
        )
    wanted = captum_attr.LayerAttribution.interpolate(cam, SHAPE, "trilinear")
    wanted = wanted[:, 0].detach().numpy()
    made = explain(model, items, "grad-cam", target, layer=layer, engine=EXACT)
    lowered = explain(model, items, "grad-cam", target, layer=layer, engine=Engine("cpu"))
    assert relative(np.stack([m.values for m in made]), wanted) < 1e-5
    assert relative(np.stack([m.values for m in lowered]), wanted) < 1e-4


@pytest.mark.parametrize("target", [0, 1])
def test_guided_backprop_equals_captum(target: int) -> None:
    model, items = paper_like(), volumes(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = batch(items).requires_grad_()
        wanted = captum_attr.GuidedBackprop(model).attribute(x, target)[:, 0].detach().numpy()
    made = explain(model, items, "guided-backprop", target, engine=EXACT)
    lowered = explain(model, items, "guided-backprop", target, engine=Engine("cpu"))
    assert relative(np.stack([m.values for m in made]), wanted) < 1e-5
    assert relative(np.stack([m.values for m in lowered]), wanted) < 1e-4


@pytest.fixture(scope="module", params=["DenseNet121", "resnet18"])
def monai_case(request: pytest.FixtureRequest) -> tuple[nn.Module, Volume, str]:
    """Each with its layers and joints, a quarter as wide, and the deep one with fewer of a kind."""
    # Grad-CAM may be zero everywhere in an untrained network; of these two it is not.
    torch.manual_seed(0 if request.param == "DenseNet121" else 1)
    if request.param == "DenseNet121":
        # Its last block is down to a single voxel here.
        thin = {"block_config": (2, 4, 6, 4), "init_features": 16, "growth_rate": 8}
        net = monai_nets.DenseNet121(spatial_dims=3, in_channels=1, out_channels=2, **thin)
        return net, volumes(1, (32, 34, 36))[0], "features.transition3.conv"
    net = monai_nets.resnet18(spatial_dims=3, n_input_channels=1, num_classes=2, widen_factor=0.25)
    return net, volumes(1, (18, 20, 22))[0], "layer4.1.act"


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[Engine, Engine]]:
    """All methods share the examination of a network, and its faster copies."""
    with Engine().run() as auto, EXACT.run() as exact:
        yield auto, exact


FEW_PASSES: dict[str, dict[str, object]] = {
    "occlusion": {"block": 100.0, "stride": 100.0},
    "region-ablation": {"cell": 150.0},
    "region-shapley": {"cell": 150.0, "permutations": 2},
    "rise": {"masks": 6, "cell": 100.0},
    "integrated-gradients": {"steps": 4},
    "smoothgrad": {"samples": 4},
}


# The deep one takes seconds a method; these run every kind of kernel.
ALSO_DEEP = ("gradient", "grad-cam", "guided-backprop", "lrp", "meaningful-perturbation")


@pytest.mark.filterwarnings("ignore::voxplain.errors.VoxplainWarning")
@pytest.mark.parametrize(
    ("monai_case", "name"),
    [("DenseNet121", name) for name in ALSO_DEEP]
    # Pattern needs many scans; its passes are the gradient's.
    + [("resnet18", name) for name in sorted(METHODS) if name != "pattern"],
    indirect=["monai_case"],
)
def test_monai_networks(
    monai_case: tuple[nn.Module, Volume, str], engines: tuple[Engine, Engine], name: str
) -> None:
    (model, item, layer), (auto, bare) = monai_case, engines
    few = {
        "meaningful-perturbation": {"optimiser": {"iterations": 2}},
        "extremal-perturbation": {"iterations": 2},
    }
    if name in few:
        made = explain(model, item, name, engine=auto, **few[name])
        assert 0 <= made.values.min() <= made.values.max() <= 1
        return
    options = FEW_PASSES.get(name, {})
    made = explain(model, item, name, engine=auto, **options)
    assert "batch norm folded" in made.provenance.precision
    assert made.provenance.layer == (layer if METHODS[name].needs.layer else None)
    exact = explain(model, item, name, engine=bare, **options).values
    assert np.abs(exact).max() > 0
    # In float32 a unit here and there lies so near zero that rounding decides its ReLU.
    assert np.linalg.norm(made.values - exact) < 1e-2 * np.linalg.norm(exact)


def test_the_folding_of_monai_networks_is_exact_but_for_rounding(
    monai_case: tuple[nn.Module, Volume, str],
) -> None:
    model, item, _ = monai_case
    double = copy.deepcopy(model).double()
    exact = explain(double, item, "gradient", engine=EXACT)
    made = explain(double, item, "gradient")
    assert made.provenance.precision == "float64, batch norm folded, channels last"
    assert relative(made.values, exact.values) < 1e-6


def test_b1_one_weight_a_channel() -> None:
    """ClinicaDL leaves one axis out of the spatial mean, so weights differ along it."""
    model, item = paper_like(), volumes(1)[0]
    wide = explain(model, item, "grad-cam", 1, relu=False, layer="features.0", engine=EXACT)
    x = batch([item])
    with torch.no_grad():
        a = model.features[:1](x)
    leaf = a.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model.classifier(model.features[1:](leaf))[0, 1], leaf)
    right = (gradient.mean((2, 3, 4), keepdim=True) * a).sum(1)[0].numpy()
    wrong = (gradient.mean((2, 3), keepdim=True) * a).sum(1)[0].numpy()
    assert relative(wide.values, right) < 1e-5
    assert relative(wide.values, wrong) > 0.1


def test_b2_a_batch_does_not_sum_over_predicted_classes() -> None:
    """MONAI explains the sum of all classes predicted in the batch."""
    model, items = paper_like(), volumes(6)
    winners = EXACT.logits(model, items).argmax(1)
    assert len(set(winners.tolist())) == 2
    made = explain(model, items, "grad-cam", relu=False, engine=EXACT)
    for item, one, winner in zip(items, made, winners, strict=True):
        alone = explain(model, item, "grad-cam", int(winner), relu=False, engine=EXACT)
        both = [
            explain(model, item, "grad-cam", t, relu=False, engine=EXACT).values for t in (0, 1)
        ]
        assert relative(one.values, alone.values) < 1e-5
        assert relative(one.values, both[0] + both[1]) > 0.1


def test_b3_and_b6_maps_are_raw() -> None:
    """MONAI turns maps upside down and scales each to [0, 1]; pytorch-grad-cam scales too."""
    model, item = paper_like(), volumes(1)[0]
    base = explain(model, item, "grad-cam", 1, relu=False, engine=EXACT).values
    with torch.no_grad():
        model.classifier[-1].weight.mul_(3)
    tripled = explain(model, item, "grad-cam", 1, relu=False, engine=EXACT).values
    assert relative(tripled, 3 * base) < 1e-5
    assert base.min() < 0 < base.max()


def test_b4_relus_are_found_by_what_they_do_and_not_by_name() -> None:
    """MONAI looks for modules called "relu": numbered ones are missed, containers replaced."""
    torch.manual_seed(0)
    parts = [nn.Conv3d(1, 3, 3), nn.ReLU(), nn.Conv3d(3, 3, 3), nn.ReLU(), nn.Flatten()]
    numbered = nn.Sequential(*parts, nn.Linear(3 * 3 * 4 * 5, 2))
    named = nn.Sequential()
    named.add_module("conv_relu", numbered[:2])
    named.add_module("rest", numbered[2:])
    item = volumes(1)[0]
    a = explain(numbered, item, "guided-backprop", 1, engine=EXACT).values
    b = explain(named, item, "guided-backprop", 1, engine=EXACT).values
    plain = explain(numbered, item, "gradient", 1, score="logit", engine=EXACT).values
    assert np.array_equal(a, b)
    assert relative(a, plain) > 0.1


def test_b7_defaults_are_the_papers() -> None:
    """Captum's Grad-CAM keeps the negative part, interpolates nearest; its Saliency is unsigned."""
    model, items = paper_like(), volumes(4)
    cams = np.stack([m.values for m in explain(model, items, "grad-cam", 1, engine=EXACT)])
    raw = explain(model, items, "grad-cam", 1, relu=False, engine=EXACT)
    assert cams.min() == 0 < cams.max()
    assert min(m.values.min() for m in raw) < 0
    for cam in cams[cams.any((1, 2, 3))]:
        assert len(np.unique(cam)) > cam.size // 4
    assert explain(model, items[0], "gradient", 1).values.min() < 0
