"""Captum's methods through the bridge: what Captum itself gives, and none of its traces."""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from explain_nets import EXACT, SHAPE, batch, paper_like, volumes
from torch import nn
from torch.nn import functional

from voxplain.attribution import METHODS
from voxplain.attribution.methods import make_method
from voxplain.attribution.methods.captum.bridge import CAPTUM_NAMES, captum_method
from voxplain.attribution.methods.cubes import cubes
from voxplain.attribution.run import explain
from voxplain.errors import InputError, NetworkError

pytestmark = pytest.mark.filterwarnings("ignore::voxplain.errors.VoxplainWarning")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    attr = pytest.importorskip("captum.attr")

Direct = Callable[[nn.Module, torch.Tensor], torch.Tensor]


def halves() -> np.ndarray:
    labels = np.zeros(SHAPE, np.int64)
    labels[3:] = 1
    labels[:, 5:] += 2
    return labels


MASK = torch.from_numpy(halves())[None, None]
TWO = torch.zeros(2, 1, *SHAPE)
FEATURES = {"feature_mask": halves()}
# Of each method: options of the bridge, and Captum called by hand for class 1.
CASES: dict[str, tuple[dict[str, object], Direct]] = {
    "Saliency": ({}, lambda net, x: attr.Saliency(net).attribute(x, 1, abs=False)),
    "InputXGradient": ({}, lambda net, x: attr.InputXGradient(net).attribute(x, 1)),
    "IntegratedGradients": (
        {"n_steps": 7},
        lambda net, x: attr.IntegratedGradients(net).attribute(x, target=1, n_steps=7),
    ),
    "DeepLift": ({}, lambda net, x: attr.DeepLift(net).attribute(x, target=1)),
    "DeepLiftShap": ({}, lambda net, x: attr.DeepLiftShap(net).attribute(x, TWO, target=1)),
    "GradientShap": (
        {"n_samples": 3, "stdevs": 0.1},
        lambda net, x: attr.GradientShap(net).attribute(x, TWO, n_samples=3, stdevs=0.1, target=1),
    ),
    "GuidedBackprop": ({}, lambda net, x: attr.GuidedBackprop(net).attribute(x, 1)),
    "Deconvolution": ({}, lambda net, x: attr.Deconvolution(net).attribute(x, 1)),
    "Occlusion": (
        {"sliding_window_shapes": [3, 4, 5], "strides": [2, 4, 2]},
        lambda net, x: attr.Occlusion(net).attribute(x, (1, 3, 4, 5), (1, 2, 4, 2), target=1),
    ),
    "FeatureAblation": (
        FEATURES | {"baselines": 0.5},
        lambda net, x: attr.FeatureAblation(net).attribute(x, 0.5, 1, feature_mask=MASK),
    ),
    "ShapleyValueSampling": (
        FEATURES | {"n_samples": 3},
        lambda net, x: attr.ShapleyValueSampling(net).attribute(
            x, target=1, feature_mask=MASK, n_samples=3
        ),
    ),
    "Lime": (
        FEATURES | {"n_samples": 20},
        lambda net, x: attr.Lime(net).attribute(x, target=1, feature_mask=MASK, n_samples=20),
    ),
    "KernelShap": (
        FEATURES | {"n_samples": 20},
        lambda net, x: attr.KernelShap(net).attribute(x, target=1, feature_mask=MASK, n_samples=20),
    ),
    "GuidedGradCam": (
        {},
        lambda net, x: attr.GuidedGradCam(net, net.features[4]).attribute(
            x, 1, interpolate_mode="trilinear"
        ),
    ),
    "LayerGradCam": ({}, lambda net, x: attr.LayerGradCam(net, net.features[4]).attribute(x, 1)),
    "LayerGradientXActivation": (
        {},
        lambda net, x: attr.LayerGradientXActivation(net, net.features[4]).attribute(x, 1),
    ),
    "LayerConductance": (
        {"n_steps": 5},
        lambda net, x: attr.LayerConductance(net, net.features[4]).attribute(
            x, target=1, n_steps=5
        ),
    ),
    "LayerIntegratedGradients": (
        {"n_steps": 5},
        lambda net, x: attr.LayerIntegratedGradients(net, net.features[4]).attribute(
            x, target=1, n_steps=5
        ),
    ),
    "InternalInfluence": (
        {"n_steps": 5},
        lambda net, x: attr.InternalInfluence(net, net.features[4]).attribute(
            x, target=1, n_steps=5
        ),
    ),
    "LayerDeepLift": (
        {},
        lambda net, x: attr.LayerDeepLift(net, net.features[4]).attribute(x, target=1),
    ),
    "LayerDeepLiftShap": (
        {},
        lambda net, x: attr.LayerDeepLiftShap(net, net.features[4]).attribute(x, TWO, target=1),
    ),
    "LayerGradientShap": (
        {"n_samples": 3},
        lambda net, x: attr.LayerGradientShap(net, net.features[4]).attribute(
            x, TWO, n_samples=3, target=1
        ),
    ),
}


