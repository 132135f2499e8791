"""https://github.com/meta-pytorch/captum/issues/665 : a model that returns a list of tensors.

Heads as published: SFCN gives a list of one (N, K, 1, 1, 1), brain-age networks end in
``squeeze()``, others give a mapping.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from case_material import AUTO, EXACT, correlation, scan, tensor
from torch import nn

import voxplain
from voxplain.attribution import Engine
from voxplain.errors import NetworkError


class Net(nn.Module):
    def __init__(self, outputs: int, post: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head, self.post = nn.Conv3d(1, 4, 3), nn.Linear(4, outputs), post

    def forward(self, x: torch.Tensor) -> object:
        return self.post(self.head(self.conv(x).relu().mean((2, 3, 4))))


POSTS: dict[str, Callable[[torch.Tensor], object]] = {
    "squeezed": lambda z: z.squeeze(),
    "last axis squeezed": lambda z: z.squeeze(-1),
    "(N, K, 1, 1, 1)": lambda z: z[..., None, None, None],
    "list of one": lambda z: [z],
    "tuple of one": lambda z: (z,),
    "list of one (N, K, 1, 1, 1)": lambda z: [z[..., None, None, None]],
    "mapping of one": lambda z: {"prediction": z},
    "mapping with logits": lambda z: {"features": z.repeat(1, 5), "logits": z},
}


@cache
def of_the_bare_head(outputs: int, count: int) -> tuple[np.ndarray, list[voxplain.AttributionMap]]:
    bare, scans = Net(outputs, lambda z: z).eval(), [scan(i) for i in range(count)]
    logits = bare(torch.cat([tensor(s) for s in scans])).detach().numpy()
    return logits, voxplain.explain(bare, scans, "gradient", engine=EXACT)


@pytest.mark.parametrize("engine", [AUTO, EXACT], ids=["auto", "exact"])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize("name", sorted(POSTS))
def test_logits_and_maps_are_those_of_the_bare_head(
    name: str, outputs: int, count: int, engine: Engine
) -> None:
    net, scans = Net(outputs, POSTS[name]).eval(), [scan(i) for i in range(count)]
    wanted, plain = of_the_bare_head(outputs, count)
    assert abs(engine.logits(net, scans) - wanted).max() < 1e-2 * abs(wanted).max()
    made = voxplain.explain(net, scans, "gradient", engine=engine)
    for one, other in zip(made, plain, strict=True):
        assert correlation(one.values, other.values) > 0.95


@pytest.mark.parametrize(
    ("post", "words"),
    [
        (lambda z: (z, z), "a tuple of 2"),
        (lambda z: {"a": z, "b": z}, "a dict of a, b"),
        (lambda z: z[..., None].repeat(1, 1, 4), r"a tensor of shape \(1, 2, 4\)"),
        (lambda z: z.argmax(1), "a tensor of int64"),
        (lambda z: z.to(torch.complex64), "a tensor of complex64"),
        (lambda z: "male", "a str"),
        (lambda z: None, "a NoneType"),
        (lambda z: [], "a list of 0"),
    ],
)
def test_what_cannot_be_logits_is_refused(
    post: Callable[[torch.Tensor], object], words: str
) -> None:
    with pytest.raises(NetworkError, match=f"Net gives {words}.*wrap it"):
        voxplain.explain(Net(2, post), scan(), target=1, engine=AUTO)
