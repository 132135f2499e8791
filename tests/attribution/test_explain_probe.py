"""Layers, targets and outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from explain_nets import EXACT, SHAPE, batch, paper_like, volumes
from torch import nn
from torch.nn import functional

from voxplain.attribution import Chosen, Engine, Probe, Target, probe
from voxplain.attribution.examine.layers import auto_layer
from voxplain.attribution.network.outputs import as_logits
from voxplain.attribution.network.probe import layer_name
from voxplain.attribution.network.target import make_target
from voxplain.attribution.run import explain
from voxplain.errors import InputError, NetworkError, VoxplainWarning


class Shared(nn.Module):
    """One ReLU module that is called three times, and one layer that is never called."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.one, self.two = nn.Conv3d(1, 3, 3), nn.Conv3d(3, 4, 3)
        self.relu = nn.ReLU(inplace=True)
        self.idle = nn.Conv3d(1, 1, 1)
        self.head = nn.Linear(4 * 3 * 4 * 5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.one(x))
        x = self.relu(self.two(x))
        return self.head(self.relu(x - 0.05).flatten(1))


def cam_by_hand(model: Shared, x: torch.Tensor, place: str) -> np.ndarray:
    with torch.no_grad():
        a = model.two(model.one(x).relu())
        a = a if place == "two" else (a.relu() - 0.05).relu()
    a.requires_grad_()
    last = (a.relu() - 0.05).relu() if place == "two" else a
    (gradient,) = torch.autograd.grad(model.head(last.flatten(1))[:, 1].sum(), a)
    cam = (gradient.mean((2, 3, 4), keepdim=True) * a).sum(1, keepdim=True).relu()
    return functional.interpolate(cam, SHAPE, mode="trilinear").detach().numpy()[:, 0]


@pytest.mark.parametrize("place", ["two", "relu"])
def test_last_call_counts_and_in_place_relu_does_not_reach_the_record(place: str) -> None:
    model, items = Shared(), volumes(3)
    made = explain(model, items, "grad-cam", 1, layer=place, engine=EXACT)
    wanted = cam_by_hand(model, batch(items), place)
    assert wanted.any()
    assert np.allclose([m.values for m in made], wanted, atol=1e-6)


def test_auto_takes_the_last_layer_with_extent() -> None:
    assert auto_layer(Shared(), batch(volumes(1))).name == "relu"
    model = paper_like()
    assert auto_layer(model, batch(volumes(1))).name == "features.6"
    model.features.append(nn.AdaptiveAvgPool3d(1))
    model.features.append(nn.Conv3d(5, 10, 1))
    model.classifier[-1] = nn.Linear(10, 2)
    assert auto_layer(model, batch(volumes(1))).name == "features.6"
    flat = nn.Sequential(nn.Flatten(), nn.Linear(504, 2))
    with pytest.raises(NetworkError, match="no layer module that gives feature maps"):
        explain(flat, volumes(1)[0], "grad-cam")


def test_a_layer_can_be_the_module() -> None:
    model, item = paper_like(), volumes(1)[0]
    assert layer_name(model, model.features[2]) == "features.2"
    by_module = explain(model, item, "grad-cam", 1, layer=model.features[4], relu=False)
    by_name = explain(model, item, "grad-cam", 1, layer="features.4", relu=False)
    assert by_module.provenance.layer == "features.4"
    assert np.array_equal(by_module.values, by_name.values)


def test_layers_that_do_not_serve() -> None:
    model, item = paper_like(), volumes(1)[0]
    with pytest.raises(InputError, match=r"Unknown layer 'features.66'; .*Did you mean 'features"):
        explain(model, item, "grad-cam", layer="features.66")
    with pytest.raises(InputError, match="The given ReLU is not a layer of this PaperLike"):
        explain(model, item, "grad-cam", layer=nn.ReLU())
    with pytest.raises(NetworkError, match=r"'classifier.0' gives an output of shape \(1, 20\)"):
        explain(model, item, "grad-cam", layer="classifier.0")
    with pytest.raises(NetworkError, match="Layer 'idle' was not run"):
        explain(Shared(), item, "grad-cam", layer="idle", engine=EXACT)


def test_a_layer_without_influence_is_refused() -> None:
    class Aside(Shared):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.idle(x)
            return super().forward(x)

    with pytest.raises(NetworkError, match="no gradient with respect to layer 'idle'"):
        explain(Aside(), volumes(1)[0], "grad-cam", layer="idle", engine=EXACT)


def test_probe_restores_flags_when_the_body_raises() -> None:
    model = paper_like().train()
    model.features[1].eval()
    model.features[0].weight.requires_grad_(False)

    def look() -> None:
        with probe(model, "features.2") as p:
            assert not model.training
            assert not any(q.requires_grad for q in model.parameters())
            p.logits(batch(volumes(2)))
            assert p.activation.shape == (2, 4, 7, 8, 9)
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        look()
    assert model.training
    assert not model.features[1].training
    assert [q.requires_grad for q in model.parameters()][:2] == [False, True]
    assert not model.features[2]._forward_hooks


