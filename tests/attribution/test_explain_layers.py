"""The layer that is taken where none is named, and Grad-CAM there by hand."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from explain_hand import relative, trilinear
from explain_nets import EXACT, batch, paper_like, volumes
from torch import nn
from torch.nn import functional

from voxplain.attribution import Engine, explain
from voxplain.attribution.examine.layers import auto_layer
from voxplain.errors import NetworkError, VoxplainWarning
from voxplain.nets import MRINet
from voxplain.nets.sfcn import SFCN

SHAPE = (8, 12, 10)


class Block(nn.Module):
    """A residual block as they are usually written: sum and last ReLU are functions."""

    def __init__(self, before: int, after: int, inplace: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(before, after, 3, padding=1)
        self.conv2 = nn.Conv3d(after, after, 3, padding=1)
        self.shortcut = nn.Sequential() if before == after else nn.Conv3d(before, after, 1)
        self.inplace = inplace

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.conv2(functional.relu(self.conv1(x), inplace=self.inplace))
        if self.inplace:
            out += self.shortcut(x)
        else:
            out = out + self.shortcut(x)
        return functional.relu(out, inplace=self.inplace)


class Net(nn.Module):
    """A body that makes feature maps, and a head on their mean."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.head = nn.Linear(channels, 2)

    def body(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def tail(self, maps: torch.Tensor) -> torch.Tensor:
        return self.head(maps.mean((2, 3, 4)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tail(self.body(x))


class Residual(Net):
    def __init__(self, inplace: bool = False, same: bool = True) -> None:
        super().__init__(4)
        self.stem = nn.Conv3d(1, 4 if same else 3, 3, padding=1)
        self.block = Block(4 if same else 3, 4, inplace)

    def body(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(self.stem(x))


class Squeezed(Net):
    """A residual block and a gate for its channels, as squeeze-and-excitation."""

    def __init__(self) -> None:
        super().__init__(4)
        self.inner = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), Block(4, 4))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Conv3d(4, 4, 1), nn.Sigmoid())

    def body(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)

    def tail(self, maps: torch.Tensor) -> torch.Tensor:
        return self.head((maps * self.gate(maps)).mean((2, 3, 4)))


class Gated(Net):
    """Attention over places: the gate is the last module with extent, but not all there is."""

    def __init__(self) -> None:
        super().__init__(4)
        self.maps = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU())
        self.gate = nn.Sequential(nn.Conv3d(4, 1, 1), nn.Sigmoid())

    def body(self, x: torch.Tensor) -> torch.Tensor:
        return self.maps(x)

    def tail(self, maps: torch.Tensor) -> torch.Tensor:
        gate = self.gate(maps)
        return self.head((maps * gate).sum((2, 3, 4)) / gate.sum((2, 3, 4)))


class Joined(Net):
    """Two branches that a module puts together."""

    def __init__(self) -> None:
        super().__init__(7)
        self.a, self.b = nn.Conv3d(1, 3, 3, padding=1), nn.Conv3d(1, 4, 5, padding=2)
        self.joined = nn.ReLU()

    def body(self, x: torch.Tensor) -> torch.Tensor:
        return self.joined(torch.cat([self.a(x), self.b(x)], 1))


class Dense(Net):
    """Layers that each see all before them."""

    def __init__(self) -> None:
        super().__init__(8)
        self.first = nn.Conv3d(1, 2, 3, padding=1)
        self.layers = nn.ModuleList(nn.Conv3d(2 * n, 2, 3, padding=1) for n in (1, 2, 3))
        self.norm = nn.BatchNorm3d(8)

    def body(self, x: torch.Tensor) -> torch.Tensor:
        made = [self.first(x)]
        for layer in self.layers:
            made.append(functional.relu(layer(torch.cat(made, 1))))
        return self.norm(torch.cat(made, 1))


class Pooled(Net):
    """Two kinds of pooling of the same feature maps."""

    def __init__(self) -> None:
        super().__init__(8)
        self.maps = Residual().stem
        self.high, self.mean = nn.MaxPool3d(2), nn.AvgPool3d(2)

    def body(self, x: torch.Tensor) -> torch.Tensor:
        return self.maps(x)

    def tail(self, maps: torch.Tensor) -> torch.Tensor:
        both = torch.cat([self.high(maps), self.mean(maps)], 1)
        return self.head(both.relu().mean((2, 3, 4)))


