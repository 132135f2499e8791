"""https://github.com/huggingface/datasets/pull/5359."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import voxplain
from voxplain.errors import InputError

SHAPE = (4, 5, 3)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(60, 2))


def volume() -> voxplain.Volume:
    values = np.random.default_rng(0).random(SHAPE)
    return voxplain.Volume(values, voxplain.Grid(SHAPE, np.eye(4)), "07")


@pytest.mark.parametrize("names", ["AD", "AD,CN", "AD CN"])
def test_one_text_is_no_list_of_classes(names: str) -> None:
    # "AD" would pass for the classes "A" and "D".
    with pytest.raises(InputError, match="class_names must be a list of names; one text"):
        voxplain.explain(net(), volume(), target="A", class_names=names)


def test_a_mapping_names_the_classes_by_their_number() -> None:
    made = voxplain.explain(net(), volume(), "gradient", "AD", class_names={1: "AD", 0: "CN"})
    assert made.target == "AD"
    weight = net()[1].weight.detach().numpy()
    wanted = (weight[1] - weight[0]).reshape(SHAPE)
    assert np.allclose(made.values, wanted, atol=1e-6)
