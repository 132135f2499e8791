"""A network on shapes alone: the shortcuts give the shapes of a real forward pass, or none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from voxplain.attribution.examine.shapes import on_shapes
from voxplain.attribution.examine.trace import trace


def shape_of(model: nn.Module, x: torch.Tensor) -> torch.Size | None:
    with torch.no_grad():
        return on_shapes(model, x, lambda shapes, y: shapes(y).shape)


@pytest.mark.parametrize(
    "model",
    [
        nn.Conv3d(4, 6, 3),
        nn.Conv3d(4, 6, (3, 1, 2), stride=(2, 1, 3), padding=(1, 0, 2), dilation=(2, 1, 1)),
        nn.Conv3d(4, 8, 3, padding="same", groups=2, bias=False),
        nn.ConvTranspose3d(4, 6, 3, stride=2, output_padding=1),
        nn.BatchNorm3d(4).eval(),
        nn.BatchNorm3d(4),
        nn.Sequential(nn.ReLU(), nn.ELU(), nn.GELU("tanh"), nn.LeakyReLU(0.2), nn.SiLU()),
        nn.Sequential(nn.AvgPool3d(4), nn.Flatten(), nn.Linear(4 * 2 * 2 * 2, 3), nn.Sigmoid()),
    ],
    ids=lambda model: repr(model).replace("\n", "")[:60],
)
def test_shapes_are_those_of_a_forward_pass(model: nn.Module) -> None:
    x = torch.zeros(2, 4, 8, 9, 10)
    assert shape_of(model, x) == model(x).shape


@pytest.mark.parametrize(
    "model",
    [
        nn.Conv3d(3, 6, 3),
        nn.Conv3d(4, 6, 11),
        nn.Conv2d(4, 6, 3),
        nn.Sequential(nn.Flatten(), nn.Linear(7, 2)),
    ],
)
def test_what_cannot_be_run_has_no_shape(model: nn.Module) -> None:
    x = torch.zeros(2, 4, 8, 9, 10)
    with pytest.raises(RuntimeError):
        model(x)
    assert shape_of(model, x) is None


def test_operations_are_seen_as_in_a_pass_with_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(
        *(nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(inplace=True), nn.AvgPool3d(6)),
        *(nn.Flatten(), nn.Linear(4, 2)),
    ).eval()
    x = torch.zeros(1, 1, 8, 8, 8)
    found = trace(model, x)
    monkeypatch.setattr("voxplain.attribution.examine.trace.on_shapes", lambda *_: None)
    real = trace(model, x)
    assert [(c.name, c.shape) for c in found.calls] == [(c.name, c.shape) for c in real.calls]
    assert (found.last, found.draws, found.tied) == (real.last, real.draws, real.tied)
    for seen in (found, real):
        assert [seen.follower(call) is not None for call in seen.calls] == [True] * 5 + [False]
