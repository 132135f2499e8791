"""bfloat16 where its gradients are right, float32 elsewhere: told by shapes, and by a check."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from fit_cohorts import make_cohort
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

from voxplain.errors import InputError
from voxplain.fit import Schedule, Training, outcome_of
from voxplain.fit.training.arithmetic import Arithmetic, arithmetic_of, cut_convolutions, in_float32
from voxplain.nets import build_network

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
PLAIN = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@pytest.fixture(autouse=True)
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in bfloat16 on every processor; where it is not native, PyTorch does so slowly."""
    for place in ("training.arithmetic", "prediction"):
        monkeypatch.setattr(f"voxplain.fit.{place}.has_bfloat16", lambda device: True)


def training(network: nn.Module, n: int = 8, **plan: object) -> Training:
    cohort = make_cohort(n)
    schedule = Schedule(**{"epochs": 2, "batch_size": 4, "learning_rate": 1e-3} | plan)
    return Training(network, cohort, outcome_of(cohort), range(n), schedule, seed=3)


@st.composite
def placed(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, ...]]:
    """A convolution, and the sides of an image that it can be laid on."""
    dims = draw(st.integers(1, 3))
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(dims))  # noqa: E731
    sides, size, stride, dilation = each(1, 7), each(1, 5), each(1, 3), each(1, 2)
    padding = tuple(
        draw(st.integers(0, min(3, d * (k - 1)))) for k, d in zip(size, dilation, strict=True)
    )
    groups = draw(st.sampled_from([1, 2]))
    kind = draw(st.sampled_from([CONVS, TRANSPOSED]))[dims]
    layer = kind(2, 2, size, stride, padding, dilation=dilation, groups=groups)
    return layer, sides


@settings(max_examples=150, deadline=None)
@given(placed())
def test_a_kernel_is_cut_where_it_nowhere_meets_as_many_voxels_as_it_has(
    case: tuple[nn.Module, tuple[int, ...]],
) -> None:
    """Against a count: ones in the image and the kernel, convolved, give the voxels met."""
    layer, sides = case
    try:
        output = layer(torch.zeros(1, 2, *sides))
    except RuntimeError:
        assume(False)
    image = tuple(output.shape[2:]) if isinstance(layer, tuple(TRANSPOSED.values())) else sides
    assume(math.prod(image) > 0)
    size = layer.kernel_size
    met = PLAIN[len(sides)](
        torch.ones(1, 1, *image),
        torch.ones(1, 1, *size),
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
    )
    expected = float(met.max()) < math.prod(size)
    assert cut_convolutions(layer, torch.zeros(1, 2, *sides)) == ("",) * expected


@pytest.mark.parametrize(
    ("options", "side", "cut"),
    [
        ({"padding": "same"}, 2, True),
        ({"padding": "same"}, 3, False),
        ({"padding": "valid"}, 3, False),
        ({"padding": 1, "padding_mode": "circular"}, 2, False),
        ({"padding": 1, "stride": 2}, 3, True),
        ({"padding": 1, "stride": 2}, 4, False),
        ({"padding": 1}, 1, True),
    ],
)
def test_padding_in_words(options: dict[str, object], side: int, cut: bool) -> None:
    layer = nn.Conv3d(1, 4, 3, **options)
    assert bool(cut_convolutions(layer, torch.zeros(1, 1, side, 5, 6))) is cut


CUT = [
    # kind, channels in and out, kernel, stride, padding, dilation, groups, image, scans
    (nn.Conv3d, 64, 64, 3, 1, 1, 1, 1, (2, 2, 2), 4),
    (nn.Conv3d, 16, 32, 3, 1, 1, 1, 1, (2, 5, 5), 1),
    (nn.Conv3d, 32, 16, 5, 1, 2, 1, 1, (4, 5, 6), 2),
    (nn.Conv3d, 16, 16, 3, 2, 1, 1, 1, (3, 4, 4), 8),
    (nn.Conv3d, 16, 16, 4, 1, 1, 1, 1, (3, 4, 5), 3),
    (nn.Conv3d, 24, 8, (3, 5, 3), 1, (1, 2, 1), 1, 1, (6, 1, 6), 3),
    (nn.Conv3d, 3, 16, 3, 3, 1, 1, 1, (3, 2, 2), 3),
    (nn.Conv3d, 66, 60, 3, 1, 1, 1, 2, (2, 3, 4), 5),
    (nn.Conv2d, 8, 16, 3, 3, 1, 1, 1, (8, 1), 1),
    (nn.Conv2d, 4, 4, 3, 3, 1, 1, 4, (1, 2), 3),
    (nn.ConvTranspose3d, 24, 2, 3, 1, 1, 1, 1, (2, 8, 1), 8),
    (nn.ConvTranspose3d, 33, 30, 3, 3, 1, 1, 1, (1, 2, 1), 2),
]


