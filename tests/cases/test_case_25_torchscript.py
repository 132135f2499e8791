"""https://github.com/jacobgil/pytorch-grad-cam/issues/531 : a scripted model has no hooks.

Methods that need none are right; the others say what they need.
"""

from __future__ import annotations

import warnings

import pytest
import torch
from case_material import AUTO, EXACT, OPTIONS, correlation, gradient_of, scan, tensor
from torch import nn

import voxplain
from voxplain.attribution import Engine
from voxplain.errors import NetworkError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def plain() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU()),
        *(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)),
    ).eval()


class Around(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * self.inner(x)


def made(kind: str) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "traced":
            return torch.jit.trace(plain(), tensor(scan()))
        scripted = torch.jit.script(plain())
        if kind == "frozen":
            return torch.jit.freeze(scripted)
        return Around(scripted) if kind == "inside" else scripted


KINDS = ["scripted", "traced", "frozen", "inside"]


@pytest.mark.parametrize("engine", [AUTO, EXACT], ids=["auto", "exact"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_and_outputs_are_right(kind: str, engine: Engine) -> None:
    found = voxplain.explain(made(kind), scan(), "gradient", 1, engine=engine, score="logit")
    assert correlation(found.values, gradient_of(plain(), scan())) > 0.9999
    factor = 2 if kind == "inside" else 1
    wanted = factor * plain()(tensor(scan())).detach().numpy()
    assert abs(engine.logits(made(kind), [scan()]) - wanted).max() < 1e-5


@pytest.mark.filterwarnings("ignore:.*take more steps")
@pytest.mark.parametrize("method", ["occlusion", "integrated-gradients", "smoothgrad", "rise"])
@pytest.mark.parametrize("kind", KINDS)
def test_other_methods_are_as_without_script(kind: str, method: str) -> None:
    options = OPTIONS.get(method, {})
    found = voxplain.explain(made(kind), scan(), method, 1, engine=AUTO, **options)
    wanted = voxplain.explain(plain(), scan(), method, 1, engine=EXACT, **options)
    assert correlation(found.values, wanted.values) > 0.999


@pytest.mark.parametrize("method", ["grad-cam", "guided-backprop", "lrp"])
@pytest.mark.parametrize("kind", KINDS)
def test_methods_that_reach_into_the_network_say_so(kind: str, method: str) -> None:
    with pytest.raises(NetworkError) as caught:
        voxplain.explain(made(kind), scan(), method, 1, engine=AUTO)
    assert "\n" not in str(caught.value)
