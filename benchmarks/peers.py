"""What the peers' own calls look like, for the same maps as ours.

Each function takes the network as given and a batch, tensor (N, 1, X, Y, Z), and returns maps,
tensor (N, X, Y, Z), for class 1. A peer that takes one image at a time is called image by image.
A peer that cannot be imported raises ImportError, whose words the table shows.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["PEERS", "REMARKS", "Peer"]

TARGET = 1
LAYER = "features.relu3"
SAMPLES = 16
STEPS = 32

Peer = Callable[[nn.Module, Tensor], Tensor]


def _upsampled(cam: Tensor, x: Tensor) -> Tensor:
    return functional.interpolate(cam, x.shape[2:], mode="trilinear", align_corners=False)[:, 0]


def captum_gradient(model: nn.Module, x: Tensor) -> Tensor:
    from captum.attr import Saliency

    return Saliency(model).attribute(x.clone().requires_grad_(), TARGET, abs=False)[:, 0]


def captum_grad_cam(model: nn.Module, x: Tensor) -> Tensor:
    from captum.attr import LayerAttribution, LayerGradCam

    cam = LayerGradCam(model, model.get_submodule(LAYER)).attribute(
        x, TARGET, relu_attributions=True
    )
    return LayerAttribution.interpolate(cam, x.shape[2:], "trilinear")[:, 0]


def captum_guided_backprop(model: nn.Module, x: Tensor) -> Tensor:
    from captum.attr import GuidedBackprop

    return GuidedBackprop(model).attribute(x.clone().requires_grad_(), TARGET)[:, 0]


def captum_smoothgrad(model: nn.Module, x: Tensor) -> Tensor:
    from captum.attr import NoiseTunnel, Saliency

    tunnel = NoiseTunnel(Saliency(model))
    options = {"nt_samples": SAMPLES, "nt_samples_batch_size": 1, "stdevs": 0.15, "abs": False}
    return tunnel.attribute(x, target=TARGET, **options)[:, 0]


def captum_integrated_gradients(model: nn.Module, x: Tensor) -> Tensor:
    from captum.attr import IntegratedGradients

    return IntegratedGradients(model).attribute(
        x, target=TARGET, n_steps=STEPS, internal_batch_size=len(x)
    )[:, 0]


def monai_grad_cam(model: nn.Module, x: Tensor) -> Tensor:
    from monai.visualize import GradCAM

    cam = GradCAM(model, LAYER, postprocessing=lambda raw: raw)
    return cam(x, class_idx=TARGET)[:, 0]


def _one_by_one(make: Callable[[nn.Module], Callable[..., Tensor]], x: Tensor) -> Tensor:
    return torch.cat([make(image[None].clone(), index=TARGET)[:, 0] for image in x])  # type: ignore[call-arg, arg-type]


def monai_gradient(model: nn.Module, x: Tensor) -> Tensor:
    from monai.visualize import VanillaGrad

    return _one_by_one(VanillaGrad(model), x)


def monai_guided_backprop(model: nn.Module, x: Tensor) -> Tensor:
    from monai.visualize import GuidedBackpropGrad

    return _one_by_one(GuidedBackpropGrad(model), x)


def monai_smoothgrad(model: nn.Module, x: Tensor) -> Tensor:
    from monai.visualize import SmoothGrad

    return _one_by_one(SmoothGrad(model, n_samples=SAMPLES, magnitude=False, verbose=False), x)


def _medcam(model: nn.Module, x: Tensor, backend: str, layer: str) -> Tensor:
    from medcam import medcam

    options = {"layer": layer, "label": TARGET, "return_attention": True}
    injected = medcam.inject(copy.deepcopy(model), backend=backend, **options)
    _, attention = injected(x.clone())
    return torch.as_tensor(attention)[:, 0]


def medcam_grad_cam(model: nn.Module, x: Tensor) -> Tensor:
    return _medcam(model, x, "gcam", LAYER)


def medcam_guided_backprop(model: nn.Module, x: Tensor) -> Tensor:
    return _medcam(model, x, "gbp", "auto")


def torchcam_grad_cam(model: nn.Module, x: Tensor) -> Tensor:
    from torchcam.methods import GradCAM

    with GradCAM(model, LAYER, input_shape=tuple(x.shape[1:])) as extractor:
        scores = model(x.clone().requires_grad_())
        (cam,) = extractor([TARGET] * len(x), scores, normalized=False)
    return _upsampled(cam[:, None], x)


def pytorch_grad_cam_grad_cam(model: nn.Module, x: Tensor) -> Tensor:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with GradCAM(model, [model.get_submodule(LAYER)]) as cam:
        return torch.as_tensor(cam(x, [ClassifierOutputTarget(TARGET)] * len(x)))


PEERS: dict[tuple[str, str], Peer] = {
    ("gradient", "Captum"): captum_gradient,
    ("gradient", "MONAI"): monai_gradient,
    ("grad-cam", "Captum"): captum_grad_cam,
    ("grad-cam", "MONAI"): monai_grad_cam,
    ("grad-cam", "M3d-CAM"): medcam_grad_cam,
    ("grad-cam", "torch-cam"): torchcam_grad_cam,
    ("grad-cam", "pytorch-grad-cam"): pytorch_grad_cam_grad_cam,
    ("guided-backprop", "Captum"): captum_guided_backprop,
    ("guided-backprop", "MONAI"): monai_guided_backprop,
    ("guided-backprop", "M3d-CAM"): medcam_guided_backprop,
    ("smoothgrad", "Captum"): captum_smoothgrad,
    ("smoothgrad", "MONAI"): monai_smoothgrad,
    ("integrated-gradients", "Captum"): captum_integrated_gradients,
}

REMARKS = {
    ("grad-cam", "M3d-CAM"): "scaled to [0, 1] per map",
    ("guided-backprop", "M3d-CAM"): "scaled to [0, 1] per map, so zero moves",
    ("smoothgrad", "Captum"): "other noise",
    ("smoothgrad", "MONAI"): "other noise",
    ("grad-cam", "pytorch-grad-cam"): "scaled to [0, 1], splines",
}


def quietly(work: Callable[[], Tensor]) -> Tensor:
    """Run a peer without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return work().detach()
