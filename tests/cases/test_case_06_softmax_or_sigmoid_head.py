"""https://github.com/jacobgil/pytorch-grad-cam/issues/232 : does the network end in a softmax?

Its probabilities were taken for logits: .997 was printed as .73, and one above a half came from any
sigmoid.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from case_material import AUTO, EXACT, scan, tensor
from torch import nn

import voxplain
from voxplain.attribution import Engine, probabilities
from voxplain.errors import VoxplainWarning


class Net(nn.Module):
    def __init__(self, outputs: int, tail: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv3d(1, 6, 3, padding=1), nn.Linear(6, outputs)
        self.tail = tail
        with torch.no_grad():
            self.head.bias += torch.linspace(-2, 2, outputs) if outputs > 1 else -3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tail(self.head(self.conv(x).relu().mean((2, 3, 4))))


HEADS = {
    "softmax module": (3, nn.Softmax(1)),
    "softmax function": (2, lambda z: z.softmax(1)),
    "exp of log-softmax": (3, lambda z: z.log_softmax(1).exp()),
    "normalised by hand": (3, lambda z: z.exp() / z.exp().sum(1, keepdim=True)),
    "softmax made in forward": (2, lambda z: nn.Softmax(dim=1)(z)),
    "sigmoid": (1, nn.Sigmoid()),
    "sigmoid, squeezed": (1, lambda z: torch.sigmoid(z).squeeze()),
}


@pytest.mark.parametrize("engine", [AUTO, EXACT], ids=["auto", "exact"])
@pytest.mark.parametrize("name", sorted(HEADS))
def test_probabilities_are_those_of_the_network(name: str, engine: Engine) -> None:
    outputs, tail = HEADS[name]
    net, volume = Net(outputs, tail).eval(), scan()
    with pytest.warns(VoxplainWarning, match=r"ends in a (softmax|sigmoid)"):
        logits = engine.logits(net, [volume])
    own = net(tensor(volume)).detach().numpy().reshape(1, -1)
    assert np.allclose(probabilities(logits), own, atol=1e-5 if engine is EXACT else 1e-3)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_the_log_odds_are_explained(name: str) -> None:
    outputs, tail = HEADS[name]
    net, bare, volume = Net(outputs, tail).eval(), Net(outputs, nn.Identity()).eval(), scan()
    with pytest.warns(VoxplainWarning, match="the log-odds are explained"):
        made = voxplain.explain(net, volume, "gradient", 0, engine=EXACT)
    wanted = voxplain.explain(bare, volume, "gradient", 0, engine=EXACT)
    assert made.provenance.target == wanted.provenance.target
    assert np.allclose(made.values, wanted.values, atol=1e-4 * np.abs(wanted.values).max())


@pytest.mark.parametrize(
    ("outputs", "tail"),
    [
        (2, nn.Identity()),
        (3, nn.LogSoftmax(1)),
        (1, lambda z: 0.5 + 0.01 * torch.tanh(z)),
        (2, lambda z: 0.5 + 0.1 * torch.tanh(z)),
    ],
    ids=["logits", "log-probabilities", "an age between 0 and 1", "scores between 0 and 1"],
)
def test_other_heads_are_left_alone(outputs: int, tail: nn.Module) -> None:
    net, volume = Net(outputs, tail).eval(), scan()
    logits = AUTO.logits(net, [volume])
    assert np.allclose(logits, net(tensor(volume)).detach().numpy(), atol=1e-3)
