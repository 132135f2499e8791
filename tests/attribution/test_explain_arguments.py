"""Every argument of the public calls, written as people write it: right, or one sentence."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from explain_nets import EXACT, SHAPE, batch, paper_like, volumes
from torch import nn

from voxplain.attribution import DEFAULT_METHOD, Engine, explain, iter_explain
from voxplain.attribution.methods.cams.grad_cam import GradCam
from voxplain.attribution.methods.gradients.integrated_gradients import IntegratedGradients
from voxplain.attribution.run import prepare_method
from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.volume import Volume

NET = paper_like()
ITEMS = volumes(2)
ITEM = ITEMS[0]
ARRAY = ITEM.values
NAMES = ["female", "male"]


def call(**changed: Any) -> Any:
    given: dict[str, Any] = {"model": NET, "volume": ITEM, "engine": EXACT} | changed
    return explain(given.pop("model"), given.pop("volume"), **given)


def failing(logits: torch.Tensor) -> torch.Tensor:
    raise KeyError("no such output")


# What was given, and what the sentence says of it.
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("model path", {"model": "weights.pt"}, "str was given: build the network and load"),
    ("model Path", {"model": Path("weights.pt")}, "build the network and load its weights"),
    ("model state", {"model": NET.state_dict()}, "OrderedDict was given: weights need their netwo"),
    ("model class", {"model": type(NET)}, "the class PaperLike was given: make a network of it"),
    ("model None", {"model": None}, "must be a torch.nn.Module.*NoneType was given"),
    ("model function", {"model": failing}, "function was given"),
    ("model list", {"model": [NET, "b"]}, "several in a list; str was given"),
    ("model empty", {"model": []}, "an empty list was given"),
    ("model ModuleList", {"model": nn.ModuleList([NET])}, r"give the networks as list\(model\)"),
    ("model and volume swapped", {"model": ITEM, "volume": NET}, "Module.*Volume was given"),
    ("volume path", {"volume": "a.nii.gz"}, "There is no file a.nii.gz; check the path"),
    ("volume Path", {"volume": Path("a.nii")}, "There is no file a.nii; check"),
    ("volume paths", {"volume": ["a.nii", "b.nii"]}, "There is no file a.nii; check"),
    ("volume text", {"volume": ["scan"]}, "There is no file scan; check"),
    ("volume array", {"volume": ARRAY}, "ndarray was given: an array does not say where"),
    ("volume tensor", {"volume": batch([ITEM])}, r"Tensor was given.*Grid\(array.shape, affine"),
    ("volume arrays", {"volume": [ARRAY]}, "ndarray was given"),
    ("volume image", {"volume": nib.Nifti1Image(ARRAY, None)}, "nibabel image has no affine"),
    ("volume images", {"volume": [nib.Nifti1Image(ARRAY[..., :2], None)]}, "has no affine"),
    ("volume 4D", {"volume": nib.Nifti1Image(np.ones((3, 3, 3, 2), np.float32), np.eye(4))},
     "nibabel image holds 2 volumes"),
    ("volume generated", {"volume": (a for a in [ARRAY])}, "ndarray was given"),
    ("volume mapping", {"volume": {"01": ITEM}}, "dict was given: make one with"),
    ("volume None", {"volume": None}, "NoneType was given"),
    ("volume number", {"volume": 3}, "int was given"),
    ("volume class", {"volume": Volume}, "the class Volume was given"),
    ("volume grid", {"volume": ITEM.grid}, "Grid was given"),
    ("method None", {"method": None}, "method must be a name.*NoneType was given"),
    ("method class", {"method": GradCam}, "the class GradCam; give its name 'grad-cam'"),
    ("method list", {"method": ["gradient"]}, "method must be a name.*list was given"),
    ("method unknown", {"method": "gradcam"}, "Did you mean 'grad-cam'"),
    ("method empty", {"method": ""}, "Unknown method ''"),
    ("method function", {"method": failing}, "function was given"),
    ("target float", {"target": 1.0}, "float was given"),
    ("target bool", {"target": True}, "bool was given"),
    ("target NumPy bool", {"target": np.True_}, "neither a class index nor"),
    ("target None", {"target": None}, "NoneType was given"),
    ("target float tensor", {"target": torch.tensor(1.0)}, "neither a class index nor a class n"),
    ("target matrix", {"target": np.ones((1, 1), int)}, "ndarray was given"),
    ("target ragged", {"target": [[1], [1, 0]]}, "2 targets were given for 1 volumes"),
    ("target nested", {"target": [[1]]}, r"\[1\] is neither"),
    ("target of None", {"target": [None]}, "None is neither a class index"),
    ("target too long", {"target": [0, 1, 1]}, "3 targets were given for 1 volumes"),
    ("target set", {"target": {1}}, "set was given"),
    ("target dict", {"target": {0: 1}}, "dict was given"),
    ("target bytes", {"target": b"1"}, "bytes was given"),
    ("target class", {"target": int}, "the class int was given"),
    ("target high", {"target": 2}, "class 2 is out of range"),
    ("target low", {"target": -1}, "class -1 is out of range"),
    ("target huge", {"target": 10**30}, "is out of range"),
    ("target digits", {"target": "1"}, "no class_names were given"),
    ("target misspelled", {"target": "mael", "class_names": NAMES}, "Did you mean 'male'"),
    ("target fails", {"target": failing}, "callable target fails.*KeyError"),
    ("target takes two", {"target": lambda a, b: a}, "callable target fails.*TypeError"),
    ("target gives all", {"target": lambda z: z}, "one scalar per sample"),
    ("layer list", {"method": "grad-cam", "layer": ["features.4"]}, "list was given"),
    ("layer None", {"method": "grad-cam", "layer": None}, "'auto', a dotted.*NoneType was given"),
    ("layer number", {"method": "grad-cam", "layer": 4}, "int was given"),
    ("layer array", {"method": "grad-cam", "layer": np.array(["auto"])}, "ndarray was given"),
    ("layer class", {"method": "grad-cam", "layer": nn.ReLU}, "type was given"),
    ("layer misspelled", {"method": "grad-cam", "layer": "featurs.4"}, "Did you mean 'features.4"),
    ("layer of another", {"method": "grad-cam", "layer": nn.ReLU()}, "not a layer of this Paper"),
    ("layer is the network", {"method": "grad-cam", "layer": NET}, "not a layer of this Paper"),
    ("names text", {"class_names": "female,male"}, r"did you mean \['female', 'male'\]"),
    ("names number", {"class_names": 2}, "int was given"),
    ("names numbers", {"class_names": [0, 1]}, "must be texts; 0 is int"),
    ("names set", {"class_names": {"a", "b"}}, "set was given"),
    ("names twice", {"class_names": ["a", "a"]}, "must differ"),
    ("names from 1", {"class_names": {1: "a", 2: "b"}}, "number the classes from 0 on"),
    ("names groups", {"class_names": {"a": "x", "b": "y"}}, "number the classes from 0 on"),
    ("names nested", {"class_names": [["a", "b"]]}, r"\['a', 'b'\] is list"),
    ("engine text", {"engine": "cpu"}, r"such as Engine\(device='cpu'.*str was given"),
    ("engine class", {"engine": Engine}, "the class Engine was given"),
    ("engine dict", {"engine": {"device": "cpu"}}, "dict was given"),
    ("engine False", {"engine": False}, "bool was given"),
    ("seed None", {"seed": None}, "seed must be a whole number from 0 on; None was given"),
    ("seed float", {"seed": 1.0}, "seed must be a whole number from 0 on; 1.0"),
    ("seed bool", {"seed": True}, "seed must be.*True was given"),
    ("seed text", {"seed": "1"}, "seed must be.*'1' was given"),
    ("seed negative", {"seed": -1}, "seed must be.*-1 was given"),
    ("seed huge", {"seed": 2**64}, "seed must be"),
    ("option misspelled", {"method": "smoothgrad", "sample": 2}, "did you mean 'samples'"),
    ("option unknown", {"method": "gradient", "zoom": 2}, "has no option 'zoom'"),
    ("option of explain", {"targets": 1}, "did you mean 'target'"),
    ("option of the engine", {"batch_size": 1}, r"give engine=Engine\(batch_size=...\)"),
    ("option device", {"device": "cpu"}, "option of the engine"),
    ("option float", {"method": "smoothgrad", "samples": 2.5}, "samples must be a whole number"),
    ("option text", {"method": "smoothgrad", "samples": "2"}, "samples must be a whole number"),
    ("option None", {"method": "integrated-gradients", "steps": None}, "steps must be a whole n"),
    ("option bool", {"method": "smoothgrad", "samples": True}, "samples must be a whole number"),
    ("option number", {"method": "grad-cam", "relu": 1}, "relu must be True or False"),
    ("option NaN", {"method": "smoothgrad", "noise": float("nan")}, "noise must be a number"),
    ("option list", {"method": "gradient", "score": ["logit"]}, "cannot be made with the options"),
    ("option beside a method", {"method": GradCam(), "relu": True}, "beside a ready GradCam"),
    ("ready method", {"method": IntegratedGradients(steps=2.5)}, "steps must be a whole number"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "words"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_a_slip_is_one_sentence(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as told:
        call(**changed)
    assert "\n" not in str(told.value)


ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("target NumPy", {"target": np.int64(1)}),
    ("target tensor", {"target": torch.tensor(1)}),
    ("target array", {"target": np.array(1)}),
    ("target in a list", {"target": [1]}),
    ("target in a tuple", {"target": (1,)}),
    ("target in a tensor", {"target": torch.tensor([1])}),
    ("target in a Series", {"target": pd.Series([1])}),
    ("target tensors in a list", {"target": [torch.tensor(1)]}),
    ("target range", {"target": range(1, 2)}),
    ("target called", {"target": lambda z: z[:, 1]}),
    ("names list", {"target": "male", "class_names": NAMES}),
    ("names tuple", {"target": ["male"], "class_names": tuple(NAMES)}),
    ("names dict", {"target": "male", "class_names": {1: "male", 0: "female"}}),
    ("names to indices", {"target": "male", "class_names": {"male": 1, "female": 0}}),
    ("names Index", {"target": "male", "class_names": pd.Index(NAMES)}),
    ("names Series", {"target": "male", "class_names": pd.Series(NAMES)}),
    ("names array", {"target": "male", "class_names": np.array(NAMES)}),
    ("names keys", {"target": "male", "class_names": dict.fromkeys(NAMES).keys()}),
    ("names empty", {"target": 1, "class_names": []}),
    ("seed NumPy", {"target": 1, "seed": np.uint8(7)}),
    ("layer for a method without", {"target": 1, "layer": "features.4"}),
    ("model in a list", {"target": 1, "model": [NET]}),
    ("batch size NumPy", {"target": 1, "engine": Engine("cpu", "exact", np.int64(2))}),
    ("device", {"target": 1, "engine": Engine(torch.device("cpu"), "exact")}),
    ("device with a number", {"target": 1, "engine": Engine("cpu:0", "exact")}),
]


@pytest.mark.parametrize("changed", [a[1] for a in ACCEPTED], ids=[a[0] for a in ACCEPTED])
def test_another_spelling_gives_the_same_map(changed: dict[str, Any]) -> None:
    made = call(method="input-x-gradient", score="logit", **changed)
    leaf = batch([ITEM]).requires_grad_()
    NET(leaf)[0, 1].backward()
    wanted = (leaf * leaf.grad)[0, 0].detach().numpy()
    assert np.allclose(made.values, wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "given",
    [ITEMS, tuple(ITEMS), (v for v in ITEMS), dict.fromkeys(ITEMS).keys(), pd.Series(ITEMS)],
    ids=["list", "tuple", "generator", "keys", "Series"],
)
def test_several_volumes_however_they_are_held(given: Any) -> None:
    made = call(volume=given, target=1)
    wanted = call(volume=ITEMS, target=1)
    assert [m.subject for m in made] == ["00", "01"]
    assert all(np.array_equal(a.values, b.values) for a, b in zip(made, wanted, strict=True))


def test_the_default_method_is_one_everywhere() -> None:
    assert call().method == call(method=DEFAULT_METHOD).method == DEFAULT_METHOD
    assert next(iter(iter_explain(NET, ITEM, engine=EXACT))).method == DEFAULT_METHOD


def test_no_volumes_give_no_maps() -> None:
    assert call(volume=[]) == []
    assert call(volume=iter(())) == []


def test_one_volume_will_do_for_iter_explain() -> None:
    (made,) = iter_explain(NET, ITEM, engine=EXACT)
    assert made.subject == "00"
    with pytest.raises(InputError, match="on_progress must be callable; bool was given"):
        iter_explain(NET, ITEM, on_progress=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"volumes": ARRAY}, "ndarray was given"),
        ({"model": None}, "NoneType was given"),
        ({"method": None}, "method must be a name"),
    ],
)
def test_the_same_goes_for_prepare_method(changed: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"model": NET, "volumes": ITEMS} | changed
    given.setdefault("method", "meaningful-perturbation")
    with pytest.raises(InputError, match=words):
        prepare_method(cohort=True, **given)


def test_what_looks_at_scans_alone_is_prepared_once_for_several_networks() -> None:
    networks = [NET, paper_like(seed=1)]
    ready = prepare_method(networks, ITEMS, DEFAULT_METHOD, 1)
    made = list(iter_explain(networks, ITEMS, ready, 1))
    for row, one in enumerate(made):
        each = [explain(network, ITEMS, DEFAULT_METHOD, 1)[row].values for network in networks]
        np.testing.assert_allclose(one.values, np.mean(each, 0), atol=1e-6)
    assert len(made) == 2


AFFINE = np.eye(4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Engine(device=None), "device must be 'auto'.*None was given"),
        (lambda: Engine(device=0), "device must be 'auto'.*0 was given"),
        (lambda: Engine(device="gpu"), "'gpu' was given"),
        (lambda: Engine(device="cuda:x"), "'cuda:x' was given"),
        (lambda: Engine(device="cuda:99"), "'cuda:99' is not there"),
        (lambda: Engine(device=["cpu"]), "was given"),
        (lambda: Engine(precision="half"), "precision must be.*'half' was given"),
        (lambda: Engine(precision=None), "precision must be.*None was given"),
        (lambda: Engine(precision=["exact"]), "precision must be"),
        (lambda: Engine(batch_size=0), "whole number from 1 on; 0 was given"),
        (lambda: Engine(batch_size=2.0), "whole number from 1 on; 2.0 was given"),
        (lambda: Engine(batch_size="8"), "whole number from 1 on; '8' was given"),
        (lambda: Engine(batch_size=None), "whole number from 1 on; None was given"),
        (lambda: Engine(batch_size=True), "whole number from 1 on; True was given"),
        (lambda: Volume(ARRAY, AFFINE), r"must be a voxplain Grid.*ndarray was given"),
        (lambda: Volume(ARRAY, None), r"must be a voxplain Grid.*NoneType was given"),
        (lambda: Volume(ARRAY, SHAPE), r"must be a voxplain Grid.*tuple was given"),
        (lambda: Volume(ITEM.grid, ARRAY), r"must be a voxplain Grid.*ndarray was given"),
        (lambda: Volume(None, ITEM.grid), "of real numbers; NoneType was given"),
        (lambda: Volume("a.nii", ITEM.grid), "of real numbers; str was given"),
        (lambda: Volume(ARRAY * 1j, ITEM.grid), "values of type complex"),
        (lambda: Volume(ARRAY.astype(str), ITEM.grid), "values of type <U"),
        (lambda: Volume([[1], [1, 2]], ITEM.grid), "of real numbers; list was given"),
        (lambda: Volume(ARRAY[None], ITEM.grid), r"shape \(1, 7, 8, 9\), their grid \(7, 8, 9\)"),
        (lambda: Volume(ARRAY, ITEM.grid, 1), "subject must be text, such as '01'; 1 was given"),
        (lambda: Volume(ARRAY, ITEM.grid, None), "subject must be text"),
        (lambda: Volume(nib.Nifti1Image(ARRAY, AFFINE), ITEM.grid), "Nifti1Image was given"),
        (lambda: Grid(None, AFFINE), "three whole numbers; None was given"),
        (lambda: Grid(7, AFFINE), "three whole numbers; 7 was given"),
        (lambda: Grid("789", AFFINE), "three whole numbers; '789' was given"),
        (lambda: Grid((7.5, 8, 9), AFFINE), "three whole numbers"),
        (lambda: Grid((7, 8, "z"), AFFINE), "three whole numbers"),
        (lambda: Grid((7, 8, float("nan")), AFFINE), "three whole numbers"),
        (lambda: Grid((7, 8, float("inf")), AFFINE), "three whole numbers"),
        (lambda: Grid((1, 7, 8, 9), AFFINE), "three positive axis lengths"),
        (lambda: Grid((7, 8, 0), AFFINE), "three positive axis lengths"),
        (lambda: Grid(SHAPE, None), "4 x 4 matrix of finite numbers; NoneType was given"),
        (lambda: Grid(SHAPE, "RAS"), "4 x 4 matrix of finite numbers; str was given"),
        (lambda: Grid(SHAPE, [[1], [1, 2]]), "4 x 4 matrix"),
        (lambda: Grid(SHAPE, AFFINE * 1j), "4 x 4 matrix"),
        (lambda: Grid(SHAPE, AFFINE[:3, :3]), "4 x 4 matrix"),
        (lambda: Grid(SHAPE, AFFINE * np.nan), "4 x 4 matrix of finite numbers"),
        (lambda: Grid(AFFINE, SHAPE), "three whole numbers"),
    ],
)  # fmt: skip
def test_engines_volumes_and_grids(make: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words) as told:
        make()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "values",
    [
        ARRAY.astype(np.float64),
        ARRAY.tolist(),
        torch.as_tensor(ARRAY),
        torch.as_tensor(ARRAY).requires_grad_(),
        np.asfortranarray(ARRAY),
    ],
    ids=["float64", "lists", "tensor", "tensor with gradient", "Fortran"],
)
def test_values_however_they_are_held(values: Any) -> None:
    made = Volume(values, Grid(torch.Size(SHAPE), torch.as_tensor(ITEM.grid.affine.copy())))
    assert made.values.dtype == np.float32
    assert np.array_equal(made.values, ARRAY)
    assert made.grid.same_as(ITEM.grid)
    assert all(type(n) is int for n in made.grid.shape)


def test_weights_are_told_from_networks_of_every_kind() -> None:
    for state in (OrderedDict(), {"a.weight": torch.ones(1)}):
        with pytest.raises(InputError, match=re.escape("give them to its load_state_dict")):
            call(model=state)
