"""MONAI's networks for volumes, by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from voxplain.errors import NetworkError

__all__ = ["MONAI_NETWORKS"]

_PATCH = 16


def _monai(name: str) -> Any:
    try:
        return getattr(importlib.import_module("monai.networks.nets"), name)
    except ImportError as error:
        raise NetworkError(
            "MONAI's networks need MONAI; install it with: pip install 'voxplain[monai]'."
        ) from error


def densenet121(classes: int = 2) -> nn.Module:
    """DenseNet-121 (Huang et al. 2017) for volumes."""
    return _made("DenseNet121", spatial_dims=3, in_channels=1, out_channels=classes)


def resnet10(classes: int = 2) -> nn.Module:
    """ResNet-10 (He et al. 2016; Chen, Ma & Zheng 2019) for volumes."""
    return _made("resnet10", spatial_dims=3, n_input_channels=1, num_classes=classes)


def resnet18(classes: int = 2) -> nn.Module:
    """ResNet-18 for volumes."""
    return _made("resnet18", spatial_dims=3, n_input_channels=1, num_classes=classes)


def resnet50(classes: int = 2) -> nn.Module:
    """ResNet-50 for volumes."""
    return _made("resnet50", spatial_dims=3, n_input_channels=1, num_classes=classes)


def seresnet50(classes: int = 2) -> nn.Module:
    """SE-ResNet-50 (Hu, Shen & Sun 2018) for volumes."""
    return _made("SEResNet50", spatial_dims=3, in_channels=1, num_classes=classes)


def vit(shape: Sequence[int] = (58, 70, 58), classes: int = 2) -> nn.Module:
    """Make a small vision transformer (Dosovitskiy et al. 2021) on patches of 16 voxels an axis."""
    return _PaddedViT(shape, classes)


def _made(name: str, **options: Any) -> nn.Module:
    network: nn.Module = _monai(name)(**options)
    return network


class _PaddedViT(nn.Module):
    """MONAI's ViT, on volumes that are filled up with zeros to whole patches."""

    def __init__(self, shape: Sequence[int], classes: int) -> None:
        super().__init__()
        whole = [-(-n // _PATCH) * _PATCH for n in shape]
        # Last axis first, as `pad` wants it, half of the zeros on either side.
        self.padding = [
            part
            for n, full in zip(reversed(list(shape)), reversed(whole), strict=True)
            for part in ((full - n) // 2, full - n - (full - n) // 2)
        ]
        self.transformer = _monai("ViT")(
            in_channels=1,
            img_size=tuple(whole),
            patch_size=(_PATCH,) * 3,
            hidden_size=192,
            mlp_dim=768,
            num_layers=6,
            num_heads=6,
            classification=True,
            num_classes=classes,
            post_activation="none",
            spatial_dims=3,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map volumes (N, 1, X, Y, Z) to logits (N, K)."""
        logits: Tensor = self.transformer(functional.pad(x, self.padding))[0]
        return logits


MONAI_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    made.__name__: made for made in (densenet121, resnet10, resnet18, resnet50, seresnet50, vit)
}