def test_a_layer_is_attached_for_the_time_being() -> None:
    model, x = paper_like(inplace=True), batch(volumes(2))
    with torch.no_grad():
        wanted = model.eval().features[:6](x)

    def fail(p: Probe) -> None:
        with p.attached():
            raise KeyError("stop")

    with probe(model, "features.5") as p:
        leaf = x.clone().requires_grad_()
        with p.attached():
            p.logits(leaf)
        # The in-place ReLU after the layer does not reach the record.
        assert torch.equal(p.activation, wanted)
        assert p.gradient(p.activation.sum((1, 2, 3, 4)), leaf).any()
        with pytest.raises(KeyError, match="stop"):
            fail(p)
        p.logits(leaf)
        assert p.activation.is_leaf
        with pytest.raises(NetworkError, match="no gradient with respect to the input"):
            p.gradient(p.activation.sum((1, 2, 3, 4)), leaf)


def test_parts_of_the_work_are_reported_within_the_whole() -> None:
    told: list[float] = []
    with probe(paper_like(), report=told.append) as p:
        with p.part(1, 4):
            p.report(0.5)
            with p.part(0, 2):
                p.report(1.0)
        p.report(1.0)
    assert told == [0.375, 0.375, 1.0]


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (lambda z: (z, z), "gives a tuple"),
        (lambda z: {"a": z, "b": z}, "gives a dict of a, b"),
        (lambda z: z[:, :, None].expand(-1, -1, 3), r"gives a tensor of shape \(1, 2, 3\)"),
        (lambda z: z.long(), "gives a tensor of int64"),
    ],
)
def test_outputs_that_are_not_logits_ask_for_a_wrapper(give: object, words: str) -> None:
    class Other(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = paper_like()

        def forward(self, x: torch.Tensor) -> object:
            return give(self.inner(x))

    with pytest.raises(NetworkError, match=f"Other {words}.*wrap it"):
        explain(Other(), volumes(1)[0])


def test_a_network_that_cannot_take_several_scans_gets_them_one_by_one() -> None:
    class Mean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)[:, :2].mean(0, keepdim=True)

    for engine in (EXACT, Engine("cpu")):
        with pytest.warns(VoxplainWarning, match="Mean does not keep the scans of a batch apart"):
            made = explain(Mean(), volumes(3), "gradient", 0, engine=engine, score="logit")
        for one in made:
            assert one.values.ravel()[:3].tolist() == [1, 0, 0]
            assert "each scan is run alone" in one.provenance.notes[0]


def test_scores_by_hand() -> None:
    z = torch.tensor([[1.0, 2.0, 4.0], [0.0, 5.0, -1.0]], dtype=torch.float64)
    picked = Chosen(torch.tensor([2, 0]))
    assert picked.score(z).tolist() == [4, 0]
    wanted = [4 - np.log(np.exp(1) + np.exp(2)), 0 - np.log(np.exp(5) + np.exp(-1))]
    assert np.allclose(picked.score(z, "margin"), wanted)
    p = torch.softmax(z, 1).gather(1, torch.tensor([[2], [0]]))[:, 0]
    assert torch.allclose(torch.sigmoid(picked.score(z, "margin")), p)
    assert Chosen(torch.tensor([1, 0])).score(z[:, :2], "margin").tolist() == [1, -5]
    one = torch.tensor([[3.0], [-2.0]])
    for kind in ("logit", "margin"):
        assert Chosen(torch.tensor([1, 0])).score(one, kind).tolist() == [3, 2]
        assert Target().choose(one).score(one, kind).tolist() == [3, -2]
    assert Target().choose(z).indices.tolist() == [2, 1]
    assert as_logits(torch.zeros(5), "Net", 5).shape == (5, 1)


@pytest.mark.parametrize(
    ("target", "names", "message"),
    [
        (2, None, "class 2 is out of range: the network tells 2 classes apart, numbered 0 to 1"),
        (-1, None, "class -1 is out of range"),
        ([0, 7, 1], None, "class 7 is out of range"),
        ([0, 1], None, "2 targets were given for 3 volumes"),
        ("male", None, "no class_names were given"),
        ("mal", ("female", "male"), "Unknown target 'mal'.*Did you mean 'male'"),
        (0.5, None, "callable; float was given"),
        ([0.5, 1, 1], None, "neither a class index nor a class name"),
        (True, None, "bool was given"),
        (1, ("only",), "1 class name was given, and the network has 2 outputs; give one for each"),
    ],
)
def test_targets_that_do_not_serve(
    target: object, names: tuple[str, ...] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        explain(paper_like(), volumes(3), target=target, class_names=names, engine=EXACT)


def test_targets_that_serve() -> None:
    assert make_target(1, 3).classes == (1, 1, 1)
    assert make_target(np.int64(1), 2).classes == (1, 1)
    assert make_target(np.array([1, 0]), 2).classes == (1, 0)
    assert make_target(["b", 0], 2, ("a", "b")).classes == (1, 0)
    assert make_target("b", 2, ("a", "b")).classes == (1, 1)
    assert make_target("predicted", 2).classes is None


def test_the_predicted_class_is_that_of_the_larger_logit_or_of_the_sign() -> None:
    chosen = Target().choose(torch.tensor([[1.0, 3.0, 2.0], [0.0, -1.0, -2.0]]))
    assert (chosen.indices.tolist(), chosen.predicted) == ([1, 0], True)
    one = torch.tensor([[0.5], [-0.5]])
    chosen = Target(names=2).choose(one)
    assert (chosen.class_of(0), chosen.class_of(1), chosen.predicted) == (1, 0, True)
    assert Target().choose(one).class_of(0) is None
    given = Target((0, 1)).choose(torch.tensor([[1.0, 3.0], [1.0, 0.0]]))
    assert (given.indices.tolist(), given.predicted) == ([0, 1], False)
