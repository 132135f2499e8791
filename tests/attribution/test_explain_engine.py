"""Device, precision, batches, memory; and the function that every import finds."""

from __future__ import annotations

import hashlib
import inspect
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from explain_nets import EXACT, OBLIQUE, SHAPE, batch, paper_like, volumes
from torch import nn

from voxplain.attribution import METHODS, Engine, iter_explain, probabilities, weights_sha256
from voxplain.attribution.examine.trace import trace
from voxplain.attribution.fast.fused import ConvReluPool
from voxplain.attribution.fast.lowering import lower
from voxplain.attribution.fast.rewrites import fold_batch_norm
from voxplain.attribution.run import explain
from voxplain.errors import InputError, NetworkError
from voxplain.grid import Grid
from voxplain.volume import Cohort


def test_logits_equal_the_networks_own() -> None:
    model, items = paper_like(3), volumes(5)
    with torch.no_grad():
        wanted = model(batch(items)).numpy()
    model.train()
    assert np.allclose(Engine("cpu", "exact", 2).logits(model, items), wanted, atol=1e-5)
    assert np.allclose(Engine("cpu", "auto", 2).logits(model, items), wanted, atol=1e-4)
    arrays = np.stack([v.values for v in items])
    assert np.allclose(EXACT.logits(model, arrays), wanted, atol=1e-5)
    assert model.training
    assert EXACT.logits(model, []).shape == (0, 0)


def test_probabilities() -> None:
    z = np.array([[1.0, 2.0, 4.0], [900.0, 0.0, -900.0]])
    assert np.allclose(probabilities(z), torch.softmax(torch.as_tensor(z), 1).numpy())
    one = np.array([[-800.0], [0.0], [3.0]])
    assert np.allclose(probabilities(one)[:, 0], [0, 0.5, 1 / (1 + np.exp(-3))])


def test_weights_hash_tells_names_values_and_buffers() -> None:
    model = nn.Linear(2, 1)
    digest = hashlib.sha256()
    for name, shape in (("bias", "(1,)"), ("weight", "(1, 2)")):
        digest.update(f"{name} {shape} torch.float32\n".encode())
        digest.update(getattr(model, name).detach().numpy().tobytes())
    assert weights_sha256(model) == digest.hexdigest()
    net = paper_like()
    first = weights_sha256(net)
    assert weights_sha256(paper_like()) == first
    net.features[1].running_mean[0] += 1
    assert weights_sha256(net) != first


def test_lowering_folds_every_pair_and_leaves_the_network_alone() -> None:
    model, x = paper_like(), batch(volumes(2))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    made = lower(model, x)
    fast, words = made.model, made.words
    assert words == "batch norm folded, conv-ReLU-pool fused, channels last"
    kinds = [type(module) for module in fast.features]
    assert kinds == [ConvReluPool, *kinds[1:4]] * 2
    for module, given in zip(fast.features, model.features, strict=True):
        assert isinstance(module, type(given))
    hidden = torch.randn(2, 4, 3, 3, 3)
    assert all(fast.features[i](hidden) is hidden for i in (1, 2, 3, 5, 6, 7))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    double = paper_like().double()
    assert len(fold_batch_norm(double, trace(double, x.double()))) == 2


