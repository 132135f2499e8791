"""The faster copy of a network: fused blocks, bfloat16, what is compared and what is undone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from explain_nets import EXACT, SHAPE, batch, paper_like, volumes
from torch import nn
from torch.nn import functional

from voxplain.attribution import Engine
from voxplain.attribution.examine import checks
from voxplain.attribution.examine.layers import auto_layer
from voxplain.attribution.examine.trace import Trace, trace
from voxplain.attribution.fast import known, lowering, slabs
from voxplain.attribution.fast.fused import ConvReluPool
from voxplain.attribution.fast.lowering import lower
from voxplain.attribution.network.needs import Needs
from voxplain.attribution.network.rectifiers import Rectifiers
from voxplain.attribution.run import explain

GEOMETRIES = {
    "the paper's": ({}, 2),
    "padded": ({"padding": (2, 1, 0)}, (2, 3, 1)),
    "padded by more than the kernel": ({"padding": (4, 0, 3)}, 2),
    "strided": ({"stride": (2, 1, 2), "padding": 1}, (1, 2, 1)),
    "dilated": ({"dilation": (2, 1, 2), "padding": (1, 2, 2)}, (2, 1, 2)),
    "grouped": ({"groups": 2, "padding": 1}, 2),
    "an even kernel": ({"kernel_size": (2, 1, 4), "padding": (1, 0, 2)}, (3, 2, 2)),
    "without a bias": ({"bias": False}, 2),
}


def block(kind: str, channels: int, dtype: torch.dtype) -> tuple[nn.Conv3d, nn.MaxPool3d]:
    torch.manual_seed(1)
    options, window = GEOMETRIES[kind]
    conv = nn.Conv3d(channels, 4, **({"kernel_size": 3} | options), dtype=dtype)
    return conv.requires_grad_(False), nn.MaxPool3d(window)


@pytest.mark.parametrize("slab", [1, 500, 10**6])
@pytest.mark.parametrize("channels", [2, 6])
@pytest.mark.parametrize("rule", [None, "guided", "deconvolution"])
@pytest.mark.parametrize("kind", list(GEOMETRIES))
def test_a_fused_block_is_its_three_modules(
    monkeypatch: pytest.MonkeyPatch, kind: str, rule: str | None, channels: int, slab: int
) -> None:
    monkeypatch.setitem(slabs._SLAB, "cpu", slab)
    conv, pool = block(kind, channels, torch.float64)
    x = torch.randn(3, channels, 9, 11, 10, dtype=torch.float64)
    x[:, :, 4:7] = 0  # windows of equal values, whose first place the gradient takes
    made = []
    for run in (ConvReluPool(conv, pool), lambda v: pool(functional.relu(conv(v)))):
        leaf = x.clone().requires_grad_()
        mode = Rectifiers(rule) if rule else None
        if mode is None:
            out = run(leaf)
        else:
            with mode:
                out = run(leaf)
            assert (mode.relus, mode.others) == (1, 0)
        weights = torch.randn(out.shape, dtype=out.dtype, generator=torch.manual_seed(2))
        made.append((out, torch.autograd.grad((out * weights).sum(), leaf)[0]))
    (out, slope), (wanted_out, wanted_slope) = made
    assert out.shape == wanted_out.shape
    assert torch.allclose(out, wanted_out, atol=1e-12)
    assert torch.allclose(slope, wanted_slope, atol=1e-12)
    assert slope.abs().max() > 0


def test_a_fused_block_by_loops() -> None:
    conv, pool = nn.Conv3d(1, 2, 3, padding=(0, 1, 0), dtype=torch.float64), nn.MaxPool3d(2)
    x = torch.randn(1, 1, 6, 5, 7, dtype=torch.float64)
    wide = np.pad(x[0, 0].numpy(), ((0, 0), (1, 1), (0, 0)))
    weight, bias = conv.weight.detach().numpy(), conv.bias.detach().numpy()
    hidden = np.zeros((2, 4, 5, 5))
    for c, i, j, k in itertools.product(range(2), range(4), range(5), range(5)):
        patch = wide[i : i + 3, j : j + 3, k : k + 3]
        hidden[c, i, j, k] = max(0.0, (weight[c, 0] * patch).sum() + bias[c])
    wanted = np.zeros((2, 2, 2, 2))
    for c, i, j, k in itertools.product(range(2), range(2), range(2), range(2)):
        wanted[c, i, j, k] = hidden[
            c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, 2 * k : 2 * k + 2
        ].max()
    made = ConvReluPool(conv, pool)(x)[0].detach().numpy()
    assert np.allclose(made, wanted, atol=1e-12)


@pytest.mark.parametrize(
    ("conv", "pool"),
    [
        (nn.Conv3d(1, 2, 3, padding="same"), nn.MaxPool3d(2)),
        (nn.Conv3d(1, 2, 3, padding=1, padding_mode="reflect"), nn.MaxPool3d(2)),
        (nn.Conv3d(1, 2, 3), nn.MaxPool3d(3, stride=2)),
        (nn.Conv3d(1, 2, 3), nn.MaxPool3d(2, padding=1)),
        (nn.Conv3d(1, 2, 3), nn.MaxPool3d(2, ceil_mode=True)),
        (nn.Conv3d(1, 2, 3), nn.MaxPool3d(2, dilation=2)),
    ],
)
def test_blocks_that_are_not_fused(conv: nn.Conv3d, pool: nn.MaxPool3d) -> None:
    assert not ConvReluPool.fits(conv, pool)
    model = nn.Sequential(conv, nn.ReLU(), pool, nn.AdaptiveAvgPool3d(1), nn.Flatten())
    x = batch(volumes(2))
    made = lower(model, x)
    fast, words = made.model, made.words
    assert words == "channels last"
    assert fast[1].inplace
    assert not model[1].inplace
    with torch.no_grad():
        assert torch.allclose(fast(x), model(x), atol=1e-5)


def test_padding_valid_is_no_padding() -> None:
    conv = nn.Conv3d(1, 2, 3, padding="valid")
    assert ConvReluPool.fits(conv, nn.MaxPool3d(2))
    x = batch(volumes(2))
    made = ConvReluPool(conv, nn.MaxPool3d(2))(x)
    assert torch.allclose(made, functional.max_pool3d(conv(x).relu(), 2), atol=1e-6)


def test_a_block_with_the_hooked_layer_inside_stays() -> None:
    model, x = paper_like(), batch(volumes(2))
    for layer, fused in {
        "features.6": [True, False],
        "features.5": [True, False],
        "features.7": [True, True],
        "features.1": [False, True],
    }.items():
        fast = lower(model, x, layer).model
        assert [isinstance(fast.features[i], ConvReluPool) for i in (0, 4)] == fused


def test_a_method_that_needs_its_modules_gets_them() -> None:
    made = lower(paper_like(), batch(volumes(1)), needs=Needs(modules=True))
    fast, words = made.model, made.words
    assert words == "batch norm folded, channels last"
    assert isinstance(fast.features[2], nn.ReLU)
    assert not fast.features[2].inplace


class Twice(nn.Module):
    """Uses what lies between the convolution and the pooling a second time."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.pool = nn.Conv3d(1, 3, 3), nn.ReLU(), nn.MaxPool3d(2)
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.relu(self.conv(x))
        return self.head(self.pool(hidden).mean((2, 3, 4)) + hidden.amax((2, 3, 4)))


