"""https://github.com/pytorch/pytorch/issues/58123 : half precision gives other numbers.

Gradients of a network in float16 fall below what it can hold: most of a map was 0.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from case_material import AUTO, EXACT, OPTIONS, correlation, scan
from torch import nn

import voxplain
from voxplain.attribution import Engine
from voxplain.errors import NetworkError


@pytest.mark.parametrize("engine", [AUTO, EXACT], ids=["auto", "exact"])
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("method", ["gradient", "guided-backprop", "occlusion"])
def test_maps_are_made_in_float32(method: str, kind: torch.dtype, engine: Engine) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 4, 3, padding=1), nn.ReLU()),
        *(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)),
    ).eval()
    with torch.no_grad():
        net[-1].weight *= 1e-3
    small = net.to(kind)
    options = OPTIONS.get(method, {})
    made = voxplain.explain(small, scan(), method, 1, engine=engine, **options)
    assert next(small.parameters()).dtype == kind
    wanted = voxplain.explain(net.float(), scan(), method, 1, engine=EXACT, **options)
    assert correlation(made.values, wanted.values) > 0.95
    assert (made.values != 0).mean() == pytest.approx((wanted.values != 0).mean(), abs=0.02)
    assert f"from {str(kind)[6:]} weights" in made.provenance.precision
    assert np.isfinite(made.values).all()


@pytest.mark.parametrize("engine", [AUTO, EXACT], ids=["auto", "exact"])
def test_a_network_that_cannot_be_brought_to_float32_is_refused(engine: Engine) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(1, 4, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2))
    net.half()
    old = net.forward
    net.forward = lambda x: old(x.half())
    with pytest.raises(NetworkError, match="cannot be copied to cpu in float32"):
        voxplain.explain(net, scan(), target=1, engine=engine)
