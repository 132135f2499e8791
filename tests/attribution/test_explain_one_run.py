"""`Engine.run`: one examination of a network for scoring and all methods, with the same result."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from explain_nets import SHAPE, PaperLike, batch, volumes

from voxplain.attribution import Engine, explain
from voxplain.attribution.examine import trace as tracing
from voxplain.attribution.fast import lowering
from voxplain.attribution.network.needs import Needs
from voxplain.errors import NetworkError

NAMES = ("gradient", "guided-backprop", "grad-cam", "input-x-gradient", "occlusion", "lrp")
OPTIONS = {"occlusion": {"block": 40.0, "stride": 40.0}}
CPU = Engine("cpu")


class Counted(PaperLike):
    """Counts its passes on real numbers, those of its copies too."""

    passes = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Counted.passes += x.device.type != "meta"
        return super().forward(x)


def counted(seed: int = 0) -> Counted:
    net = Counted(3, seed=seed).eval()
    with torch.no_grad():
        net(torch.zeros(1, 1, *SHAPE))
    Counted.passes = 0
    return net


def passes(engine: Engine, net: Counted, **asked: object) -> int:
    before = Counted.passes
    engine.place(net, volumes(1)[0], **asked)  # type: ignore[arg-type]
    return Counted.passes - before


def first_output(logits: torch.Tensor) -> torch.Tensor:
    return logits[:, 0]


def last_output(logits: torch.Tensor) -> torch.Tensor:
    return logits[:, -1]


@pytest.mark.parametrize("half", [False, True])
def test_a_run_gives_what_separate_calls_give(monkeypatch: pytest.MonkeyPatch, half: bool) -> None:
    monkeypatch.setattr(lowering, "bfloat16_pays", lambda device: half)
    items, net = volumes(3), counted()

    def all_of(engine: Engine) -> list[np.ndarray]:
        maps = [
            explain(net, items, name, 1, engine=engine, **OPTIONS.get(name, {})) for name in NAMES
        ]
        told = {one.provenance.precision for one in maps[0]}
        assert any("bfloat16" in words for words in told) == half
        return [engine.logits(net, items), *(one.values for made in maps for one in made)]

    apart, apart_passes = all_of(CPU), Counted.passes
    Counted.passes = 0
    with CPU.run() as engine:
        shared = all_of(engine)
    for a, b in zip(apart, shared, strict=True):
        np.testing.assert_array_equal(a, b)
    assert Counted.passes < apart_passes


def test_what_was_asked_before_costs_no_pass() -> None:
    net = counted()
    alone = passes(CPU, net)
    assert alone > 0
    assert passes(CPU, net) == alone
    with CPU.run() as engine:
        assert passes(engine, net) == alone
        assert passes(engine, net) == 0
        # Scores are held against how far two scans differ, which a gradient did not ask for.
        scoring = {"needs": Needs(gradient=False)}
        assert passes(engine, net, **scoring) > 0
        assert passes(engine, net, **scoring) == 0
        # Another network and another shape are strangers.
        assert passes(engine, counted(1)) == alone
    exact = Engine("cpu", "exact")
    with exact.run() as engine:
        assert passes(engine, net) > 0
        assert passes(engine, net, needs=Needs(layer=True), layer="features.4") == 0


def test_gradients_of_another_score_are_compared_where_they_are_rounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for half in (False, True):
        monkeypatch.setattr(lowering, "bfloat16_pays", lambda device, half=half: half)
        net = counted()
        with CPU.run() as engine:
            assert passes(engine, net, score=first_output) > 2
            # The network and its copy, on the scan alone.
            assert passes(engine, net, score=last_output) == 2 * half
            assert passes(engine, net, score=last_output) == 0


def test_a_copy_that_was_refused_is_refused_again_and_for_its_score_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lowering, "bfloat16_pays", lambda device: True)
    agree = lowering.agree
    refuse = [True]

    def unlike(before: object, after: object, other: object, half: bool) -> bool:
        return not (half and refuse[0]) and agree(before, after, other, half)

    monkeypatch.setattr(lowering, "agree", unlike)
    net, scan = counted(), volumes(1)[0]
    with CPU.run() as engine:
        assert "bfloat16" not in engine.place(net, scan, score=first_output).precision
        refuse[0] = False
        assert passes(engine, net, score=first_output) == 0
        assert "bfloat16" not in engine.place(net, scan, score=first_output).precision
        assert "bfloat16" in engine.place(net, scan, score=last_output).precision


def test_the_network_is_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    traced, watch = [], tracing._watch
    monkeypatch.setattr(tracing, "_watch", lambda *given: traced.append(1) or watch(*given))
    net, items = counted(), volumes(2)
    with CPU.run() as engine:
        engine.logits(net, items)
        for name in ("gradient", "guided-backprop", "grad-cam"):
            explain(net, items, name, engine=engine)
        with engine.run() as same:
            assert same is engine
    assert len(traced) == 1


def test_weights_that_are_changed_are_seen() -> None:
    net, items = counted(), volumes(2)
    with CPU.run() as engine:
        engine.logits(net, items)
        with torch.no_grad():
            net.classifier[-1].weight.neg_()
            net.classifier[-1].bias.neg_()
            wanted = net(batch(items)).numpy()
        np.testing.assert_allclose(engine.logits(net, items), wanted, atol=1e-4)
        net.features[1].running_mean += 1
        with torch.no_grad():
            wanted = net(batch(items)).numpy()
        np.testing.assert_allclose(engine.logits(net, items), wanted, atol=1e-4)


def test_nothing_is_held_when_the_run_is_over() -> None:
    net, items = counted(), volumes(1)
    with CPU.run() as engine:
        copied = weakref.ref(engine.place(net, items[0]).model)
        gc.collect()
        assert copied() is not None
        given = weakref.ref(net)
    del net
    gc.collect()
    assert copied() is None
    assert given() is None


def test_a_named_layer_without_feature_maps_is_still_refused() -> None:
    net, items = counted(), volumes(1)
    with CPU.run() as engine:
        engine.logits(net, items)
        with pytest.raises(NetworkError, match=r"Layer 'classifier.2' gives an output of shape"):
            explain(net, items, "grad-cam", layer="classifier.2", engine=engine)
