"""Agreement of the gradient and CAM families with Captum and MONAI, where these are right."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from explain_hand import relative
from explain_nets import EXACT, SHAPE, batch, paper_like, volumes
from torch import nn

from voxplain.attribution import Engine
from voxplain.attribution.run import explain

pytestmark = pytest.mark.filterwarnings("ignore::voxplain.errors.VoxplainWarning")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    captum_attr = pytest.importorskip("captum.attr")
    monai_visualize = pytest.importorskip("monai.visualize")


def stacked(name: str, target: int, precision: str, **options: object) -> np.ndarray:
    engine = Engine("cpu", precision)
    maps = explain(paper_like(), volumes(4), name, target, engine=engine, **options)
    return np.stack([m.values for m in maps])


def of_captum(kind: str, target: int, *layer: str, **options: object) -> np.ndarray:
    model = paper_like()
    modules = [model.get_submodule(name) for name in layer]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = batch(volumes(4)).requires_grad_()
        made = getattr(captum_attr, kind)(model, *modules).attribute(x, target=target, **options)
        if made.shape[2:] != SHAPE:
            made = captum_attr.LayerAttribution.interpolate(made, SHAPE, "trilinear")
    return made.sum(1).detach().numpy()


@pytest.mark.parametrize("precision", ["exact", "auto"])
@pytest.mark.parametrize("target", [0, 1])
@pytest.mark.parametrize("name", ["input-x-gradient", "deconvolution", "integrated-gradients"])
def test_gradients_equal_captum(name: str, target: int, precision: str) -> None:
    kind, options, captums = {
        "input-x-gradient": ("InputXGradient", {"score": "logit"}, {}),
        "deconvolution": ("Deconvolution", {}, {}),
        "integrated-gradients": (
            "IntegratedGradients",
            {"score": "logit", "steps": 9},
            {"n_steps": 9, "method": "riemann_middle"},
        ),
    }[name]
    wanted = of_captum(kind, target, **captums)
    assert relative(stacked(name, target, precision, **options), wanted) < 1e-4


@pytest.mark.parametrize("precision", ["exact", "auto"])
@pytest.mark.parametrize("target", [0, 1])
@pytest.mark.parametrize("layer", ["features.6", "features.4"])
def test_layer_methods_equal_captum(layer: str, target: int, precision: str) -> None:
    wanted = of_captum("GuidedGradCam", target, layer, interpolate_mode="trilinear")
    made = stacked("guided-grad-cam", target, precision, layer=layer)
    assert relative(made, wanted) < 1e-4
    wanted = of_captum("LayerGradientXActivation", target, layer)
    assert relative(stacked("hirescam", target, precision, layer=layer), wanted) < 1e-4


@pytest.mark.parametrize("squared", [False, True])
def test_smoothgrad_equals_captums_noise_tunnel(
    squared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Captum draws from the global generator; here it is handed the same noise."""
    model, item = paper_like(), volumes(1)[0]
    x = batch([item])
    spread = 0.2 * float(x.max() - x.min())
    patterns = np.stack(
        [np.random.default_rng([4, i]).standard_normal(SHAPE, np.float32) for i in range(6)]
    )[:, None]

    def normal(mean: float, std: torch.Tensor) -> torch.Tensor:
        assert mean == 0
        return std * torch.as_tensor(patterns)

    monkeypatch.setattr(torch, "normal", normal)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tunnel = captum_attr.NoiseTunnel(captum_attr.Saliency(model))
        wanted = tunnel.attribute(
            x.requires_grad_(), "smoothgrad_sq" if squared else "smoothgrad",
            nt_samples=6, stdevs=spread, target=1, abs=False,
        )  # fmt: skip
    made = explain(
        model, item, "smoothgrad", lambda z: z[:, 1],
        samples=6, noise=0.2, squared=squared, seed=4, engine=EXACT,
    )  # fmt: skip
    assert relative(made.values, wanted[0, 0].detach().numpy()) < 1e-5


def plus_plus_of_monai(model: nn.Module, x: torch.Tensor) -> np.ndarray:
    """MONAI's raw map, without the factor exp(logit) that it leaves in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cam = monai_visualize.GradCAMpp(model, "1")
        raw = cam.compute_map(x.clone(), class_idx=1)[0, 0].detach().numpy()
    with torch.no_grad():
        return raw / model(x)[0, 1].exp().item()


def test_grad_cam_plus_plus_equals_monai_where_its_formula_is_the_papers() -> None:
    """MONAI sums A g³ over places, where the paper multiplies g³ at a place by the sum of A.

    The two are one where the gradient is the same everywhere, as before global mean pooling.
    """
    torch.manual_seed(2)
    pooled = nn.Sequential(
        nn.Conv3d(1, 3, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(),
        nn.Linear(3, 2),
    )  # fmt: skip
    item = volumes(1)[0]
    x = batch([item])
    with torch.no_grad():
        # So that g ΣA is as large as the 2 beside it.
        pooled[4].weight[1] = torch.tensor([30.0, 20.0, -10.0])
    made = explain(pooled, item, "grad-cam++", 1, layer="1", engine=EXACT).values
    assert relative(made, plus_plus_of_monai(pooled, x)) < 1e-4
    flat = nn.Sequential(pooled[0], nn.ReLU(), nn.Flatten(), nn.Linear(3 * 504, 2))
    made = explain(flat, item, "grad-cam++", 1, layer="1", engine=EXACT).values
    assert relative(made, plus_plus_of_monai(flat, x)) > 0.1
