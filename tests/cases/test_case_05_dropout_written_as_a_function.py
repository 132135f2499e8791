"""https://github.com/pytorch/pytorch/issues/26338 : ``F.dropout`` is on in eval mode too.

Two runs with one seed gave two maps.
"""

from __future__ import annotations

import pytest
import torch
from case_material import AUTO, EXACT, scan
from torch import nn
from torch.nn import functional

import voxplain
from voxplain.attribution import Engine
from voxplain.errors import NetworkError


class Random(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.conv, self.head = nn.Conv3d(1, 4, 3, padding=1), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.conv(x))
        if self.how == "dropout":
            y = functional.dropout(y, 0.3)
        if self.how == "late dropout":
            return self.head(functional.dropout(y.mean((2, 3, 4)), 0.4))
        if self.how == "noise":
            y = y + 0.01 * torch.randn_like(y)
        if self.how == "off":
            y = functional.dropout(y, 0.3, self.training)
        if self.how == "seeded":
            made = torch.Generator().manual_seed(1)
            y = y * torch.rand(1, 4, 1, 1, 1, generator=made).to(y)
        return self.head(y.mean((2, 3, 4)))


@pytest.mark.parametrize("engine", [AUTO, EXACT], ids=["auto", "exact"])
@pytest.mark.parametrize("how", ["dropout", "late dropout", "noise"])
def test_a_network_that_is_random_in_eval_mode_is_refused(how: str, engine: Engine) -> None:
    torch.manual_seed(0)
    net = Random(how).eval()
    with pytest.raises(NetworkError, match=r"another output each time.*self\.training"):
        voxplain.explain(net, scan(), target=1, engine=engine)
    with pytest.raises(NetworkError, match="another output each time"):
        engine.logits(net, [scan(), scan(1)])


@pytest.mark.parametrize("how", ["off", "seeded"])
def test_a_network_that_gives_the_same_again_is_explained(how: str) -> None:
    torch.manual_seed(0)
    net = Random(how).train()
    one, two = (voxplain.explain(net, scan(), target=1, engine=AUTO).values for _ in range(2))
    assert (one == two).all()
