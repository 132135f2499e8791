"""What networks and machines do seldom: no gradient, no memory, another device, odd outputs."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from explain_nets import EXACT, Counted, Linear, batch, paper_like, volumes
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode

from voxplain.attribution import Engine, explain, iter_explain
from voxplain.attribution.arguments import read_volumes, require_volume
from voxplain.attribution.examine.checks import Sight, _mixes, _same, agree
from voxplain.attribution.examine.layers import auto_layer
from voxplain.attribution.examine.paths import Handed, follow
from voxplain.attribution.examine.trace import trace
from voxplain.attribution.fast import lowering
from voxplain.attribution.methods import make_method
from voxplain.attribution.methods.captum.checks import (
    check_rectified,
    hookable,
    passed_on_warnings,
)
from voxplain.attribution.methods.captum.isolation import as_it_was
from voxplain.attribution.methods.captum.stand_ins import _pool
from voxplain.attribution.methods.relevance.graph import source_of
from voxplain.attribution.methods.replacement.base import Replacing
from voxplain.attribution.network.batches import Batcher
from voxplain.attribution.network.failures import no_gradient
from voxplain.attribution.network.layouts import Surroundings, _patches
from voxplain.attribution.network.numbers import Output, PerNetwork
from voxplain.attribution.network.outputs import find_head
from voxplain.attribution.network.placed import full_precision
from voxplain.attribution.network.probe import probe
from voxplain.attribution.network.target import Chosen, Target, make_target
from voxplain.errors import InputError, NetworkError, VoxplainWarning

NET = paper_like()
ITEMS = volumes(3)
X = batch(ITEMS)


def full(*_: object) -> Any:
    raise MemoryError


def odd(*_: object) -> Any:
    raise RuntimeError("odd")


def test_some_of_several_files_are_read_when_their_turn_comes(tmp_path: Path) -> None:
    for i, one in enumerate(ITEMS):
        nib.save(nib.Nifti1Image(one.values, one.grid.affine), tmp_path / f"sub-{i}.nii")
    scans: Any = read_volumes([tmp_path / f"sub-{i}.nii" for i in range(3)])
    assert [one.subject for one in scans[1:]] == ["1", "2"]
    np.testing.assert_array_equal(scans[1:][0].values, ITEMS[1].values)
    with pytest.raises(InputError, match=r"read it with voxplain.read_volume"):
        require_volume(tmp_path / "sub-0.nii")
    with pytest.raises(InputError, match=r"Each volume must be a voxplain Volume.*float was given"):
        read_volumes(1.5)


def test_networks_run_where_they_are_or_on_the_first_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Engine().resolve_device(torch.device("meta")).type == "meta"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert str(Engine().resolve_device()) == "mps:0"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert str(Engine().resolve_device()) == "cuda:1"
    assert Engine("cpu").resolve_device(torch.device("meta")).type == "cpu"


def test_convolutions_on_a_gpu_are_not_rounded() -> None:
    before = torch.backends.cudnn.allow_tf32
    with full_precision(torch.device("cuda")):
        assert not torch.backends.cudnn.allow_tf32
    with full_precision(torch.device("cpu")):
        assert torch.backends.cudnn.allow_tf32 == before
    assert torch.backends.cudnn.allow_tf32 == before


def test_bfloat16_is_for_gpus_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for capability, pays in (((7, 5), False), ((8, 0), True), ((9, 0), True)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, c=capability: c)
        assert lowering.bfloat16_pays(torch.device("cuda")) == pays


def test_memory_that_runs_out_halves_the_batch_until_one_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    emptied: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(1))

    def at_most_two(part: list[int], start: int) -> tuple[int, int]:
        if len(part) > 2:
            raise RuntimeError("CUDA out of memory")
        return start, len(part)

    batcher = Batcher(8)
    assert list(batcher.run(range(9), at_most_two)) == [(i, min(2, 9 - i)) for i in range(0, 9, 2)]
    assert (batcher.size, len(emptied)) == (2, 2)
    with pytest.raises(NetworkError, match=r"^Memory ran out with a batch of one"):
        list(Batcher(4).run(range(3), full))
    with pytest.raises(RuntimeError, match=r"odd"):
        list(Batcher(4).run(range(3), odd))


def test_errors_on_the_way_to_a_faster_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that a copy lacks beside another scan is there for one; other errors are told."""
    seen: list[bool] = []

    class Hungry:
        def __init__(self, beside: bool) -> None:
            self.beside = beside

        def holds(self, *_: object) -> bool:
            seen.append(self.beside)
            if self.beside or self.stubborn:
                raise MemoryError
            return True

        stubborn = False

    monkeypatch.setattr(lowering, "_checks", lambda *told: [Hungry(told[-1])])
    assert lowering.lower(NET, X[:1]).words
    assert seen == [True, False]
    monkeypatch.setattr(Hungry, "stubborn", True)
    with pytest.raises(MemoryError):
        lowering.lower(NET, X[:1])
    with pytest.raises(NetworkError, match=r"^Memory ran out with a batch of one"):
        explain(NET, ITEMS[0], "gradient", engine=Engine("cpu"))
    monkeypatch.setattr("voxplain.attribution.engine.lower", odd)
    with pytest.raises(RuntimeError, match=r"odd"):
        explain(NET, ITEMS[0], "gradient", engine=Engine("cpu"))


