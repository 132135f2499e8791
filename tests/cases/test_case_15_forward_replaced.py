"""No public address at hand. ``net.forward`` replaced by a closure, as to drop a second output.

A copy of the network then runs the network itself, in training mode: dropout was on, and the
user's running statistics changed.
"""

from __future__ import annotations

import copy
import functools
import types
from collections.abc import Callable

import pytest
import torch
from case_material import AUTO, EXACT, OPTIONS, correlation, scan
from torch import nn

import voxplain
from voxplain.errors import NetworkError


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.relu = nn.Conv3d(1, 6, 3), nn.BatchNorm3d(6), nn.ReLU()
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.drop(self.relu(self.norm(self.conv(x))).mean((2, 3, 4)))
        return self.head(h), h


def _closure(net: nn.Module) -> None:
    old = net.forward
    net.forward = lambda x: old(x)[0]


def _partial(net: nn.Module) -> None:
    old = net.forward
    net.forward = functools.partial(lambda function, x: function(x)[0], old)


def _bound(net: nn.Module) -> None:
    net.forward = types.MethodType(lambda self, x: Two.forward(self, x)[0], net)


class First(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.given(x)[0]


@pytest.mark.parametrize("replace", [_closure, _partial, _bound])
@pytest.mark.parametrize("method", ["gradient", "guided-backprop", "occlusion", "grad-cam"])
def test_dropout_is_off_and_the_network_stays_as_it_was(
    method: str, replace: Callable[[nn.Module], None]
) -> None:
    net, plain = Two().train(), Two().eval()
    replace(net)
    before = copy.deepcopy(dict(net.state_dict()))
    options = OPTIONS.get(method, {})
    one, two = (
        voxplain.explain(net, scan(), method, 1, layer="relu", engine=AUTO, **options).values
        for _ in range(2)
    )
    assert (one == two).all()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(module.training for module in net.modules())

    class Bare(First):
        def __init__(self) -> None:
            super().__init__()
            self.given = plain

    wanted = voxplain.explain(
        Bare().eval(), scan(), method, 1, layer="given.relu", engine=EXACT, **options
    )
    assert correlation(one, wanted.values) > 0.99


@pytest.mark.parametrize("engine", [AUTO, EXACT], ids=["auto", "exact"])
def test_a_hidden_network_in_training_mode_is_refused(engine: voxplain.attribution.Engine) -> None:
    class Hides(First):
        def __init__(self, given: nn.Module) -> None:
            super().__init__()
            self.__dict__["given"] = given

    hidden = Two().train()
    before = copy.deepcopy(dict(hidden.state_dict()))
    with pytest.raises(NetworkError, match=r"runs a Two that is not one of its submodules"):
        voxplain.explain(Hides(hidden), scan(), target=1, engine=engine)
    assert all(torch.equal(value, before[name]) for name, value in hidden.state_dict().items())
    made = voxplain.explain(Hides(hidden.eval()), scan(), target=1, engine=engine)
    wanted = voxplain.explain(Hides(hidden), scan(), target=1, engine=EXACT)
    assert correlation(made.values, wanted.values) > 0.95
