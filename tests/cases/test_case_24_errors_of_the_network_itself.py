"""https://github.com/meta-pytorch/captum/issues/540 : forward() misses an argument.

Second inputs, assertions, dictionaries, lazy layers: the network's own errors came as tracebacks,
or as a fault of voxplain.
"""

from __future__ import annotations

import pytest
import torch
from case_material import AUTO, EXACT, scan
from torch import nn

import voxplain
from voxplain.attribution import Engine
from voxplain.errors import NetworkError


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv3d(1, 4, 3), nn.Linear(4, 2)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).relu().mean((2, 3, 4)))


class Age(Base):
    def forward(self, x: torch.Tensor, age: float) -> torch.Tensor:
        return self.logits(x)


class Asserts(Base):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[2:] == (96, 96, 96), "trained on 96 x 96 x 96"
        return self.logits(x)


class FromDictionary(Base):
    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.logits(batch["image"])


class LooksUp(Base):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits(x) * {96: 1.0}[x.shape[2]]


class Misses(Base):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits(x) * self.temperature


class Unfinished(Base):
    pass


@pytest.mark.parametrize("engine", [AUTO, EXACT], ids=["auto", "exact"])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Age, r"TypeError: .*'age'.*wrap it in a module that fills in the rest"),
        (Asserts, r"AssertionError: trained on 96 x 96 x 96"),
        (FromDictionary, r"wrap it in a module that fills in the rest"),
        (LooksUp, r"KeyError: 9"),
        (Misses, r"AttributeError: .*temperature"),
        (Unfinished, r"NotImplementedError|missing the required"),
    ],
)
def test_the_error_is_told_in_a_sentence(kind: type[Base], words: str, engine: Engine) -> None:
    for run in (
        lambda net: voxplain.explain(net, scan(), target=1, engine=engine),
        lambda net: engine.logits(net, [scan()]),
    ):
        with pytest.raises(NetworkError, match=words) as caught:
            run(kind())
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("engine", [AUTO, EXACT], ids=["auto", "exact"])
def test_lazy_layers_without_values(engine: Engine) -> None:
    net = nn.Sequential(nn.Conv3d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    for run in (
        lambda: voxplain.explain(net, scan(), target=1, engine=engine),
        lambda: engine.logits(net, [scan()]),
    ):
        with pytest.raises(NetworkError, match=r"lazy layers without values \(3\.weight, 3\.bias"):
            run()


@pytest.mark.parametrize("engine", [AUTO, EXACT], ids=["auto", "exact"])
def test_a_parameter_that_is_no_real_number_comes_first(engine: Engine) -> None:
    class Steps(Base):
        def __init__(self) -> None:
            super().__init__()
            layers, self._modules = self._modules, {}
            self.step = nn.Parameter(torch.tensor(3), requires_grad=False)
            self._modules = layers

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.logits(x)

    net = Steps()
    assert next(net.parameters()).dtype == torch.int64
    assert voxplain.explain(net, scan(), target=1, engine=engine).values.any()