def test_copies_that_compute_something_else_are_told_apart() -> None:
    z, a, g = torch.tensor([[1.0, -1]]), torch.ones(1, 2, 3, 3, 3), torch.ones(1, 1, 3, 3, 3)
    one = Sight(z, a, (g,))
    assert agree(one, Sight(z, a, (g,)), None, False)
    assert agree(one, Sight(z + 1e-7, a, (g,)), None, False)
    for other in (
        Sight(z[:, :1], a, (g,)),
        Sight(z, a, ()),
        Sight(z + 0.1, a, (g,)),
        Sight(z, a + 0.1, (g,)),
        Sight(z, a[:, :1], (g,)),
        Sight(z, a, (-g,)),
    ):
        assert not agree(one, other, None, False)
    # Ages of 60 years are held against how far two scans differ.
    sixty = Sight(torch.tensor([[60.0]]), None, ())
    assert not agree(sixty, Sight(torch.tensor([[60.1]]), None, ()), torch.tensor([[61.0]]), False)
    assert not _same(z, z[:, :1], 1.0)


def test_a_scan_that_has_no_room_beside_it_has_no_neighbour() -> None:
    assert not _mixes(SimpleNamespace(logits=full), X[:1], torch.zeros(1, 2))  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=r"odd"):
        _mixes(SimpleNamespace(logits=odd), X[:1], torch.zeros(1, 2))  # type: ignore[arg-type]


class Detached(nn.Module):
    """Two convolutions and a pooling whose output has no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv3d(1, 2, 3), nn.Conv3d(2, 2, 3)
        self.pool, self.head = nn.MaxPool3d(2), nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.second(self.first(x))).mean((2, 3, 4)).detach())


def test_without_a_gradient_the_last_feature_maps_are_taken() -> None:
    assert auto_layer(Detached(), X[:1]).name == "second"
    with pytest.raises(NetworkError, match=r"detaches it or does not use it"):
        explain(Detached(), ITEMS[0], "grad-cam", 1, engine=EXACT)


class Branching(nn.Module):
    """A sum before all layers, and a layer whose output nothing depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.idle, self.pool, self.conv = nn.Identity(), nn.AvgPool3d(2), nn.Conv3d(1, 2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.idle(torch.ones(1))
        return self.conv(self.pool(x + x * x)).mean((2, 3, 4))


def test_ways_are_counted_over_sums_and_past_idle_layers() -> None:
    ways = follow(Branching(), X[:1])
    calls = {call.name: call for call in ways.calls}
    # Twice through the square, once past it.
    assert ways.total == ways.through(calls["pool"]) == 3
    assert ways.through(calls["idle"]) == 0
    before = [*ways.operations_before(calls["pool"])]
    # Each operation once, whichever ways lead to it.
    assert before.count("MulBackward0") == before.count("AddBackward0") == 1
    assert before.count("torch::autograd::AccumulateGrad") == 1
    assert ways.single_way(calls["pool"], calls["idle"]) is None
    early = Handed("early", nn.Identity(), (), calls["pool"].made, (ways.source, 0))
    assert ways.single_way(calls["conv"], early) is None
    assert ways.single_way(calls["conv"], calls["pool"]) is not None


class Told(nn.Module):
    """Gives its logits by name."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = paper_like()

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.inner(x)}


def test_ways_to_logits_that_have_a_name() -> None:
    assert follow(Told(), X[:1]).total == follow(paper_like(), X[:1]).total > 0


class Shy(nn.Module):
    """Looks at values, and fails while operations are watched."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv3d(1, 2, 3), nn.BatchNorm3d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if _get_current_dispatch_mode() is not None or not float(x.detach().sum()):
            raise RuntimeError("Nobody may look.")
        return self.norm(self.conv(x)).mean((2, 3, 4))


def test_a_network_that_fails_while_it_is_watched_is_followed_by_its_modules() -> None:
    calls = trace(Shy().eval(), X[:1])
    assert [call.name for call in calls.calls] == ["conv", "norm"]
    assert (calls.uses, calls.last) == (None, "")
    assert calls.follower(calls.calls[0]) is None
    assert [call.name for call in calls.without(["norm"]).calls] == ["conv", "norm"]
    assert calls.without(["norm"]).calls[1].given == calls.calls[0].given
    found = explain(Shy().eval(), ITEMS[0], "gradient", 1, engine=Engine("cpu"))
    wanted = explain(Shy().eval(), ITEMS[0], "gradient", 1, engine=EXACT)
    assert found.values.shape == wanted.values.shape


def test_methods_that_look_at_one_scan_prepare_nothing() -> None:
    method = make_method("gradient", {})
    assert method.prepare(None, 0) is method  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["pattern", "recommended"])
