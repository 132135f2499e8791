"""Feature maps in numbers, against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from explain_nets import batch, paper_like, volumes
from torch import nn

from voxplain.attribution import Engine
from voxplain.attribution.examine.layers import first_features
from voxplain.attribution.examine.trace import trace
from voxplain.attribution.features import feature_summaries
from voxplain.errors import InputError, NetworkError


def test_means_and_entropies_one_by_one() -> None:
    model, items, seen = paper_like(), volumes(5), []
    means, entropies = feature_summaries(
        model, items, "features.2", Engine("cpu", batch_size=2), seen.append
    )
    assert seen == [2, 4, 5]
    with torch.no_grad():
        maps = model.eval().features[:3](batch(items)).numpy()
    assert means.shape == entropies.shape == maps.shape[:2]
    for i in range(5):
        for c in range(maps.shape[1]):
            values = maps[i, c].ravel()
            assert means[i, c] == pytest.approx(values.mean(), rel=1e-5)
            counts, _ = np.histogram(values, 256)
            share = counts[counts > 0] / counts.sum()
            assert entropies[i, c] == pytest.approx(-(share * np.log2(share)).sum(), abs=0.02)


def test_a_constant_map_has_no_entropy() -> None:
    conv = nn.Conv3d(1, 2, 1)
    nn.init.zeros_(conv.weight)
    model = nn.Sequential(conv, nn.Flatten(), nn.LazyLinear(2))
    model(batch(volumes(1)))
    _, entropies = feature_summaries(model, volumes(2), "0", Engine("cpu"))
    np.testing.assert_array_equal(entropies, 0)


def test_the_first_block() -> None:
    model = paper_like()
    calls = trace(model, batch(volumes(1)))
    assert first_features(model, calls) == "features.2"
    bare = nn.Sequential(
        nn.Conv3d(1, 2, 3), nn.Conv3d(2, 2, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)
    )
    bare(batch(volumes(1)))
    assert first_features(bare, trace(bare, batch(volumes(1)))) == "0"
    flat = nn.Sequential(nn.Flatten(), nn.Linear(504, 2))
    with pytest.raises(NetworkError, match="no 3D convolution module"):
        first_features(flat, trace(flat, batch(volumes(1))))


def test_nothing_to_measure() -> None:
    with pytest.raises(InputError, match="at least one volume"):
        feature_summaries(paper_like(), [], "features.2")
    with pytest.raises(InputError, match=r"Unknown layer 'features.99'"):
        feature_summaries(paper_like(), volumes(1), "features.99")