class PooledSum(Net):
    """A sum by a function, and a pooling module after it: the only one that holds the sum."""

    def __init__(self) -> None:
        super().__init__(4)
        self.stem, self.conv = nn.Conv3d(1, 4, 3, padding=1), nn.Conv3d(4, 4, 3, padding=1)
        self.pool = nn.MaxPool3d(2)

    def body(self, x: torch.Tensor) -> torch.Tensor:
        h = self.stem(x)
        return self.pool(functional.relu(self.conv(h) + h))


NETS: list[tuple[str, Callable[[], Net], str]] = [
    ("residual", Residual, "block"),
    ("residual in place", lambda: Residual(inplace=True), "block"),
    ("residual with projection", lambda: Residual(same=False), "block"),
    ("squeezed", Squeezed, "inner.1"),
    ("gated", Gated, "maps.1"),
    ("joined", Joined, "joined"),
    ("dense", Dense, "norm"),
    ("pooled twice", Pooled, "maps"),
    ("pooled sum", PooledSum, "pool"),
]
each_net = pytest.mark.parametrize(
    ("make", "name"), [n[1:] for n in NETS], ids=[n[0] for n in NETS]
)


def seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    torch.manual_seed(seed)
    net = make().eval()
    with torch.no_grad():
        net(batch(volumes(1, SHAPE)))
    return net


@each_net
@pytest.mark.parametrize("seed", [0, 1])
def test_grad_cam_at_what_everything_passes_through(
    make: Callable[[], Net], name: str, seed: int
) -> None:
    net, item = seeded(make, seed), volumes(1, SHAPE, seed)[0]
    made = explain(net, item, "grad-cam", seed, relu=False, engine=EXACT)
    assert made.provenance.layer == name
    double = seeded(make, seed).double()
    with torch.no_grad():
        maps = double.body(batch([item]).double())
    leaf = maps.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(double.tail(leaf)[0, seed], leaf)
    cam = np.zeros(maps.shape[2:])
    for channel in range(maps.shape[1]):
        cam += float(gradient[0, channel].mean()) * maps[0, channel].numpy()
    assert relative(made.values, trilinear(cam, SHAPE)) < 1e-4


@each_net
def test_nothing_passes_the_layer_by_and_no_later_one_would_do(
    make: Callable[[], Net], name: str
) -> None:
    """Cut the graph at each module in turn: only at some does the output lose the input."""
    net = seeded(make, 0)
    order: list[str] = []
    cuts: set[str] = set()
    for one, module in net.named_modules():
        if not one:
            continue
        shapes: list[tuple[int, ...]] = []

        def cut(
            module: nn.Module, args: object, out: torch.Tensor, shapes: list = shapes
        ) -> torch.Tensor:
            shapes.append(tuple(out.shape))
            return out.detach().clone()

        handle = module.register_forward_hook(cut)
        for parameter in net.parameters():
            parameter.requires_grad_(False)
        lost = not net(batch(volumes(1, SHAPE)).requires_grad_()).requires_grad
        handle.remove()
        if shapes and len(shapes[-1]) == 5 and max(shapes[-1][2:]) > 1:
            order.append(one)
            if lost:
                cuts.add(one)
    assert name in cuts
    assert auto_layer(net, batch(volumes(1, SHAPE))).name == name
    later = [one for one in order[order.index(name) + 1 :] if one in cuts]
    # Those inside a block come after it in this list, but not in time.
    assert not [one for one in later if not one.startswith(f"{name}.")]


class Branches(nn.Module):
    """Two branches that meet only after their spatial mean."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv3d(1, 3, 3, padding=1), nn.ReLU())
        self.b = nn.Sequential(nn.Conv3d(1, 3, 5, padding=2), nn.ReLU())
        self.head = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([self.a(x).mean((2, 3, 4)), self.b(x).mean((2, 3, 4))], 1))


class NormedBranches(Branches):
    """The same, on an input that a module scales: a layer of no features."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.InstanceNorm3d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(self.scale(x))