def test_methods_that_smooth_say_by_how_much(name: str) -> None:
    assert make_method(name, {"fwhm": 7.5}).smooth_mm == 7.5
    assert make_method("gradient", {}).smooth_mm == 0


def test_a_pattern_needs_scans() -> None:
    with probe(NET) as p, pytest.raises(InputError, match=r"needs scans that show how voxels vary"):
        make_method("pattern", {}).attribute(p, X[:1], make_target(1, 1), 0)


def test_options_out_of_range() -> None:
    with pytest.raises(InputError, match=r"cell must be above 0; 0.0 was given"):
        make_method("meaningful-perturbation", {"cell": 0.0})
    with pytest.raises(InputError, match=r"blur must not be negative; -1.0 was given"):
        make_method("occlusion", {"blur": -1.0})
    with pytest.raises(InputError, match=r"l1 must not be negative; -0.5 was given"):
        make_method("meaningful-perturbation", {"objective.l1": -0.5})


def test_what_costs_more_than_it_gains_is_not_deleted() -> None:
    options = {"objective.l1": 1e6, "optimiser.iterations": 40, "reference": "zero"}
    with pytest.warns(VoxplainWarning, match=r"no deletion is worth its price, so the map is zero"):
        made = explain(
            Linear(ITEMS[0].values), ITEMS[0], "meaningful-perturbation", 1, engine=EXACT,
            **options,
        )  # fmt: skip
    assert not made.values.any()


def test_arguments_that_exclude_each_other() -> None:
    with pytest.raises(InputError, match=r"class_names were given, and an output_unit"):
        explain(paper_like(1), ITEMS[0], output_unit="years", class_names=["a", "b"])
    with pytest.raises(InputError, match=r"prepares itself for one network; 2 were given"):
        iter_explain([NET, NET], ITEMS, "meaningful-perturbation", cohort=True)
    with pytest.raises(InputError, match=r"give engine=Engine\(batch_size=...\)"):
        explain(NET, ITEMS[0], batch_size=2)


def test_hooks_of_captum_that_reach_nothing_are_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        conv = torch.jit.script(nn.Conv3d(1, 1, 1))
    scripted = nn.Sequential(conv, nn.Flatten(), nn.Linear(504, 2))
    with probe(scripted) as p, pytest.raises(NetworkError, match=r"contains TorchScript modules"):
        hookable("GuidedBackprop", p, X[:1])
    smooth = nn.Sequential(nn.Conv3d(1, 1, 1), nn.SiLU(), nn.Flatten(), nn.Linear(504, 2))
    with probe(smooth) as p, pytest.raises(NetworkError, match=r"runs no ReLU, so Captum's Guided"):
        hookable("GuidedBackprop", p, X[:1])
    with probe(NET) as p:
        leaf = X[:1].clone().requires_grad_()
        chosen = make_target(1, 1).choose(p.logits(leaf))
        plain = p.gradient(chosen.score(p.logits(leaf)), leaf)
        with pytest.raises(NetworkError, match=r"gives something else .* use method 'guided-back"):
            check_rectified("GuidedBackprop", p, X[:1], chosen, plain)


def test_warnings_of_captum_are_passed_on_once() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            warnings.warn("It is odd.", UserWarning, stacklevel=1)
        warnings.warn("Ours.", VoxplainWarning, stacklevel=1)
    with pytest.warns(VoxplainWarning, match=r"^Ours\.$"):
        notes = passed_on_warnings("Lime", caught)
    assert [note.text for note in notes] == ["Captum's Lime warns: It is odd"]


def test_what_code_leaves_on_a_network_is_taken_off() -> None:
    net = nn.Sequential(nn.ReLU(inplace=True))
    with as_it_was(net):
        assert not net[0].inplace
        net[0].input = torch.ones(1)
        net[0].register_forward_hook(lambda *_: None)
    assert net[0].inplace
    assert not hasattr(net[0], "input")
    assert not net[0]._forward_hooks