def test_fusing_is_undone_where_it_would_change_the_result() -> None:
    torch.manual_seed(0)
    model, x = Twice(), batch(volumes(2))
    made = lower(model, x)
    fast, words = made.model, made.words
    assert words == "channels last"
    with torch.no_grad():
        assert torch.allclose(fast(x), model(x), atol=1e-5)


@pytest.mark.parametrize("name", ["gradient", "guided-backprop", "grad-cam"])
@pytest.mark.parametrize("inplace", [False, True])
def test_fused_maps_equal_those_of_the_network_as_given(name: str, inplace: bool) -> None:
    shape = (17, 14, 19)
    model, items = paper_like(3, inplace, shape).double(), volumes(3, shape)
    exact = explain(model, items, name, [0, 2, 1], engine=EXACT)
    made = explain(model, items, name, [0, 2, 1], engine=Engine("cpu", batch_size=2))
    assert "conv-ReLU-pool fused" in made[0].provenance.precision
    assert made[0].provenance.notes == exact[0].provenance.notes
    for a, b in zip(made, exact, strict=True):
        assert np.abs(a.values - b.values).max() < 1e-6 * np.abs(b.values).max()


def test_bfloat16_stays_inside_the_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowering, "bfloat16_pays", lambda device: True)
    torch.manual_seed(1)
    model = nn.Sequential(
        *(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.MaxPool3d(2)),
        *(nn.Conv3d(4, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)),
    )
    x = batch(volumes(2))
    seen: list[torch.dtype] = []
    made = lower(model, x)
    fast, words = made.model, made.words
    assert words == "conv-ReLU-pool fused, bfloat16 convolutions, channels last"
    assert fast[0].weight.dtype == fast[3].weight.dtype == torch.bfloat16
    assert model[0].weight.dtype == fast[7].weight.dtype == torch.float32
    for module in fast:
        module.register_forward_hook(lambda m, a, out: seen.append(out.dtype))
    with torch.no_grad():
        made, wanted = fast(x), model(x)
    assert set(seen) == {torch.float32}
    assert 0 < (made - wanted).abs().max() < 0.03 * wanted.abs().max()