@pytest.mark.parametrize(
    ("kind", "given_", "made", "size", "stride", "padding", "dilation", "groups", "sides", "scans"),
    CUT,
)
def test_gradients_of_cut_kernels_are_those_of_float64(
    kind, given_, made, size, stride, padding, dilation, groups, sides, scans
) -> None:
    torch.manual_seed(0)
    layer = kind(given_, made, size, stride, padding, dilation=dilation, groups=groups)
    layer = layer.to(memory_format=torch.channels_last_3d if len(sides) == 3 else None)
    x = torch.randn(scans, given_, *sides)
    assert cut_convolutions(layer, x) == ("",)
    double = copy.deepcopy(layer).double()
    wanted = double(x.double())
    weight = torch.randn(wanted.shape)
    (wanted * weight).sum().backward()
    for _ in range(3):
        layer.zero_grad()
        junk = [torch.full((n,), 100.0) for n in (4_000_000, 1_000_000, 50_000, x.numel())]
        del junk
        with in_float32(layer, ("",)), torch.autocast("cpu", torch.bfloat16):
            found = layer(x)
        (found.float() * weight).sum().backward()
        # The rounding of bfloat16 would pass as well: it is less than .01.
        for one, other in ((found, wanted), (layer.weight.grad, double.weight.grad)):
            assert (one - other).abs().max() < 0.03 * other.abs().max()


def deep() -> nn.Module:
    """From 7 x 8 x 9 voxels to 2 x 2 x 3, where a kernel of 3 is cut."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv3d(1, 16, 3, padding=1), nn.BatchNorm3d(16), nn.ReLU(inplace=True), nn.MaxPool3d(3),
        nn.Conv3d(16, 16, 3, padding=1), nn.BatchNorm3d(16), nn.ReLU(inplace=True),
        nn.Dropout(0.3), nn.Flatten(), nn.Linear(16 * 2 * 2 * 3, 2),
    )  # fmt: skip


def test_a_training_computes_cut_layers_in_float32_and_leaves_the_network_as_it_was() -> None:
    network, seen = deep(), {"0": set(), "4": set(), "9": set()}
    for name, kinds in seen.items():
        network.get_submodule(name).register_forward_hook(
            lambda layer, args, output, kinds=kinds: kinds.add(output.dtype)
        )
    made = training(network)
    found = made.settle()
    assert found == Arithmetic(True, ("4",))
    assert "in float32 1 layer (4), where the kernel nowhere lies" in found.describe()
    assert Arithmetic.of(found.to_dict()) == found
    for kinds in seen.values():
        kinds.clear()
    made.run()
    assert seen == {"0": {torch.bfloat16}, "4": {torch.float32}, "9": {torch.bfloat16}}
    assert all("forward" not in vars(layer) for layer in network.modules())


def test_exact_is_float32_throughout() -> None:
    network, kinds = deep(), set()
    for layer in network:
        layer.register_forward_hook(lambda layer, args, output: kinds.add(output.dtype))
    made = training(network, precision="exact")
    made.run()
    assert kinds == {torch.float32}
    assert made.settle() == Arithmetic(False, why="as precision 'exact' asks")
    assert made.schedule.describe().endswith(", float32 throughout")
    assert made.schedule.to_dict()["precision"] == "exact"
    assert "precision" not in Schedule().to_dict()
    with pytest.raises(InputError, match="exakt"):
        Schedule(precision="exakt")


def test_without_native_bfloat16_there_is_nothing_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxplain.fit.training.arithmetic.has_bfloat16", lambda device: False)
    found = arithmetic_of(deep(), torch.zeros(1, 1, 7, 8, 9), "cpu", "auto")
    assert found == Arithmetic(False, why="the device does not compute bfloat16 natively")


class Broken(torch.autograd.Function):
    """Doubles what is asked of it, in bfloat16 alone: its output or its gradient."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, way: str) -> torch.Tensor:
        ctx.way, ctx.low = way, x.dtype == torch.bfloat16
        return x * 2 if way == "output" and ctx.low else x.clone()

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        wrong = {"gradient": gradient * 2, "sign": -gradient, "nan": gradient * torch.nan}
        return (wrong.get(ctx.way, gradient) if ctx.low else gradient), None


