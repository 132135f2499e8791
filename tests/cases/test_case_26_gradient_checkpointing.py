"""https://github.com/pytorch/pytorch/issues/51743 : checkpointing does not work with autograd.grad.

The form that is not reentrant does; the other one is refused with what to do.
"""

from __future__ import annotations

import pytest
import torch
from case_material import AUTO, EXACT, OPTIONS, correlation, gradient_of, scan
from torch import nn
from torch.utils.checkpoint import checkpoint

import voxplain
from voxplain.attribution import Engine
from voxplain.errors import NetworkError

pytestmark = pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")


class Checkpointed(nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.reentrant = reentrant
        self.one = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU())
        self.two = nn.Sequential(nn.Conv3d(4, 4, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in (self.one, self.two):
            x = checkpoint(part, x, use_reentrant=self.reentrant)
        return self.head(x.mean((2, 3, 4)))


@pytest.mark.parametrize("engine", [AUTO, EXACT], ids=["auto", "exact"])
def test_the_gradient_is_right_or_refused(engine: Engine) -> None:
    wanted = gradient_of(Checkpointed(False), scan())
    made = voxplain.explain(
        Checkpointed(False), scan(), "gradient", 1, engine=engine, score="logit"
    )
    assert correlation(made.values, wanted) > 0.95
    with pytest.raises(NetworkError, match=r"reentrant form.*use_reentrant=False"):
        voxplain.explain(Checkpointed(True), scan(), "gradient", 1, engine=engine)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_methods_without_gradients_are_right(method: str, reentrant: bool) -> None:
    options = OPTIONS[method]
    made = voxplain.explain(Checkpointed(reentrant), scan(), method, 1, engine=AUTO, **options)
    wanted = voxplain.explain(Checkpointed(False), scan(), method, 1, engine=EXACT, **options)
    assert correlation(made.values, wanted.values) > 0.999