@pytest.mark.parametrize(
    "name", ["gradient", "guided-backprop", "grad-cam", "integrated-gradients"]
)
def test_bfloat16_maps_are_near_the_exact_ones(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    shape = (17, 14, 19)
    model, items = paper_like(shape=shape), volumes(2, shape)
    exact = explain(model, items, name, 1, engine=EXACT)
    monkeypatch.setattr(lowering, "bfloat16_pays", lambda device: True)
    made = explain(model, items, name, 1, engine=Engine("cpu"))
    for a, b in zip(made, exact, strict=True):
        assert "bfloat16" in a.provenance.precision
        assert 0 < np.linalg.norm(a.values - b.values) < 0.2 * np.linalg.norm(b.values)


def test_bfloat16_is_for_methods_that_bear_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowering, "bfloat16_pays", lambda device: True)
    words = lower(paper_like(), batch(volumes(1)), needs=Needs(float32=True)).words
    assert "bfloat16" not in words
    monkeypatch.setitem(checks._TOLERANCE, True, 0.0)
    words = lower(paper_like(), batch(volumes(1))).words
    assert words == "batch norm folded, conv-ReLU-pool fused, channels last"


def test_a_processor_without_bfloat16_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    made = lowering.bfloat16_pays(torch.device("cpu"))
    assert made == (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    assert not lowering.bfloat16_pays(torch.device("meta"))


@pytest.mark.parametrize("head", [nn.AdaptiveAvgPool3d(1), nn.Identity()])
def test_a_large_volume_is_compared_on_its_middle(
    monkeypatch: pytest.MonkeyPatch, head: nn.Module
) -> None:
    monkeypatch.setattr(known, "_LARGE", 1000)
    monkeypatch.setattr(known, "_MIDDLE", 6)
    x = batch(volumes(1, (12, 11, 10)))
    model = nn.Sequential(
        nn.Conv3d(1, 2, 3), nn.ReLU(), nn.MaxPool3d(2), head, nn.Flatten(), nn.LazyLinear(2)
    )
    model(x)
    seen: list[tuple[int, ...]] = []
    examined, ask = known.Known(model, x), known.Ask(None, Needs(), None)
    assert examined.head(ask) == "logits"
    part, before = examined.part, examined.sight(ask, "logits")
    seen.append(tuple(part.shape))
    wide = isinstance(head, nn.Identity)  # its linear layer takes one size alone
    assert seen == [(1, 1, 12, 11, 10) if wide else (1, 1, 6, 6, 6)]
    assert torch.equal(before.logits, model(part))
    assert lower(model, x).words == "conv-ReLU-pool fused, channels last"
    if not wide:
        assert torch.equal(part[0, 0], x[0, 0, 3:9, 2:8, 2:8])


def test_a_network_of_slices_is_lowered_too() -> None:
    """Weights of four axes have no order of five."""

    class Slices(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.head = nn.Conv2d(SHAPE[2], 4, 3), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.conv(x[:, 0].permute(0, 3, 1, 2)).relu().mean((2, 3)))

    model, item = Slices().eval(), volumes(1)[0]
    made = explain(model, item, "gradient", 1, engine=Engine("cpu"))
    exact = explain(model, item, "gradient", 1, engine=EXACT)
    assert np.allclose(made.values, exact.values, atol=1e-6)


class Looks(nn.Module):
    """Cannot be followed on shapes alone."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = paper_like()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x / float(x.detach().abs().max() > 0))


def test_a_network_that_looks_at_values_is_traced_on_the_volume() -> None:
    x = batch(volumes(1))
    names = [call.name for call in trace(Looks(), x).calls]
    assert names == [f"inner.{call.name}" for call in trace(paper_like(), x).calls]
    assert auto_layer(Looks(), x).name == "inner.features.6"
    assert (
        lower(Looks(), x, needs=Needs(gradient=False)).words
        == "batch norm folded, conv-ReLU-pool fused, channels last"
    )


def test_shapes_are_traced_without_running_the_network_on_numbers() -> None:
    calls: list[str] = []

    class Noted(nn.Identity):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            calls.append(x.device.type)
            return x + 0

    model = nn.Sequential(Noted(), nn.Conv3d(1, 2, 3), nn.Flatten(), nn.LazyLinear(2))
    model(batch(volumes(1)))
    calls.clear()
    assert auto_layer(model, batch(volumes(1))).name == "1"
    assert calls == ["meta"]


def test_a_trace_without_batch_norms_is_that_of_the_folded_network() -> None:
    model = nn.Sequential(
        nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2),
        nn.Conv3d(4, 5, 3), nn.BatchNorm3d(5), nn.ReLU(inplace=True), nn.Conv3d(5, 5, 1),
    ).eval()  # fmt: skip
    x = torch.randn(1, 1, 12, 12, 12)
    norms = ["1", "5"]
    found = trace(model, x).without(norms)
    for name in norms:
        setattr(model, name, nn.Identity())
    wanted = trace(model, x)

    def links(calls: Trace) -> list[tuple[str, str | None, list[str]]]:
        once = calls.once().values()
        after = {c.name: calls.follower(c) for c in once}
        return [(c.name, after[c.name] and after[c.name].name, calls.passing(c)) for c in once]

    assert links(found) == links(wanted)
    assert ("0", "2", ["1"]) in links(found)