class Copied(nn.Module):
    """A module that is given a copy, so that Captum's hooks on it and its neighbour do not meet."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x.clone())


def with_copies(model: nn.Module) -> nn.Module:
    for place, module in enumerate(model.features):
        if isinstance(module, nn.ReLU | nn.MaxPool3d):
            model.features[place] = Copied(module)
    return model


def test_every_name_of_the_bridge_has_a_case() -> None:
    assert {f"captum:{name}" for name in CASES} == CAPTUM_NAMES


def by_hand(direct: Direct, model: nn.Module, x: torch.Tensor) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(3)
        np.random.seed(3)  # noqa: NPY002
        made = direct(model, x.clone()).detach().sum(1, keepdim=True)
    return functional.interpolate(made, SHAPE, mode="trilinear")[0, 0].numpy()


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_map_is_captums(name: str) -> None:
    options, direct = CASES[name]
    model, items = paper_like(), volumes(2)
    made = explain(
        model, items, f"captum:{name}", 1, layer="features.4", seed=3, engine=EXACT, **options
    )
    for item, one in zip(items, made, strict=True):
        # Bare Captum hangs the hooks of a ReLU and of the pooling after it on one tensor, and then
        # DeepLIFT does not add up.
        bare = with_copies(paper_like()) if "DeepLift" in name else model
        wanted = by_hand(direct, bare, batch([item]))
        assert np.abs(wanted).max() > 0
        assert np.abs(one.values - wanted).max() < 1e-5 * np.abs(wanted).max()
    assert made[0].provenance.notes == (f"captum {importlib.metadata.version('captum')}",)
    json.dumps(made[0].provenance.to_dict())
    with np.testing.assert_raises(AssertionError):
        np.testing.assert_allclose(made[0].values, made[1].values, rtol=1e-3)


@pytest.mark.parametrize("name", sorted(CASES))
def test_defaults_run_and_a_failure_leaves_nothing_behind(name: str) -> None:
    class Failing(nn.Module):
        """Fails with a gradient on its way, or at the second pass after the engine's checks."""

        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            if self.calls > 3:
                raise ZeroDivisionError("trap")
            return x

    model = paper_like(inplace=True)
    model.features.append(Failing())
    before = [
        (module, {k: v for k, v in vars(module).items() if not k.endswith("hooks")})
        for module in model.modules()
    ]
    state = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    with pytest.raises((ZeroDivisionError, NetworkError), match="trap"):
        explain(model, volumes(1)[0], f"captum:{name}", 1, layer="features.4", engine=EXACT)
    model.features[-1] = nn.Identity()
    made = explain(model, volumes(1)[0], f"captum:{name}", 1, layer="features.4", engine=EXACT)
    assert np.abs(made.values).max() > 0
    assert torch.equal(torch.get_rng_state(), state[0])
    assert str(np.random.get_state()) == state[1]  # noqa: NPY002
    for module, attributes in before[:-1]:
        now = {k: v for k, v in vars(module).items() if not k.endswith("hooks")}
        assert now.keys() == attributes.keys()
        assert getattr(module, "inplace", None) is attributes.get("inplace")
        assert not any(len(v) for k, v in vars(module).items() if k.endswith("_hooks"))