class Halves(nn.Module):
    """One encoder for both halves of the brain: what it gives last is one half's."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv3d(1, 3, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        middle = x.shape[2] // 2
        left, right = x[:, :, :middle], x[:, :, middle:].flip(2)
        return self.head((self.encoder(left) - self.encoder(right)).abs().mean((2, 3, 4)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Branches, r"no layer of Branches holds all evidence: layer 'b.1' is taken.*such as 'a.1'"),
        (NormedBranches, r"holds all evidence: layer 'b.1' is taken.*such as 'a.1'"),
        (Halves, r"holds all evidence: layer 'encoder.1' is taken"),
    ],
)
def test_branches_that_never_meet_are_told(make: Callable[[], nn.Module], words: str) -> None:
    net, items = seeded(make, 0), volumes(3, SHAPE)
    with pytest.warns(VoxplainWarning, match=words) as told:
        made = explain(net, items, "grad-cam", 1, relu=False, engine=EXACT)
    assert len(told) == 1
    assert all("evidence passes it by" in m.provenance.notes[0] for m in made)
    named = made[0].provenance.layer
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = explain(net, items, "grad-cam", 1, relu=False, layer=named, engine=EXACT)[0]
    assert np.array_equal(again.values, made[0].values)
    assert again.provenance.notes == ()


def test_a_sum_that_no_module_gives_is_told() -> None:
    class Loose(PooledSum):
        def body(self, x: torch.Tensor) -> torch.Tensor:
            h = self.stem(x)
            return functional.relu(self.conv(h) + h)

    words = r"'stem' of Loose is the last.*\('conv'\) on branches that no module joins"
    with pytest.warns(VoxplainWarning, match=words):
        explain(seeded(Loose, 0), volumes(1, SHAPE)[0], "grad-cam", 1, engine=EXACT)


def test_patches_in_the_place_of_the_batch_are_no_feature_maps() -> None:
    class Patches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv3d(1, 3, 3), nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            parts = x.unfold(2, 4, 4).movedim(-1, 2).reshape(-1, 1, 4, *x.shape[3:])
            return self.head(self.conv(parts).mean((2, 3, 4)).reshape(len(x), -1, 3).mean(1))

    net, item = seeded(Patches, 0), volumes(1, SHAPE)[0]
    with pytest.raises(NetworkError, match="no layer module that gives feature maps"):
        explain(net, item, "grad-cam", 1, engine=EXACT)
    with pytest.raises(NetworkError, match=r"\(2, 3, 2, 10, 8\).*of the batch's 1 volumes"):
        explain(net, item, "grad-cam", 1, layer="conv", engine=EXACT)


def test_layers_that_were_right_stay() -> None:
    x = torch.zeros(1, 1, 58, 70, 58)
    assert auto_layer(MRINet(), x) == auto_layer(MRINet(), x)
    assert auto_layer(MRINet(), x).name == "features.relu3"
    assert auto_layer(SFCN(), x).name == "features.22"
    item = volumes(1)[0]
    made = explain(paper_like(), item, "grad-cam", 1, engine=EXACT)
    named = explain(paper_like(), item, "grad-cam", 1, layer="features.6", engine=EXACT)
    assert np.array_equal(made.values, named.values)


@pytest.mark.parametrize(
    ("name", "options", "layer"),
    [
        ("DenseNet121", {"out_channels": 2, "in_channels": 1}, "class_layers.relu"),
        ("resnet10", {"num_classes": 2, "n_input_channels": 1}, "layer4.0.act"),
        ("resnet50", {"num_classes": 2, "n_input_channels": 1}, "layer4.2.act"),
        ("SEResNet50", {"num_classes": 2, "in_channels": 1}, "layer4.2.act"),
    ],
)
def test_monais_networks_keep_their_layer(name: str, options: dict[str, int], layer: str) -> None:
    nets = pytest.importorskip("monai.networks.nets")
    net = getattr(nets, name)(spatial_dims=3, **options)
    found = auto_layer(net, torch.zeros(1, 1, 64, 64, 64))
    assert (found.name, found.doubt) == (layer, "")


def test_a_unet_is_looked_at_where_its_last_sum_is() -> None:
    nets = pytest.importorskip("monai.networks.nets")

    class Headed(Net):
        def __init__(self) -> None:
            super().__init__(4)
            self.unet = nets.UNet(3, 1, 4, (4, 8, 8), (2, 2), num_res_units=2)

        def body(self, x: torch.Tensor) -> torch.Tensor:
            return self.unet(x)

    # The residual unit, and not the convolution inside it, which the shortcut goes round.
    assert auto_layer(Headed(), torch.zeros(1, 1, 16, 16, 16)).name == "unet.model.2.1"


def loops_over_tokens(
    tokens: torch.Tensor, slope: torch.Tensor, grid: tuple[int, ...], extra: int
) -> np.ndarray:
    """Grad-CAM of tokens (T, C) one by one, in the order in which patches are cut."""
    weights = slope[extra:].mean(0)
    cam = np.zeros(grid)
    for number, place in enumerate(itertools.product(*map(range, grid))):
        cam[place] = float((weights * tokens[extra + number]).sum())
    return cam


class Transformer(nn.Module):
    """Patches, perhaps a class token, and encoder layers."""

    def __init__(self, class_token: bool, batch_first: bool, read: str) -> None:
        super().__init__()
        self.patch = nn.Conv3d(1, 6, (4, 4, 5), (4, 4, 5))
        self.token = nn.Parameter(torch.randn(1, 1, 6)) if class_token else None
        layer = nn.TransformerEncoderLayer(6, 2, 12, batch_first=batch_first)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        for parameter in self.encoder.parameters():
            nn.init.normal_(parameter, 0, 0.5)
        self.head = nn.Linear(6, 2)
        self.batch_first, self.read = batch_first, read

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        if self.token is not None:
            tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], 1)
        return tokens if self.batch_first else tokens.transpose(0, 1)

    def tail(self, tokens: torch.Tensor, start: int) -> torch.Tensor:
        for layer in self.encoder.layers[start:]:
            tokens = layer(tokens)
        own = tokens if self.batch_first else tokens.transpose(0, 1)
        return self.head(own[:, 0] if self.read == "class token" else own.mean(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.encoder(self.embed(x))
        return self.tail(tokens, 3)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize(
    ("class_token", "read", "layers"),
    [(False, "mean", 3), (True, "mean", 3), (True, "class token", 2)],
)
def test_tokens_are_laid_out_as_a_volume(
    batch_first: bool, class_token: bool, read: str, layers: int
) -> None:
    net = seeded(lambda: Transformer(class_token, batch_first, read), 0)
    items = volumes(3, SHAPE)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        made = explain(net, items, "grad-cam", 1, relu=False, engine=EXACT)
    said = [str(w.message) for w in told if issubclass(w.category, VoxplainWarning)]
    assert len(said) == class_token
    assert all("1 token beside the patches'" in one for one in said)
    name = f"encoder.layers.{layers - 1}"
    double = seeded(lambda: Transformer(class_token, batch_first, read), 0).double()
    for item, one in zip(items, made, strict=True):
        assert one.provenance.layer == name
        tokens = double.embed(batch([item]).double())
        for layer in double.encoder.layers[:layers]:
            tokens = layer(tokens)
        tokens = tokens.detach().requires_grad_()
        (slope,) = torch.autograd.grad(double.tail(tokens, layers)[0, 1], tokens)
        own, own_slope = (t.detach().flatten(0, 1) for t in (tokens, slope))
        cam = loops_over_tokens(own, own_slope, (2, 3, 2), int(class_token))
        assert relative(one.values, trilinear(cam, SHAPE)) < 1e-4


@pytest.mark.parametrize("method", ["grad-cam++", "hirescam", "layercam", "channel-attention"])
@pytest.mark.filterwarnings("ignore::voxplain.errors.VoxplainWarning")
def test_every_method_of_layers_takes_tokens_and_one_by_one_is_the_same(method: str) -> None:
    net, items = seeded(lambda: Transformer(True, True, "class token"), 0), volumes(3, SHAPE)
    made = explain(net, items, method, 1, engine=EXACT)
    alone = [explain(net, item, method, 1, engine=EXACT) for item in items]
    assert any(one.values.any() for one in made)
    for a, b in zip(made, alone, strict=True):
        assert np.allclose(a.values, b.values, atol=1e-6)


def test_samples_and_tokens_that_cannot_be_told_apart_are_refused() -> None:
    net = seeded(lambda: Transformer(False, False, "mean"), 0)
    with pytest.raises(NetworkError, match=r"\(12, 12, 6\).*another batch size than 12"):
        explain(net, volumes(12, SHAPE), "grad-cam", 1, engine=Engine("cpu", "exact", 12))
    told = explain(net, volumes(12, SHAPE), "grad-cam", 1, relu=False, engine=EXACT)
    assert len(told) == 12


@pytest.mark.parametrize("projection", ["conv", "perceptron"])
def test_monais_vision_transformer(projection: str) -> None:
    nets = pytest.importorskip("monai.networks.nets")

    class First(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vit = nets.ViT(
                1, (8, 12, 16), (4, 4, 4), hidden_size=12, mlp_dim=16, num_layers=3, num_heads=2,
                proj_type=projection, classification=True, post_activation="none",
            )  # fmt: skip

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.vit(x)[0]

    torch.manual_seed(0)
    net, item = First().eval(), volumes(1, (8, 12, 16))[0]
    with pytest.warns(VoxplainWarning, match=r"'vit.blocks.1' of First gives 1 token beside"):
        made = explain(net, item, "hirescam", 1, engine=EXACT)
    kept: list[torch.Tensor] = []
    handle = net.vit.blocks[1].register_forward_hook(lambda m, a, out: kept.append(out))
    logit = net(batch([item]))[0, 1]
    handle.remove()
    (slope,) = torch.autograd.grad(logit, kept[0])
    cam = np.zeros((2, 3, 4))
    for number, place in enumerate(itertools.product(range(2), range(3), range(4))):
        cam[place] = float((slope[0, 1 + number] * kept[0][0, 1 + number]).sum().detach())
    assert relative(made.values, trilinear(cam, (8, 12, 16))) < 1e-4


def test_channels_may_come_last() -> None:
    class Last(nn.Module):
        """As the Swin transformers of video keep them: (N, X, Y, Z, C) until the pooling."""

        def __init__(self) -> None:
            super().__init__()
            self.patch, self.mix = nn.Conv3d(1, 6, 2, 2), nn.Linear(6, 7)
            self.norm, self.head = nn.LayerNorm(7), nn.Linear(7, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            maps = self.norm(self.mix(self.patch(x).movedim(1, -1)).relu())
            return self.head(maps.movedim(-1, 1).relu().mean((2, 3, 4)))

    net, item = seeded(Last, 0), volumes(1, SHAPE)[0]
    made = explain(net, item, "grad-cam", 1, relu=False, engine=EXACT)
    assert made.provenance.layer == "norm"
    with torch.no_grad():
        maps = net.norm(net.mix(net.patch(batch([item])).movedim(1, -1)).relu())
    leaf = maps.clone().requires_grad_()
    logit = net.head(leaf.relu().mean((1, 2, 3)))[0, 1]
    (slope,) = torch.autograd.grad(logit, leaf)
    cam = (slope.mean((1, 2, 3)) * maps[0]).sum(-1).numpy()
    assert relative(made.values, trilinear(cam, SHAPE)) < 1e-4


def test_attention_that_cannot_be_laid_out_is_told() -> None:
    class Odd(nn.Module):
        """Tokens that are put in pairs, so that no grid has as many cells."""

        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv3d(1, 6, (4, 4, 5), (4, 4, 5))
            self.encoder = nn.TransformerEncoderLayer(42, 2, 12, batch_first=True)
            self.head = nn.Linear(42, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = functional.pad(self.patch(x).flatten(2).transpose(1, 2), (0, 0, 1, 1))
            return self.head(self.encoder(tokens.reshape(len(x), 2, 42)).mean(1))

    net = seeded(Odd, 0)
    with pytest.warns(VoxplainWarning, match=r"'patch' of Odd comes before the network's attenti"):
        explain(net, volumes(1, SHAPE)[0], "grad-cam", 1, engine=EXACT)


def test_a_weighted_mean_over_places_is_no_attention_between_them() -> None:
    class Weighted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.maps = nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU())
            self.weight, self.head = nn.Linear(4, 3), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            places = self.maps(x).flatten(2).transpose(1, 2)
            weights = self.weight(places).tanh().sum(2, keepdim=True).softmax(1)
            return self.head(torch.bmm(weights.transpose(1, 2), places)[:, 0])

    found = auto_layer(seeded(Weighted, 0), batch(volumes(1, SHAPE)))
    assert (found.name, found.doubt) == ("maps.1", "")


def test_the_network_and_its_numbers_are_left_as_they_were() -> None:
    net = seeded(Residual, 0).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    auto_layer(net, batch(volumes(1, SHAPE)))
    assert net.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert all(p.requires_grad for p in net.parameters())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