class BrokenLinear(nn.Linear):
    way = "gradient"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight
        if torch.is_autocast_enabled("cpu"):
            x, weight = x.bfloat16(), weight.bfloat16()
        return F.linear(x, Broken.apply(weight, self.way), self.bias)


@pytest.mark.parametrize("way", ["gradient", "sign", "nan", "output"])
def test_a_layer_whose_gradient_is_wrong_in_bfloat16_runs_in_float32(way: str) -> None:
    network = deep()
    network[9] = BrokenLinear(16 * 2 * 2 * 3, 2)
    network[9].way = way
    made = training(network)
    found = made.settle()
    assert (found.bfloat16, found.cut, found.wrong) == (True, ("4",), ("9",))
    assert "1 layer (9), which failed the check of gradients" in found.describe()
    made.run()
    assert all(torch.isfinite(p).all() for p in network.parameters())


class Functional(nn.Module):
    """Holds a weight beside layers, and convolves by a function."""

    def __init__(self, way: str = "") -> None:
        super().__init__()
        torch.manual_seed(2)
        self.way, self.first = way, nn.Conv3d(1, 4, 3)
        self.weight = nn.Parameter(torch.randn(4, 4, 3, 3, 3) / 10)
        self.last = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, weight = self.first(x).relu(), self.weight
        if torch.is_autocast_enabled("cpu"):
            x, weight = x.bfloat16(), weight.bfloat16()
        return self.last(F.conv3d(x, Broken.apply(weight, self.way)).mean((2, 3, 4)))


@pytest.mark.parametrize("way", ["sign", "gradient", "nan"])
def test_where_the_wrong_one_is_no_layer_all_run_in_float32(way: str) -> None:
    assert training(Functional()).settle() == Arithmetic(True)
    found = training(Functional(way)).settle()
    assert not found.bfloat16
    assert found.wrong == ("weight",)
    assert "float32 throughout: a gradient through the whole network" in found.describe()


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.conv, self.norm = nn.Conv3d(1, 8, 3, padding=1), nn.InstanceNorm3d(8, affine=True)
        self.tied = nn.Conv3d(8, 8, 3, padding=1, bias=False)
        self.scale, self.out = nn.Parameter(torch.ones(8, 1, 1, 1)), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm(self.conv(x)), inplace=True)
        x = x + self.tied(self.tied(x).relu_()) * self.scale
        return self.out(F.dropout(x.mean((2, 3, 4)), 0.2, self.training))


class Kept(nn.Module):
    """Checkpoints its block, replaces a buffer at each pass, and has parametrised layers."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        torch.manual_seed(5)
        norm, spectral = (
            nn.utils.parametrizations.weight_norm,
            nn.utils.parametrizations.spectral_norm,
        )
        self.reentrant, self.first = reentrant, norm(nn.Conv3d(1, 4, 3))
        self.block = nn.Sequential(spectral(nn.Conv3d(4, 4, 3)), nn.BatchNorm3d(4), nn.ReLU())
        self.register_buffer("passes", torch.zeros(1))
        self.out = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes = self.passes + 1
        x = checkpoint(self.block, self.first(x), use_reentrant=self.reentrant)
        return self.out(x.mean((2, 3, 4)))


class Sequence(nn.Module):
    """Layers that give tuples, take words, or are no layers but parameters."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.cut, self.token = nn.Conv3d(1, 8, 3, stride=3), nn.Parameter(torch.zeros(1, 1, 8))
        self.look, self.walk = nn.MultiheadAttention(8, 2, batch_first=True), nn.LSTM(8, 8)
        self.out = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.cut(input=x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), 1, 8).to(x.dtype), x], 1)
        x = x + self.look(x, x, x, need_weights=False)[0]
        return self.out(self.walk(x.float().transpose(0, 1))[0][-1])


MAKERS = [deep, Residual, lambda: Kept(True), lambda: Kept(False), Sequence]


