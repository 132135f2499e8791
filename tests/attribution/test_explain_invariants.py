"""What every method of the registry must keep."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from explain_nets import EXACT, SHAPE, paper_like, volumes
from torch import nn

from voxplain.attribution import METHODS, Engine, run
from voxplain.attribution.variation import variation_of
from voxplain.errors import InputError, NetworkError, VoxplainWarning
from voxplain.grid import Grid
from voxplain.volume import Volume

NAMES = [*sorted(METHODS), "captum:DeepLift", "captum:GradientShap", "captum:LayerGradCam"]
# For these a zero everywhere is a finding, the network's slope, and nothing to warn of.
SLOPES = (
    "gradient", "input-x-gradient", "smoothgrad", "guided-backprop", "deconvolution", "pattern",
    "recommended",
)  # fmt: skip
# What is kept does not hang on how many masks are drawn or steps taken.
FEW: dict[str, dict[str, Any]] = {
    "rise": {"masks": 40},
    "region-shapley": {"permutations": 4},
    "extremal-perturbation": {"iterations": 8},
    "meaningful-perturbation": {"optimiser": {"iterations": 16}},
    "integrated-gradients": {"steps": 8},
    "smoothgrad": {"samples": 4},
    "recommended": {"samples": 4},
}
SCANS = variation_of(volumes(30, seed=9), 5)
pytestmark = pytest.mark.filterwarnings("ignore::voxplain.errors.VoxplainWarning")


def explain(model: nn.Module, items: Any, name: str, *args: Any, **options: Any) -> Any:
    """Explain with few passes, and with scans at hand for the method that cannot do without."""
    return run.explain(model, items, name, *args, **quick(name), **options)


def quick(name: str) -> dict[str, Any]:
    return FEW.get(name, {}) | ({"scans": SCANS} if name == "pattern" else {})


def close(a: np.ndarray, b: np.ndarray, tolerance: float = 1e-4) -> bool:
    return bool(np.abs(a - b).max() <= tolerance * np.abs(b).max())


@pytest.mark.parametrize("name", NAMES)
def test_a_map_lies_on_its_volume(name: str) -> None:
    volume = volumes(4)[3]
    made = explain(paper_like(), volume, name, 1, engine=EXACT)
    assert made.values.shape == SHAPE
    assert made.values.dtype == np.float32
    assert made.grid is volume.grid
    assert made.subject == "03"
    assert np.abs(made.values).max() > 0
    info = METHODS[name].info
    assert (made.method, made.unit, made.sign) == (name, info.unit, info.sign)
    assert info.name == name
    assert info.passes
    assert info.citation


@pytest.mark.parametrize("name", NAMES)
def test_provenance_is_plain_and_complete(name: str) -> None:
    made = explain(
        paper_like(), volumes(1)[0], name, "case", class_names=("control", "case"), seed=5
    )
    record = json.loads(json.dumps(made.provenance.to_dict()))
    assert record["method"] == name
    assert "class 1 (case)" in record["target"]
    assert record["network"] == "PaperLike"
    assert len(record["weights_sha256"]) == 64
    fused = "" if METHODS[name].needs.modules else "conv-ReLU-pool fused, "
    assert record["precision"] == f"float32, batch norm folded, {fused}channels last"
    assert record["device"]
    assert record["seed"] == 5
    assert record["grid"]["shape"] == list(SHAPE)
    assert set(record["versions"]) == {"voxplain", "torch"}
    assert record["layer"] == ("features.6" if METHODS[name].needs.layer else None)
    assert made.target == "case"


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_equals_one_by_one(name: str) -> None:
    model, items = paper_like(), volumes(4)
    with EXACT.run() as engine:
        alone = [explain(model, item, name, engine=engine) for item in items]
    for size in (1, 3, 8):
        together = explain(model, items, name, engine=Engine("cpu", "exact", size))
        for item, made, wanted in zip(items, together, alone, strict=True):
            assert made.subject == item.subject, size
            assert close(made.values, wanted.values), size


@pytest.mark.parametrize("name", NAMES)
def test_targets_of_one_batch_are_kept_apart(name: str) -> None:
    model, items = paper_like(3), volumes(4)
    targets = [0, 2, 1, 2]
    together = explain(model, items, name, targets, engine=EXACT)
    with EXACT.run() as engine:
        for item, target, made in zip(items, targets, together, strict=True):
            alone = explain(model, item, name, target, engine=engine)
            assert made.target == f"class {target}"
            assert np.allclose(made.values, alone.values, atol=1e-4 * np.abs(alone.values).max())


@pytest.mark.parametrize("name", NAMES)
def test_predicted_is_the_class_of_the_largest_logit(name: str) -> None:
    model, items = paper_like(3), volumes(6)
    with EXACT.run() as engine:
        winners = engine.logits(model, items).argmax(1).tolist()
        assert len(set(winners)) > 1
        told = explain(model, items, name, winners, engine=engine)
        found = explain(model, items, name, "predicted", engine=engine)
    for a, b in zip(found, told, strict=True):
        assert np.array_equal(a.values, b.values)
        assert a.provenance.target == f"{b.provenance.target}, the predicted class"


@pytest.mark.parametrize("name", NAMES)
def test_one_seed_one_map(name: str) -> None:
    model, item = paper_like(), volumes(1)[0]
    state = torch.get_rng_state()
    first = explain(model, item, name, seed=3, engine=EXACT)
    torch.rand(5)
    again = explain(model, item, name, seed=3, engine=EXACT)
    assert np.array_equal(first.values, again.values)
    torch.set_rng_state(state)


class Trap(nn.Module):
    """Raises on the n-th call."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.left = calls

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.left -= 1
        if self.left < 0:
            raise ZeroDivisionError("trap")
        return x


