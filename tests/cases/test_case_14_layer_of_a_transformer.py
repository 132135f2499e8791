"""https://github.com/jacobgil/pytorch-grad-cam/issues/403."""

from __future__ import annotations

import numpy as np
import torch
from case_material import EXACT
from torch import nn

from voxplain.attribution import explain
from voxplain.grid import Grid
from voxplain.volume import Volume

SHAPE = (6, 8, 4)


class Mixed(nn.Module):
    """A token layer that moves what it sees one patch on: its tokens are not its patches."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens.roll(1, 1)


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv3d(1, 1, 2, 2, bias=False)
        self.block = nn.Sequential(Mixed(), nn.Linear(1, 1, bias=False))
        self.head = nn.Linear(1, 2, bias=False)
        for parameter in self.parameters():
            nn.init.ones_(parameter)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(self.patch(x).flatten(2).transpose(1, 2)).mean(1))


def test_the_map_is_of_the_last_tokens_and_not_of_the_patches() -> None:
    x = np.zeros(SHAPE, np.float32)
    x[0:2, 2:4, 0:2] = 1.0  # patch (0, 1, 0), the third of 3 x 4 x 2
    volume = Volume(x, Grid(SHAPE, np.eye(4)))
    made = explain(Tokens(), volume, "grad-cam", 1, engine=EXACT)
    assert made.provenance.layer == "block.1"
    # Token 3, the next along z, holds 8; the weight is the mean of 1/24.
    cells = np.zeros((3, 4, 2))
    cells[0, 1, 1] = 8 / 24
    wanted = torch.nn.functional.interpolate(
        torch.as_tensor(cells)[None, None], SHAPE, mode="trilinear", align_corners=False
    )
    assert np.allclose(made.values, wanted[0, 0].numpy(), atol=1e-6)