@pytest.mark.parametrize("make", MAKERS)
def test_the_check_passes_what_is_right_and_changes_nothing(make) -> None:
    network = make().train()
    made = training(network)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    order, drawn = made._images.rng.bit_generator.state, torch.get_rng_state()
    found = made.settle()
    assert found.bfloat16
    assert not found.wrong
    assert made.settle() is found
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)
    assert all(p.grad is None for p in network.parameters())
    assert made._images.rng.bit_generator.state == order
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.parametrize("scans", [2, 3, 4])
def test_norms_of_few_values_pass(scans: int) -> None:
    """Their gradients cancel almost to nothing, which rounding must not make an error."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv3d(1, 16, (7, 8, 9)), nn.BatchNorm3d(16), nn.ReLU(), nn.Conv3d(16, 32, 1),
        nn.BatchNorm3d(32), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2),
    )  # fmt: skip
    assert training(network, scans, batch_size=scans).settle() == Arithmetic(True)


def test_the_paper_s_network_has_no_such_layer_and_trains_as_before() -> None:
    """On the demo's grid; a training without the check ends with the same weights, bit by bit."""
    network = build_network("mrinet", (58, 70, 58), 2)
    assert cut_convolutions(network, torch.zeros(1, 1, 58, 70, 58)) == ()
    found = []
    for known in (None, Arithmetic(True)):
        torch.manual_seed(0)
        made = training(
            nn.Sequential(
                nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3),
                nn.Linear(840, 2),
            )
        )  # fmt: skip
        made.arithmetic = known
        made.run()
        found.append(made.network.state_dict())
    for key, value in found[0].items():
        torch.testing.assert_close(value, found[1][key], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "some"),
    [("densenet121", "denseblock3"), ("sfcn", "features.16"), ("seresnet50", "layer4.0.conv2"),
     ("resnet10", ""), ("resnet18", ""), ("resnet50", ""), ("vit", ""), ("slicenet", "")],
)  # fmt: skip
def test_which_networks_have_such_layers_at_5_mm(name: str, some: str) -> None:
    pytest.importorskip("monai")
    shape = (36, 44, 36)
    found = cut_convolutions(build_network(name, shape, 2), torch.zeros(1, 1, *shape))
    assert any(some in layer for layer in found) if some else not found


def test_what_was_chosen_is_kept_when_a_training_is_taken_up() -> None:
    made = training(deep(), epochs=3)
    made.arithmetic = Arithmetic(True, ("4",), ("0",))
    states = []
    made.run(on_epoch=lambda: states.append(copy.deepcopy(made.state())))
    other = training(deep(), epochs=3)
    other.resume(states[0])
    assert other.settle() == made.settle()
    other.run()
    for a, b in zip(made.network.parameters(), other.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.parametrize("precision", ["auto", "exact"])
def test_a_loss_that_is_not_finite_blames_bfloat16_only_where_it_was_on(precision: str) -> None:
    made = training(deep(), learning_rate=1e30, epochs=9, precision=precision)
    said = "give --precision exact, which turns bfloat16 off, lower the learning rate"
    with pytest.raises(InputError, match="The loss is no longer finite in epoch") as caught:
        made.run()
    assert (said in str(caught.value)) is (precision == "auto")


def test_two_trainings_of_a_network_are_told_as_one() -> None:
    one = Arithmetic(True, ("a", "b"), ("c",))
    assert one.joined(None) == one
    assert one.joined(Arithmetic(True, ("b", "d"))) == Arithmetic(True, ("a", "b", "d"), ("c",))
    assert one.joined(Arithmetic(False, why="so")).describe() == "float32 throughout: so"
    assert "5 layers (a, b, c and 2 more)" in Arithmetic(True, tuple("abcde")).describe()


@pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported() or torch.__version__ >= "2.14",
    reason="the fault is that of oneDNN in PyTorch 2.13",
)
@pytest.mark.parametrize("sides", [(2, 2, 2), (2, 3, 2), (2, 6, 5)])
def test_the_check_finds_wrong_gradients_that_shapes_did_not_tell(
    sides: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "voxplain.fit.training.arithmetic.cut_convolutions", lambda network, example: ()
    )
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.AdaptiveAvgPool3d(sides), nn.Conv3d(1, 64, 1), nn.ReLU(),
        nn.Conv3d(64, 64, 3, padding=1), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(64, 2),
    )  # fmt: skip
    assert training(network).settle() == Arithmetic(True, (), ("3",))