def traces(model: nn.Module) -> list[object]:
    seen: list[object] = [[m.training for m in model.modules()]]
    for parameter in model.parameters():
        seen += [parameter.requires_grad, parameter.detach().clone(), parameter.grad]
    seen += [b.clone() for b in model.buffers()]
    for module in model.modules():
        seen.append(
            (
                len(module._forward_hooks),
                len(module._forward_pre_hooks),
                len(module._backward_hooks),
                len(module._backward_pre_hooks),
                "forward" in vars(module),
            )
        )
    return seen


def same(a: list[object], b: list[object]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x, y) if isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor) else x == y
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("precision", ["exact", "auto"])
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_behind(name: str, fails: bool, precision: str) -> None:
    model = paper_like(inplace=True)
    model.features.append(Trap(0 if fails else 10**6))
    model.train()
    model.features[1].eval()
    model.features[0].weight.requires_grad_(False)
    model.classifier[-1].weight.grad = torch.ones_like(model.classifier[-1].weight)
    item = volumes(1)[0]
    values, before = item.values.copy(), traces(model)
    with torch.no_grad():
        if fails:
            with pytest.raises(NetworkError, match=r"ZeroDivisionError: trap"):
                explain(model, item, name, engine=Engine("cpu", precision))
        else:
            explain(model, item, name, engine=Engine("cpu", precision))
    assert same(traces(model), before)
    assert np.array_equal(item.values, values)


@pytest.mark.parametrize("name", NAMES)
def test_the_network_is_free_between_two_maps(name: str) -> None:
    model = paper_like().train()
    before = traces(model)
    engine = Engine("cpu", "exact", 1)
    for _ in run.iter_explain(model, volumes(2), name, engine=engine, **quick(name)):
        assert same(traces(model), before)


@pytest.mark.parametrize("name", NAMES)
def test_one_logit_speaks_for_class_one(name: str) -> None:
    two = paper_like(2)
    one = paper_like(1)
    one.load_state_dict(
        {k: v for k, v in two.state_dict().items() if not k.startswith("classifier")}, strict=False
    )
    with torch.no_grad():
        for part in ("weight", "bias"):
            both = getattr(two.classifier[-1], part)
            getattr(one.classifier[-1], part).copy_((both[1] - both[0])[None])
            both[0] = 0
            both[1] = getattr(one.classifier[-1], part)[0]
    item = volumes(4)[3]
    of_two = explain(two, item, name, 1, engine=EXACT)
    with EXACT.run() as engine:
        of_one = explain(one, item, name, 1, engine=engine)
        free = explain(one, item, name, engine=engine)
        against = explain(one, item, name, 0, engine=engine)
    assert np.allclose(of_one.values, of_two.values, atol=1e-4 * np.abs(of_two.values).max())
    assert np.array_equal(free.values, of_one.values)
    assert free.target == "output"
    assert not np.array_equal(against.values, of_one.values)
    if name == "gradient":
        assert np.array_equal(against.values, -of_one.values)