def test_a_pooling_that_also_tells_where_has_no_stand_in() -> None:
    made = _pool(nn.MaxPool3d)
    assert made(X, 2, return_indices=True) is None
    assert torch.equal(made(X, 2)(X), nn.functional.max_pool3d(X, 2))


def test_numbers_that_no_operation_made_have_no_source() -> None:
    leaf = torch.ones(2, 3, requires_grad=True)
    view = leaf.view(6)
    assert source_of(view.grad_fn) is view.grad_fn
    assert source_of(None) is None
    doubled = leaf * 2
    assert source_of(doubled.view(6)[1:].grad_fn) is doubled.grad_fn


def test_nothing_to_replace_gives_no_scores() -> None:
    counted = Counted(NET)
    with probe(counted) as p:
        chosen = make_target(1, 1).choose(p.logits(X[:1]))
        before = counted.samples
        one = Replacing(p, X[:1], X[:1] * 0, chosen, "logit", torch.zeros(1))
        assert one.scores([], full).shape == (0,)
        assert counted.samples == before


def test_why_an_output_cannot_be_differentiated() -> None:
    said = no_gradient(NET, RuntimeError("derivative for aten::odd is not implemented\nmore"))
    assert said == (
        "The output of PaperLike cannot be differentiated: derivative for aten::odd is not "
        "implemented."
    )


def test_a_network_says_how_it_cuts_the_volume() -> None:
    around = Surroundings(nn.Module(), 1, (8, 12, 10))
    assert _patches(30, around) is None
    around.model.patch_size = (4, 4, 2)
    assert _patches(30 + 1, around) == ((2, 3, 5), 1)
    around.note(nn.Conv3d(1, 1, 1), (), torch.zeros(2, 4, 5, 6))
    assert around.grids == []
    around.note(nn.Conv3d(1, 1, 1), (), torch.zeros(1, 2, 4, 5, 6))
    assert around.grids == [(4, 5, 6)]


def test_probabilities_of_several_independent_classes() -> None:
    assert find_head(torch.tensor([[0.9, 0.8]]), "sigmoid") == "sigmoid"
    assert find_head(torch.tensor([[0.9, 0.8]]), "_softmax") == "logits"
    assert find_head(torch.tensor([[0.3, 0.7]]), "_softmax") == "softmax"
    assert find_head(torch.tensor([[0.3, 1.7]]), "sigmoid") == "logits"


def test_a_target_of_several_networks_is_not_for_one() -> None:
    with pytest.raises(InputError, match=r"for 2 networks, one way for each"):
        PerNetwork((Output("age"), Output("age", 40.0, 2.0)))(torch.ones(1, 1))


def test_targets_that_cannot_be_read() -> None:
    with pytest.raises(InputError, match=r"This target has no function to apply"):
        Chosen(None, None)._apply(torch.ones(1, 2))
    total = lambda z: z.sum(1)  # noqa: E731
    settled = Target(function=total).choose(torch.ones(1, 2)).settled
    assert (settled.function, settled.classes) == (total, None)

    class Unreadable:
        def __array__(self, *_: object, **__: object) -> np.ndarray:
            raise TypeError("no")

    with pytest.raises(InputError, match=r"is neither a class index nor a class name"):
        make_target([Unreadable()], 1)  # type: ignore[list-item]


class Remembering(nn.Module):
    """Counts its runs in a buffer, and mixes the scans of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("runs", torch.zeros(1))
        self.lstm = nn.LSTM(9, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        return self.lstm(x[:, 0, 0])[0][:, -1] - self.runs * 0


def test_what_a_network_counts_is_put_back() -> None:
    net = Remembering()
    with probe(net, alone=True) as p:
        each = torch.cat([p.logits(X[i : i + 1]) for i in range(3)])
        assert torch.equal(p.logits(X), each)
        assert float(net.runs) == 6
    assert float(net.runs) == 0
    with probe(net, "lstm") as p, pytest.raises(NetworkError, match=r"an output of type tuple"):
        p.logits(X[:1])


def test_memory_that_runs_out_in_a_network_is_not_its_failure() -> None:
    def no_room() -> None:
        raise RuntimeError("CUDA out of memory")

    class Hungry(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with probe(Hungry()) as p, pytest.raises(torch.OutOfMemoryError):
        p.logits(X[:1])
    with probe(NET) as p:
        leaf = X[:1].clone().requires_grad_()
        score = p.logits(leaf)[:, 0]
        score.register_hook(lambda _: no_room())
        with pytest.raises(RuntimeError, match=r"^CUDA out of memory$"):
            p.gradient(score, leaf)
