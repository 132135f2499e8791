"""Several networks as one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from explain_nets import EXACT, Linear, batch, paper_like, volumes
from torch import nn

from voxplain.attribution import Engine, iter_explain, weights_sha256
from voxplain.attribution.run import explain
from voxplain.errors import GridError, InputError, NetworkError, VoxplainWarning
from voxplain.volume import Volume


def networks(count: int = 3, outputs: int = 2) -> list[nn.Module]:
    return [paper_like(outputs, seed=seed) for seed in range(count)]


@pytest.mark.parametrize("name", ["gradient", "grad-cam", "occlusion"])
@pytest.mark.filterwarnings("ignore::voxplain.errors.VoxplainWarning")
def test_the_map_is_the_mean_and_the_spread_the_deviation(name: str) -> None:
    models, items = networks(), volumes(5)
    targets = [1, 0, 1, 1, 0]
    made = explain(models, items, name, targets, engine=Engine("cpu", "exact", 2))
    alone = [explain(model, items, name, targets, engine=EXACT) for model in models]
    for i, one in enumerate(made):
        maps = np.stack([maps[i].values for maps in alone]).astype(np.float64)
        mean = sum(maps) / 3
        deviation = np.sqrt(sum((m - mean) ** 2 for m in maps) / 2)
        assert np.allclose(one.values, mean, atol=1e-4 * np.abs(mean).max())
        assert np.allclose(one.spread, deviation, atol=1e-4 * deviation.max())
        assert one.subject == items[i].subject
        assert one.target == f"class {targets[i]}"


def test_where_it_came_from() -> None:
    models = [*networks(2), Linear(np.zeros((7, 8, 9), np.float32))]
    made = explain(models, volumes(1)[0], "gradient", 1, engine=EXACT).provenance
    assert made.notes == ("mean of 3 networks",)
    assert made.network == "PaperLike, Linear"
    assert made.weights_sha256 == ", ".join(weights_sha256(model) for model in models)
    assert made.precision == "float32"
    assert made.layer is None
    cams = explain(networks(2), volumes(1)[0], "grad-cam", 1, relu=False).provenance
    assert cams.layer == "features.6"


def test_notes_of_one_network_say_whose_they_are() -> None:
    models = networks(2)
    with torch.no_grad():
        models[1].classifier[-1].weight.zero_()
    with pytest.warns(VoxplainWarning, match="Subject 00, network 2: .* zero everywhere"):
        made = explain(models, volumes(1)[0], "grad-cam", 1, engine=EXACT)
    assert made.provenance.notes == (
        "mean of 2 networks",
        "network 2: the Grad-CAM at layer 'features.6' is zero everywhere",
    )


def test_predicted_is_the_class_of_the_largest_mean_probability() -> None:
    models, items = networks(3, 3), volumes(6)
    with torch.no_grad():
        chances = [torch.softmax(model(batch(items)), 1).numpy() for model in models]
    winners = np.mean(chances, 0).argmax(1)
    own = np.stack([c.argmax(1) for c in chances])
    assert len(set(winners.tolist())) > 1
    assert (own != winners).any()
    made = explain(models, items, "gradient", engine=Engine("cpu", "exact", 4))
    told = explain(models, items, "gradient", winners, engine=Engine("cpu", "exact", 4))
    for a, b in zip(made, told, strict=True):
        assert np.array_equal(a.values, b.values)
        assert a.provenance.target == (
            f"{b.provenance.target}, the class of the largest mean probability"
        )


def test_single_outputs_and_callables() -> None:
    models, item = networks(2, 1), volumes(1)[0]
    made = explain(models, item, "gradient", engine=EXACT)
    mean = sum(explain(m, item, "gradient", engine=EXACT).values for m in models) / 2
    assert np.allclose(made.values, mean, atol=1e-6)
    assert made.target == "output"
    called = explain(models, item, "gradient", lambda z: z[:, 0], engine=EXACT)
    assert np.array_equal(called.values, made.values)


class Watched:
    """Volumes that tell how many were loaded and how many maps were out by then."""

    def __init__(self, items: list[Volume]) -> None:
        self.items, self.loaded = items, 0

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Volume]:
        for item in self.items:
            self.loaded += 1
            yield item


def test_maps_come_batch_by_batch() -> None:
    watched = Watched(volumes(7))
    told: list[float] = []
    stream = iter_explain(
        networks(), watched, "gradient", 1,
        engine=Engine("cpu", "exact", 2), on_progress=lambda done, total: told.append(done),
    )  # fmt: skip
    loaded = [watched.loaded for _ in stream]
    # A batch is known to be full when the next volume has come.
    assert loaded == [3, 3, 5, 5, 7, 7, 7]
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] == pytest.approx(7)


def test_a_list_of_one_is_one_network() -> None:
    model, item = paper_like(), volumes(1)[0]
    made, alone = (explain(given, item, engine=EXACT) for given in ([model], model))
    assert np.array_equal(made.values, alone.values)
    assert made.spread is None
    assert made.provenance == alone.provenance


def test_what_does_not_serve() -> None:
    item = volumes(1)[0]
    with pytest.raises(InputError, match="an empty list was given"):
        explain([], item)
    with pytest.raises(InputError, match="or several in a list; str was given"):
        explain([paper_like(), "net"], item)
    with pytest.raises(NetworkError, match=r"different numbers of outputs \(2 and 3\)"):
        explain([paper_like(2), paper_like(3)], item)
    linear = Linear(np.zeros((7, 8, 9), np.float32))
    with pytest.raises(InputError, match=r"Unknown layer 'features.6'"):
        explain([paper_like(), linear], item, "grad-cam", layer="features.6")
    made = explain(networks(2), item, "gradient", 1)
    with pytest.raises(GridError, match="The map has shape"):
        type(made)(**{**vars(made), "spread": np.zeros((2, 2, 2))})
