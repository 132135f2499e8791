"""SmoothGrad, of the gradient and of other methods, against loops over noisy copies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
import torch
from explain_hand import relative
from explain_nets import EXACT, SHAPE, Linear, paper_like, volumes

from voxplain.attribution import (
    METHODS,
    Attribution,
    Engine,
    Method,
    MethodInfo,
    Note,
    Probe,
    Target,
    iter_explain,
)
from voxplain.attribution.methods import make_method
from voxplain.attribution.run import explain
from voxplain.errors import InputError, VoxplainWarning
from voxplain.volume import Volume

WEIGHTS = np.random.default_rng(1).normal(size=SHAPE)


def noisy_copies(item: Volume, samples: int, noise: float, seed: int) -> list[Volume]:
    values = item.values.astype(np.float64)
    scale = noise * (values.max() - values.min())
    return [
        Volume(
            values
            + scale * np.random.default_rng([seed, i]).standard_normal(SHAPE, dtype=np.float32),
            item.grid,
            item.subject,
        )
        for i in range(samples)
    ]


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("of", [None, "hirescam", "guided-backprop", "guided-grad-cam"])
def test_smoothgrad_by_a_loop_over_noisy_copies(of: str | None, squared: bool) -> None:
    model, items = paper_like(), volumes(3)
    made = explain(
        model, items, "smoothgrad", of=of, samples=5, noise=0.3, squared=squared, seed=7,
        engine=EXACT,
    )  # fmt: skip
    winners = EXACT.logits(model, items).argmax(1).tolist()
    turned = 0
    for item, winner, one in zip(items, winners, made, strict=True):
        copies = noisy_copies(item, 5, 0.3, 7)
        turned += (EXACT.logits(model, copies).argmax(1) != winner).sum()
        maps = explain(model, copies, of or "gradient", winner, engine=EXACT)
        stack = np.stack([m.values for m in maps]).astype(np.float64)
        assert relative(one.values, (stack**2 if squared else stack).mean(0)) < 1e-4
        assert one.provenance.target.endswith(f"of class {winner}, the predicted class")
    # The target is that of the clean image: noise turns the decision of some copies.
    assert turned


def test_smoothgrad_of_a_linear_network_is_its_gradient() -> None:
    made = explain(Linear(WEIGHTS), volumes(3), "smoothgrad", [1, 0, 1], engine=EXACT)
    for one, sign in zip(made, (1, -1, 1), strict=True):
        assert relative(one.values, sign * WEIGHTS.astype(np.float32)) < 1e-6
    square = explain(Linear(WEIGHTS), volumes(1)[0], "smoothgrad", 0, squared=True, engine=EXACT)
    assert relative(square.values, WEIGHTS.astype(np.float32) ** 2) < 1e-6


@pytest.mark.parametrize("of", [None, "gradient"])
def test_smoothgrad_without_noise_is_the_method(of: str | None) -> None:
    model, items = paper_like(), volumes(2)
    made = explain(model, items, "smoothgrad", of=of, noise=0, samples=2, engine=EXACT)
    for a, b in zip(made, explain(model, items, "gradient", engine=EXACT), strict=True):
        assert relative(a.values, b.values) < 1e-6


def test_smoothgrad_speaks_for_what_it_wraps() -> None:
    model, item = paper_like(), volumes(1)[0]
    plain = explain(model, item, "smoothgrad", of="grad-cam", samples=2, engine=EXACT)
    info = METHODS["grad-cam"].info
    assert (plain.method, plain.unit, plain.sign) == ("smoothgrad", info.unit, info.sign)
    assert plain.provenance.layer == "features.6"
    assert plain.provenance.options["of"] == {"method": "grad-cam", "relu": True}
    assert plain.provenance.target.startswith("logit of class")
    square = explain(model, item, "smoothgrad", squared=True, samples=2, engine=EXACT)
    assert square.unit == "(logit per unit of intensity)²"
    assert square.sign.startswith("the larger, the stronger")
    assert square.provenance.target.startswith("logit margin of class")
    assert make_method("smoothgrad", {"of": "occlusion"}).requires.float32


def test_smoothgrad_keeps_the_remarks_that_hold_for_every_copy() -> None:
    model, item = paper_like(), volumes(1)[0]
    made = explain(model, item, "smoothgrad", of="guided-backprop", samples=3, engine=EXACT)
    assert made.provenance.notes == ("negative gradients stopped at 2 ReLU calls",)
    made = explain(model, item, "smoothgrad", of="channel-attention", samples=3, engine=EXACT)
    assert made.provenance.notes == ()
    with torch.no_grad():
        model.classifier[-1].weight.zero_()
    with pytest.warns(VoxplainWarning, match="Subject 00: the Grad-CAM .* zero everywhere"):
        explain(model, item, "smoothgrad", of="grad-cam", samples=2, engine=EXACT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"of": "smoothgrad"}, "smoothgrad cannot wrap smoothgrad; raise its samples"),
        ({"of": 3}, "of must be a method, or None for the gradient; 3 was given"),
        ({"of": "smoothgard"}, "Unknown method 'smoothgard'"),
        ({"samples": 0}, "samples must be 1 or more; 0 was given"),
        ({"noise": -0.1}, "noise must not be negative; -0.1 was given"),
    ],
)
def test_smoothgrad_options_that_do_not_serve(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        explain(paper_like(), volumes(1)[0], "smoothgrad", **options)


@pytest.mark.parametrize("of", [None, "integrated-gradients", "grad-cam"])
def test_smoothgrad_reports_every_copy(of: str | None) -> None:
    told: list[float] = []
    list(
        iter_explain(
            paper_like(), volumes(1), "smoothgrad", engine=Engine("cpu", "exact", 1),
            on_progress=lambda done, total: told.append(done), of=of, samples=3,
        )
    )  # fmt: skip
    assert told == sorted(told)
    assert {round(3 * done, 6) for done in told} >= {0, 1, 2, 3}


@dataclass(frozen=True, eq=False)
class Remarks(Method):
    """Gives zeros, and remarks on some copies only."""

    seeds: list[int] = field(default_factory=list)

    info: ClassVar[MethodInfo] = MethodInfo("remarks", "", "", "one", "none", False, "1 forward")

    def attribute(self, probe: Probe, x: torch.Tensor, target: Target, seed: int) -> Attribution:
        self.seeds.append(seed)
        notes = ((Note("here"),),) * len(x) if len(self.seeds) % 2 else ()
        return Attribution(0 * x[:, 0], target.choose(probe.logits(x)), notes)


def test_smoothgrad_wraps_a_ready_method_with_another_seed_a_copy() -> None:
    of = Remarks()
    made = explain(paper_like(), volumes(1)[0], "smoothgrad", of=of, samples=3, seed=5)
    assert of.seeds == [5, 6, 7]
    assert made.provenance.notes == ()
    assert made.unit == "one"


def test_one_copy_without_noise_is_the_map_itself() -> None:
    model, item = paper_like(), volumes(1)[0]
    one = explain(model, item, "smoothgrad", 1, samples=1, noise=0.0, engine=EXACT)
    plain = explain(model, item, "gradient", 1, engine=EXACT)
    assert relative(one.values, plain.values) < 1e-6
    with pytest.raises(InputError, match="samples must be 1 or more; 0"):
        make_method("smoothgrad", {"samples": 0})
