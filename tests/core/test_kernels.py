"""Gradients of batch and instance norm in every order of the memory, against float64."""

from __future__ import annotations

import copy
from itertools import product

import pytest
import torch
from torch import nn

from voxplain.kernels import sound_norms

LAST = torch.channels_last_3d
ORDERS = ("first", "last", "last, as torch's library hands it on", "permuted", "every other")
NORMS = {
    "batch": nn.BatchNorm3d(4).eval(),
    "batch, of the batch": nn.BatchNorm3d(4, track_running_stats=False),
    "instance": nn.InstanceNorm3d(4, affine=True),
    "instance, tracked": nn.InstanceNorm3d(4, track_running_stats=True).eval(),
}


def stored(values: torch.Tensor, order: str) -> torch.Tensor:
    """Store a tensor in an order of the memory."""
    if order == "first":
        return values.contiguous().clone()
    if order == "last":
        return values.contiguous(memory_format=LAST).clone(memory_format=torch.preserve_format)
    if order == "permuted":
        return values.permute(0, 2, 3, 4, 1).contiguous().permute(0, 4, 1, 2, 3)
    if order == "every other":
        wide = torch.zeros(*values.shape[:-1], 2 * values.shape[-1])
        wide[..., ::2] = values
        return wide[..., ::2]
    return values.contiguous(memory_format=LAST).reshape(values.shape).clone()


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("scans", [1, 2])
@pytest.mark.parametrize("shape", [(3, 5, 2), (1, 5, 2)])
def test_the_input_s_gradient_of_a_norm_is_right_in_every_order_of_the_memory(
    name: str, frozen: bool, scans: int, shape: tuple[int, int, int]
) -> None:
    norm = copy.deepcopy(NORMS[name]).requires_grad_(not frozen)
    torch.manual_seed(0)
    x, weights = torch.randn(scans, 4, *shape), torch.randn(scans, 4, *shape)
    wide = x.double().requires_grad_()
    (right,) = torch.autograd.grad(copy.deepcopy(norm).double()(wide), wide, weights.double())
    for order, other in product(ORDERS, repeat=2):
        leaf = stored(x, order).requires_grad_()
        with sound_norms(nn.Sequential(norm)):
            output = norm(leaf)
        (found,) = torch.autograd.grad(output, leaf, stored(weights, other))
        assert torch.allclose(found.double(), right, atol=1e-4), (order, other)


def test_a_network_is_left_as_it_was() -> None:
    norm = nn.BatchNorm3d(2)

    def stop() -> None:
        with sound_norms(norm):
            assert norm._forward_hooks
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        stop()
    assert not norm._forward_hooks
