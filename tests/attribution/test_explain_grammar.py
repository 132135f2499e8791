"""Networks grown at random: the faster copy, the network as given and plain autograd agree."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from benchmarks.grammar import _ACTIVATIONS, _KINDS, OTHERS, Grown, differences

# The bench grows thousands; of these 24 every kind of block, norm and activation is a part.
NETWORKS, AT_A_TIME = 24, 8


@pytest.mark.parametrize("first", range(0, NETWORKS, AT_A_TIME))
def test_faster_copies_of_grown_networks_give_the_maps_of_the_networks_as_given(first: int) -> None:
    """Run one seed by itself with ``python -m benchmarks.grammar --networks 1 --first SEED``."""
    wrong, ways = {}, Counter()
    for seed in range(first, first + AT_A_TIME):
        found, how = differences(seed)
        ways[how] += 1
        if found:
            wrong[seed] = found
    assert not wrong
    # Else nothing was compared.
    assert sum(count for how, count in ways.items() if "as given" not in how) > AT_A_TIME / 2


def test_the_networks_hold_every_part_of_the_grammar() -> None:
    grown = [Grown(seed) for seed in range(NETWORKS)]
    blocks = [block for network in grown for block in network.blocks]
    units = [unit for one in blocks for unit in (one.one, one.two)]
    assert {block.kind for block in blocks} == set(_KINDS)
    assert len({type(block.short) for block in blocks}) == 3
    assert len({type(unit.norm) for unit in units}) == 4
    written = {(type(one.activation), one.written, one.in_place) for one in units}
    assert len(written) == 4 * len(_ACTIVATIONS)
    assert {unit.asks for unit in units} == {"", "channels", "features", "class"}
    assert {unit.order[0] for unit in units} == {"norm", "conv"}
    assert {network.head.out_features for network in grown} == {1, 2, 3}
    # Each other method, with bfloat16 and without, by the parity and rank of seeds.
    assert 2 * len(OTHERS) <= NETWORKS


def test_a_seed_grows_one_network() -> None:
    one, same, other = (Grown(seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert one.keys() != other.keys() or any(
        value.shape != other[name].shape or not torch.equal(value, other[name])
        for name, value in one.items()
    )
