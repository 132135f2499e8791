"""Networks by name: what they take, what they give, and what they are."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

from voxplain.errors import NetworkError
from voxplain.nets import NETWORKS, SFCN, SliceNet, build_network, count_parameters

SHAPE = (34, 36, 33)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("outputs", [1, 3])
def test_every_network_takes_volumes_and_learns(name: str, outputs: int) -> None:
    if outputs == 1 and name == "slicenet-vote":
        with pytest.raises(NetworkError, match="'vote' between classes"):
            build_network(name, SHAPE, outputs)
        return
    if outputs == 1:
        # The body is the same; it learns and runs one by one with three outputs.
        with torch.device("meta"), torch.no_grad():
            network = build_network(name, SHAPE, outputs)
            assert network.train()(torch.empty(2, 1, *SHAPE)).shape == (2, outputs)
        return
    torch.manual_seed(0)
    network = build_network(name, SHAPE, outputs)
    x = torch.randn(2, 1, *SHAPE)
    made = network.train()(x)
    assert made.shape == (2, outputs)
    made.sum().backward()
    # MONAI's ViT carries a few parameters that it does not use.
    used = [p.grad is not None and bool(p.grad.any()) for p in network.parameters()]
    assert np.mean(used) > 0.8
    with torch.no_grad():
        together = network.eval()(x)
        alone = torch.cat([network(part) for part in x.split(1)])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("label", ["mean", "vote"])
def test_slices_one_by_one(label: str) -> None:
    torch.manual_seed(0)
    net = SliceNet((17, 14, 19), classes=3, width=4, label=label, channels=(2, 3, 4)).eval()
    x = torch.randn(2, 1, 17, 14, 19)
    assert (net.slabs, net.skipped) == (3, 1)
    for volume, made in zip(x, net(x), strict=True):
        outputs = []
        for slab in range(3):
            image = torch.stack([volume[0, :, 1 + 4 * slab + j] for j in range(4)])
            outputs.append(net.classifier(net.features(image[None]).flatten(1))[0])
        if label == "mean":
            wanted = torch.stack(outputs).mean(0)
        else:
            votes = [int(o.argmax()) for o in outputs]
            wanted = torch.log(torch.tensor([(votes.count(c) + 1) / 6 for c in range(3)]))
        torch.testing.assert_close(made, wanted)


def test_slabs_as_many_as_in_the_paper() -> None:
    assert SliceNet(width=3).slabs == 23
    assert SliceNet(width=5).slabs == 14


def test_a_residual_block_passes_its_input_on() -> None:
    net = SliceNet(residual=True)
    block = net.features[0].eval()
    nn.init.zeros_(block.conv.weight)
    nn.init.zeros_(block.conv.bias)
    x = torch.randn(1, 3, 8, 8)
    wanted = nn.functional.max_pool2d(block.shortcut(x).relu(), 2)
    torch.testing.assert_close(block(x), wanted)


def test_sfcn_is_as_large_as_published() -> None:
    """About three million parameters with 40 age bins (Peng et al. 2021)."""
    assert count_parameters(SFCN((160, 192, 160), classes=40)) == pytest.approx(3e6, rel=0.02)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("sfcn", (31, 40, 40), "at least 32 voxels; the shape .31, 40, 40. was given"),
        ("slicenet", (7, 40, 40), "SliceNet needs 3 slices along the second axis and 8"),
    ],
)
def test_volumes_too_small(name: str, shape: tuple[int, int, int], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        build_network(name, shape)


def test_without_monai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)
    with pytest.raises(NetworkError, match=r"pip install 'voxplain\[monai\]'"):
        build_network("densenet121", SHAPE)
