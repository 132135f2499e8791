"""Masks shared by a cohort, and volumes that start from them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from explain_nets import EXACT, SHAPE, Linear, paper_like, volumes

from voxplain.attribution import Engine, iter_explain
from voxplain.attribution.methods.masks.meaningful_perturbation import MeaningfulPerturbation
from voxplain.attribution.methods.reference import MaskGrid
from voxplain.attribution.network.target import Chosen, Target
from voxplain.attribution.run import explain, prepare_method
from voxplain.errors import InputError, VoxplainWarning
from voxplain.grid import Grid
from voxplain.volume import Cohort, Volume

NAME = "meaningful-perturbation"
GRID = Grid(SHAPE, np.eye(4))
# Four cells an axis or fewer, and prices at which something is deleted.
OPTIONS = {"cell": 2.0, "mask_blur": 1.0, "blur": 3.0, "units": "voxel"}
OPTIONS |= {"objective": {"l1": 0.3, "tv": 0.1}}
quiet = pytest.mark.filterwarnings("ignore::voxplain.errors.VoxplainWarning")


def on_voxels(mask: np.ndarray) -> np.ndarray:
    grid = MaskGrid.make(SHAPE, (2, 2, 2), (1, 1, 1))
    return 1 - grid.to_voxels(torch.as_tensor(mask)[None])[0].numpy()


def prepared(items: object, engine: Engine = EXACT, **options: object) -> MeaningfulPerturbation:
    made = prepare_method(
        paper_like(),
        items,
        NAME,
        options.pop("target", 1),
        engine=engine,
        cohort=True,
        **OPTIONS,
        **options,
    )
    assert isinstance(made, MeaningfulPerturbation)
    return made


@quiet
def test_without_a_step_the_map_is_the_shared_mask() -> None:
    items = volumes(6)
    ready = prepared(items, sharing={"refine": 1})
    assert not ready.surveys
    assert list(ready.start) == [1]
    mask = ready.start[1]
    assert mask.shape == (3, 4, 4)
    assert 0 <= mask.min() < 0.9
    made = explain(
        paper_like(), items, NAME, 1, engine=EXACT, cohort=True, sharing={"refine": 1}, **OPTIONS
    )
    played = [m for m in made if "2 forward passes" not in m.provenance.notes]
    assert len(played) > 1
    for one in played:
        assert np.allclose(one.values, on_voxels(mask), atol=1e-6)
        assert "3 forward passes" in one.provenance.notes


@quiet
def test_a_few_steps_from_the_shared_mask_cost_no_more_than_it() -> None:
    items = volumes(6)
    options = {"engine": EXACT, "cohort": True, **OPTIONS}
    model = paper_like()
    at_start = explain(model, items, NAME, 1, sharing={"refine": 1}, **options)
    after = explain(model, items, NAME, 1, **options)

    def left(map_: object) -> float:
        words = dict(note.split(" = ") for note in map_.provenance.notes if " = " in note)
        return float(words["p(perturbed)"])

    assert any(not np.allclose(a.values, b.values) for a, b in zip(at_start, after, strict=True))
    for before, later in zip(at_start, after, strict=True):
        passes = [int(n.split()[0]) for n in later.provenance.notes if "passes" in n]
        assert passes[0] <= 12
        cheaper = later.values.mean() < before.values.mean()
        assert cheaper or left(later) <= left(before) + 1e-6


def test_on_equal_subjects_the_shared_mask_is_a_subjects_own() -> None:
    weights = np.random.default_rng(2).uniform(0, 1, SHAPE) ** 4
    items = [Volume(np.ones(SHAPE), GRID, str(i)) for i in range(5)]
    options = {
        **{"cell": 1.0, "mask_blur": 0.0, "units": "voxel", "objective": {"l1": 2.0, "tv": 0.0}},
        **{
            "optimiser": {"iterations": 60},
            "reference": np.full(SHAPE, 0.5, np.float32),
            "engine": EXACT,
        },
    }
    model = Linear(weights)

    def score(logits: torch.Tensor) -> torch.Tensor:
        return logits[:, 1]

    ready = prepare_method(
        model, items, NAME, score, cohort=True, sharing={"together": 3}, **options
    )
    assert list(ready.start) == [None]
    alone = explain(model, items[0], NAME, score, **options)
    # Cells that are worth just their price are left where they are.
    sure = np.abs(weights / weights.mean() / 2.0 - 1) > 0.05
    assert 10 < (alone.values > 0.5).sum() < weights.size // 2
    assert np.abs(1 - ready.start[None] - alone.values)[sure].max() < 0.1


@quiet
def test_masks_do_not_depend_on_the_engines_batches() -> None:
    items = volumes(7)
    winners = EXACT.logits(paper_like(), items).argmax(1).tolist()
    opposite = {c: items[winners.index(1 - c)].values for c in (0, 1)}
    options = {"target": "predicted", "reference": opposite}
    by_size = [prepared(items, Engine("cpu", "exact", n), **options).start for n in (1, 3, 8)]
    for other in by_size[1:]:
        assert set(other) == set(by_size[0]) == {0, 1}
        for index, mask in other.items():
            assert np.abs(mask - by_size[0][index]).max() < 1e-3
    assert not np.allclose(by_size[0][0], by_size[0][1])


@quiet
def test_only_as_many_subjects_are_loaded_as_were_asked_for() -> None:
    items = volumes(9)
    asked: list[int] = []

    def load(i: int) -> np.ndarray:
        asked.append(i)
        return items[i].values

    table = pd.DataFrame({"participant_id": [v.subject for v in items], "label": "a"})
    cohort = Cohort(table, ("a",), items[0].grid, load)
    prepared(cohort, optimiser={"iterations": 3}, sharing={"most": 4, "together": 2})
    # The first volume serves to place the network.
    assert len(set(asked) - {0}) in (3, 4)
    whole = list(
        iter_explain(
            paper_like(), cohort, NAME, 1, engine=EXACT, cohort=True, sharing={"most": 4}, **OPTIONS
        )
    )
    again = explain(
        paper_like(), items, NAME, 1, engine=EXACT, cohort=True, sharing={"most": 4}, **OPTIONS
    )
    for a, b in zip(whole, again, strict=True):
        assert np.array_equal(a.values, b.values)


@quiet
def test_one_volume_makes_its_mask_by_itself() -> None:
    item = volumes(4)[3]
    made = explain(paper_like(), item, NAME, 1, engine=EXACT, cohort=True, **OPTIONS)
    assert made.values.max() > 0.1
    assert made.provenance.options["cohort"] is True
    assert made.provenance.options["start"]["1"].startswith("array (3, 4, 4), sha256")
    assert list(explain(paper_like(), [], NAME, 1, engine=EXACT, cohort=True)) == []


def test_a_class_without_a_mask_is_told() -> None:
    start = {0: np.ones((3, 4, 4), np.float32)}
    with pytest.warns(VoxplainWarning, match="03: no mask to start from for class 1"):
        explain(paper_like(), volumes(4)[3], NAME, 1, engine=EXACT, start=start, **OPTIONS)


@pytest.mark.parametrize("start", [np.ones((3, 4, 5)), np.full((3, 4, 4), 1.5)])
def test_start_masks_that_do_not_fit(start: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"must have shape \(3, 4, 4\) and values from 0 to 1"):
        explain(paper_like(), volumes(1)[0], NAME, 1, engine=EXACT, start=start, **OPTIONS)


def test_a_cohort_lies_on_one_grid() -> None:
    items = [volumes(1)[0], Volume(volumes(1)[0].values, GRID, "other")]
    with pytest.raises(InputError, match="must share a shape and a voxel size"):
        explain(paper_like(), items, NAME, 1, engine=EXACT, cohort=True, **OPTIONS)


def test_cohort_is_a_truth_value() -> None:
    with pytest.raises(InputError, match="cohort must be true or false; 'yes' was given"):
        MeaningfulPerturbation(cohort="yes")


def test_targets_by_position() -> None:
    assert Target((4, 5, 6)).take([2, 0]).classes == (6, 4)
    assert Target().take([1]).classes is None
    assert Chosen(torch.tensor([3, 1])).class_of(1) == 1