def test_in_place_relus_do_not_change_the_map() -> None:
    item = volumes(1)[0]
    for name in ("captum:GuidedBackprop", "captum:DeepLift", "captum:GuidedGradCam"):
        plain = explain(paper_like(), item, name, 1, engine=EXACT).values
        in_place = explain(paper_like(inplace=True), item, name, 1, engine=EXACT).values
        assert np.array_equal(plain, in_place)


def test_features_are_cubes_and_blocks_have_millimetres() -> None:
    item = volumes(1)[0]
    made = explain(paper_like(), item, "captum:FeatureAblation", 1, engine=EXACT).values
    labels = cubes(SHAPE, [24 / size for size in item.grid.voxel_size])
    ours = explain(
        paper_like(), item, "region-ablation", 1,
        regions=labels, reference="zero", score="logit", engine=EXACT,
    )  # fmt: skip
    assert np.abs(made - ours.values).max() < 1e-5 * np.abs(made).max()
    occlusion = explain(paper_like(), item, "captum:Occlusion", 1, engine=EXACT).values
    by_hand = explain(
        paper_like(), item, "captum:Occlusion", 1,
        sliding_window_shapes=(2, 2, 3), strides=(1, 1, 1), engine=EXACT,
    )  # fmt: skip
    assert np.array_equal(occlusion, by_hand.values)


def test_names_are_found_and_not_listed() -> None:
    assert "captum:Saliency" in METHODS
    assert "captum:Salience" not in METHODS
    assert not any(name.startswith("captum:") for name in METHODS)
    assert METHODS["captum:Saliency"] is METHODS["captum:Saliency"]
    assert METHODS["captum:Saliency"].info.label == "Captum Saliency"
    assert METHODS["captum:LayerGradCam"].needs.layer
    assert METHODS["captum:Saliency"].needs.modules
    assert make_method("captum:IntegratedGradients", {"n_steps": 3}).info.name == (
        "captum:IntegratedGradients"
    )
    with pytest.raises(InputError, match=r"Unknown Captum method 'captum:Salience'; .*Did you m"):
        explain(paper_like(), volumes(1)[0], "captum:Salience")
    with pytest.raises(InputError, match=r"Unknown method 'oclusion'.*captum:<Name>.*'occlusion'"):
        explain(paper_like(), volumes(1)[0], "oclusion")
    with pytest.raises(InputError, match="'captum:Saliency' has no option 'n_steps'; its options"):
        explain(paper_like(), volumes(1)[0], "captum:Saliency", n_steps=3)


def test_defaults_are_told_as_the_bridge_sets_them() -> None:
    assert METHODS["captum:Saliency"].option_defaults() == {"abs": "False"}
    assert METHODS["captum:Occlusion"].option_defaults()["sliding_window_shapes"] == "20 mm"
    assert METHODS["captum:Lime"].option_defaults()["n_samples"] == "25"


def test_a_missing_captum_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    captum_method.cache_clear()
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "voxplain.attribution.methods.captum.bridge.find_spec",
        lambda name: None if name == "captum" else find(name),
    )
    with pytest.raises(InputError, match=r"needs the package captum; pip install 'voxplain\[capt"):
        explain(paper_like(), volumes(1)[0], "captum:Saliency")


def test_what_captum_cannot_do_is_one_sentence() -> None:
    model, item = paper_like(), volumes(1)[0]
    with pytest.raises(InputError, match=r"feature_mask has shape \(2, 2, 2\), the volume \(7, 8"):
        explain(model, item, "captum:Lime", 1, feature_mask=np.zeros((2, 2, 2), int))
    with pytest.raises(NetworkError, match="Captum's Occlusion fails on PaperLike: "):
        explain(model, item, "captum:Occlusion", 1, sliding_window_shapes=(9, 9, 9), engine=EXACT)
    with pytest.raises(NetworkError, match=r"Layer 'classifier.0' gives an output of shape"):
        explain(model, item, "captum:LayerDeepLift", 1, layer="classifier.0", engine=EXACT)