@pytest.mark.parametrize("name", NAMES)
def test_an_output_of_shape_n_is_one_logit(name: str) -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = paper_like(1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x)[:, 0]

    model, items = Flat(), volumes(2)
    flat = explain(model, items, name, engine=EXACT)
    column = explain(model.inner, items, name, engine=EXACT)
    for a, b in zip(flat, column, strict=True):
        assert np.array_equal(a.values, b.values)


@pytest.mark.parametrize("name", NAMES)
def test_a_callable_is_a_target(name: str) -> None:
    def second(logits: torch.Tensor) -> torch.Tensor:
        return logits[:, 1]

    items = volumes(2)
    made = explain(paper_like(), items, name, second, engine=EXACT)
    assert made[0].target == "second"
    if "margin" not in METHODS[name]().score_words:
        told = explain(paper_like(), items, name, 1, engine=EXACT)
        assert np.array_equal(made[1].values, told[1].values)
    with pytest.raises(InputError, match="one scalar per sample"):
        explain(paper_like(), items, name, lambda z: z, engine=EXACT)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_finite_is_refused(name: str) -> None:
    item = volumes(1)[0]
    broken = copy.deepcopy(paper_like())
    with torch.no_grad():
        broken.classifier[-1].bias[0] = torch.nan
    with pytest.raises(InputError, match="NaN or infinite logits"):
        explain(broken, item, name, engine=EXACT)
    hole = item.values.copy()
    hole[1, 2, 3] = np.inf
    with pytest.raises(InputError, match="00 has voxels that are NaN or infinite"):
        explain(paper_like(), Volume(hole, item.grid, "00"), name)


@pytest.mark.parametrize("name", NAMES)
def test_a_shape_that_does_not_fit_is_one_sentence(name: str) -> None:
    with pytest.raises(NetworkError, match=r"PaperLike cannot take an input of shape \(1, 1, 12"):
        explain(paper_like(), volumes(1, (12, 8, 9))[0], name, engine=EXACT)


@pytest.mark.parametrize("name", NAMES)
def test_unknown_options_are_listed(name: str) -> None:
    with pytest.raises(InputError, match=f"{re.escape(name)}' has no option 'sigma_mm'; "):
        explain(paper_like(), volumes(1)[0], name, sigma_mm=3)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "pattern"])
def test_volumes_of_different_shape_and_voxel_size(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv3d(1, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 2)
    )
    items = [*volumes(2), *volumes(1, (9, 7, 6)), volumes(1, seed=4)[0]]
    items[1] = Volume(items[1].values, Grid(SHAPE, np.diag([1, 1, 4, 1.0])), "wide")
    made = explain(model, items, name, 1, engine=EXACT)
    for item, one in zip(items, made, strict=True):
        alone = explain(model, item, name, 1, engine=EXACT)
        assert one.grid is item.grid
        assert np.allclose(one.values, alone.values, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_progress_reaches_the_total(name: str) -> None:
    told: list[tuple[float, int]] = []
    made = list(
        run.iter_explain(
            paper_like(),
            volumes(3),
            name,
            engine=Engine("cpu", "exact", 2),
            on_progress=lambda done, total: told.append((done, total)),
            **quick(name),
        )
    )
    assert len(made) == 3
    assert told[0] == (0, 3)
    assert told[-1] == (3, 3)
    done = [d for d, _ in told]
    assert done == sorted(done)
    if name == "meaningful-perturbation":
        assert len(done) > 15


@pytest.mark.parametrize("name", NAMES)
def test_the_lowered_network_gives_the_same_map(name: str) -> None:
    model, items = paper_like(), volumes(3)
    exact = explain(model, items, name, 1, engine=EXACT)
    auto = explain(model, items, name, 1, engine=Engine("cpu"))
    for a, b in zip(auto, exact, strict=True):
        assert close(a.values, b.values)


@pytest.mark.parametrize("name", NAMES)
def test_warnings_name_the_subject(name: str) -> None:
    constant = paper_like()
    with torch.no_grad():
        constant.classifier[-1].weight.zero_()
        constant.classifier[-1].bias.copy_(torch.tensor([0.0, 1.0]))
    item = volumes(1)[0]
    if name in SLOPES:
        assert not explain(constant, item, name).values.any()
        return
    with pytest.warns(VoxplainWarning, match="Subject 00: .* zero"):
        made = explain(constant, item, name)
    assert not made.values.any()