class Awkward(nn.Module):
    """A convolution and a batch norm in a relation that only looks like a pair."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv3d(1, 3, 3), nn.BatchNorm3d(3)
        self.norm.running_mean.normal_()
        self.kind = kind
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raw = self.conv(x)
        if self.kind == "used twice":
            y = self.norm(raw) + raw
        elif self.kind == "changed between":
            y = self.norm(raw.relu_())
        elif self.kind == "run twice":
            y = self.norm(self.norm(raw))
        else:
            y = self.norm(raw)
        return self.head(y.relu().mean((2, 3, 4)))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("used twice", "channels last"),
        ("changed between", "channels last"),
        ("run twice", "channels last"),
        ("plain", "batch norm folded, channels last"),
    ],
)
def test_lowering_gives_up_where_it_would_change_the_result(kind: str, words: str) -> None:
    model, x = Awkward(kind).eval(), batch(volumes(2))
    made = lower(model, x)
    fast, said = made.model, made.words
    assert said == words
    with torch.no_grad():
        assert torch.allclose(fast.eval()(x), model(x), atol=1e-5)


def test_lowering_keeps_the_activation_of_the_hooked_layer() -> None:
    model, item = paper_like(), volumes(1)[0]
    for layer in ("features.0", "features.1"):
        made = explain(model, item, "grad-cam", 1, layer=layer, relu=False)
        exact = explain(model, item, "grad-cam", 1, layer=layer, relu=False, engine=EXACT)
        assert np.allclose(made.values, exact.values, atol=1e-4 * np.abs(exact.values).max())
        assert ("not folded" in made.provenance.precision) == (layer == "features.0")


def test_a_network_that_cannot_be_copied_runs_as_given() -> None:
    model = paper_like()
    model.register_buffer("derived", model.features[0].weight * 2)
    made = explain(model, volumes(1)[0], "gradient")
    assert made.provenance.precision.startswith("float32, as given (the network cannot be copied")
    exact = explain(model, volumes(1)[0], "gradient", engine=EXACT)
    assert np.array_equal(made.values, exact.values)


class Small(nn.Module):
    """A network for which memory runs out above some batch size."""

    def __init__(self, most: int, error: Exception) -> None:
        super().__init__()
        self.inner, self.most, self.error = paper_like(), most, error
        self.sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(x))
        if len(x) > self.most:
            raise self.error
        return self.inner(x)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
        RuntimeError("MPS backend out of memory"),
        MemoryError(),
    ],
)
def test_out_of_memory_halves_the_batch_and_goes_on(error: Exception) -> None:
    model, items = Small(2, error), volumes(7)
    wanted = explain(model.inner, items, "gradient", 1, engine=EXACT)
    made = explain(model, items, "gradient", 1, engine=Engine("cpu", "exact", 7))
    assert model.sizes == [1, 2, 7, 3, 1, 1, 1, 1, 1, 1, 1]
    assert [m.subject for m in made] == [m.subject for m in wanted]
    for a, b in zip(made, wanted, strict=True):
        assert np.allclose(a.values, b.values, atol=1e-5)
    model.sizes.clear()
    assert Engine("cpu", "exact", 4).logits(model, items).shape == (7, 2)
    assert model.sizes == [1, 2, 4, 2, 2, 2, 1]
    model.most = 0
    with pytest.raises(NetworkError, match="Memory ran out with a batch of one volume"):
        explain(model, items, "gradient", engine=EXACT)


def test_volumes_are_loaded_a_batch_at_a_time() -> None:
    loaded: list[int] = []
    items = volumes(5)

    def load(i: int) -> np.ndarray:
        loaded.append(i)
        return items[i].values

    table = pd.DataFrame({"participant_id": [f"sub-{i}" for i in range(5)], "label": ["a"] * 5})
    cohort = Cohort(table, ("a", "b"), Grid(SHAPE, OBLIQUE), load)
    names = cohort.class_names
    engine = Engine("cpu", "exact", 2)
    stream = iter_explain(paper_like(), cohort, "gradient", "b", class_names=names, engine=engine)
    assert loaded == []
    first = next(stream)
    assert first.subject == "0"
    assert len(loaded) <= 3
    assert len(list(stream)) == 4


def test_what_is_wrong_is_said_before_the_first_map() -> None:
    model, items = paper_like(), volumes(2)
    with pytest.raises(InputError, match=r"Unknown method 'grad_cam'.*Did you mean 'grad-cam'"):
        iter_explain(model, items, "grad_cam")
    with pytest.raises(InputError, match="Unknown layer 'x'"):
        iter_explain(model, items, "gradient", layer="x")
    with pytest.raises(
        InputError, match=r"must be a torch.nn.Module, or several in a list; str was"
    ):
        iter_explain("model", items)
    with pytest.raises(InputError, match="beside a ready Gradient"):
        iter_explain(model, items, METHODS["gradient"](), score="logit")
    with pytest.raises(InputError, match=r"must be a voxplain Volume.*ndarray was given"):
        explain(model, np.zeros((2, *SHAPE)))
    assert explain(model, []) == []
    ready = METHODS["gradient"](score="logit")
    assert explain(model, items[0], ready).provenance.options == {"score": "logit"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "half"}, "precision must be 'auto' or 'exact'"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1 on"),
        ({"device": "tpu"}, "device must be 'auto', 'cpu', 'cuda' or 'mps'"),
    ],
)
def test_engines_that_do_not_serve(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Engine(**options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_a_device_that_is_not_there() -> None:
    with pytest.raises(InputError, match="Device 'cuda' is not there"):
        Engine("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_gpu_gives_the_same_maps(name: str) -> None:
    # So many that the pattern sees how voxels vary together.
    model, items = paper_like(), volumes(20 if name == "pattern" else 3)
    wanted = explain(model, items, name, 1, engine=EXACT)
    made = explain(model, items, name, 1, engine=Engine("cuda"))
    assert next(model.parameters()).device.type == "cpu"
    assert made[0].provenance.device == "cuda:0"
    for a, b in zip(made, wanted, strict=True):
        assert np.allclose(a.values, b.values, atol=1e-3 * np.abs(b.values).max())


CALL = """
import inspect
import numpy as np, torch
net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(24, 2))
volume = voxplain.Volume(np.ones((2, 3, 4)), voxplain.Grid((2, 3, 4), np.eye(4)))
assert voxplain.explain(net, volume, method="gradient", target=1).values.shape == (2, 3, 4)
assert inspect.isfunction(voxplain.explain)
import voxplain.attribution
assert voxplain.attribution.METHODS is voxplain.METHODS
assert voxplain.attribution.explain is voxplain.explain
"""


ORDERS = (
    "import voxplain",
    "import voxplain; voxplain.METHODS",
    "import voxplain.attribution",
    "import voxplain.attribution.methods; import voxplain",
    "from voxplain import explain; import voxplain",
    "import voxplain, voxplain.attribution.run, voxplain.pipeline.explain.scans.run",
)
EACH = """
import os, sys, numpy, scipy.stats, pandas, nibabel, matplotlib.figure, torch
for first in {orders}:
    assert not any(name.split(".")[0] == "voxplain" for name in sys.modules)
    child = os.fork()
    if not child:
        exec(first + {call!r})
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, first
print("all orders")
"""


def test_explain_is_a_plain_function_in_any_import_order() -> None:
    """Each order in a process that has not seen voxplain; they share the libraries below it."""
    code = EACH.format(orders=ORDERS, call=f"\n{CALL}")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "all orders\n"


def test_methods_do_not_import_one_another() -> None:
    homes = {method.__module__ for method in METHODS.values()}
    # It is made of two others.
    made = {METHODS["recommended"].__module__}
    for home in homes - made:
        source = inspect.getsource(sys.modules[home])
        imported = set(re.findall(r"^(?:from|import) ([\w.]+)", source, flags=re.MULTILINE))
        assert not imported & homes, home
