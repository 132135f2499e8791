"""Training that stops, goes on, and learns classes or numbers."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from fit_cohorts import GRID, make_cohort
from torch import nn

from voxplain.errors import InputError
from voxplain.fit import PAPER_SCHEDULE, Schedule, Training, outcome_of, predict
from voxplain.fit.training.augment import CHANGES, changer
from voxplain.fit.training.objective import Objective
from voxplain.fit.training.schedule import rate_of
from voxplain.grid import Grid

SHORT = Schedule(epochs=5, batch_size=4, learning_rate=3e-3, augment=("noise",))


def make_network(outputs: int = 2, norm: bool = True) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4) if norm else nn.Identity(), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(840, outputs))


def training(schedule: Schedule = SHORT, column: str = "label", **options) -> Training:
    cohort = make_cohort()
    outcome = outcome_of(cohort, column)
    network = options.pop("network", None) or make_network(outcome.outputs)
    return Training(network, cohort, outcome, range(16), schedule, seed=3, **options)


def weights(made: Training) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in made.network.state_dict().values()]


@pytest.mark.parametrize("schedule", [SHORT, Schedule(5, 4, 3e-3, drops=(2,), one_cycle=False)])
def test_taken_up_after_any_epoch_it_ends_as_if_unbroken(schedule: Schedule) -> None:
    whole, kept = training(schedule), []

    def keep() -> None:
        stream = io.BytesIO()
        torch.save(whole.state(), stream)
        kept.append(stream.getvalue())

    whole.run(on_epoch=keep)
    assert len(kept) == 4
    for content in kept:
        torch.rand(7)
        other = training(schedule)
        other.resume(torch.load(io.BytesIO(content), weights_only=True))
        other.run()
        assert other.history == whole.history
        for a, b in zip(weights(whole), weights(other), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_patience_keeps_the_best_epoch() -> None:
    schedule = Schedule(30, 4, 3e-2, one_cycle=False, mirror=False, patience=3)
    made = training(schedule, validation=range(16, 24))
    states: list[dict[str, torch.Tensor]] = []
    made.run(on_batch=lambda done, _: states.append(copy.deepcopy(made.network.state_dict()))
             if done == int(done) else None)  # fmt: skip
    losses = [epoch.validation_loss for epoch in made.history]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < 30
    for name, tensor in made.network.state_dict().items():
        torch.testing.assert_close(tensor, states[best][name], rtol=0, atol=0)
    output = predict(made.network, made.cohort, range(16, 24))
    truth = torch.from_numpy(made.outcome.values[16:24])
    again = nn.functional.cross_entropy(torch.from_numpy(output), truth)
    assert float(again) == pytest.approx(losses[best], rel=1e-4)
    with pytest.raises(InputError, match="needs a validation part"):
        training(schedule)


def test_patience_survives_a_break() -> None:
    schedule = Schedule(12, 4, 3e-2, one_cycle=False, mirror=False, patience=3)
    whole, states = training(schedule, validation=range(16, 24)), []
    whole.run(on_epoch=lambda: states.append(copy.deepcopy(whole.state())))
    other = training(schedule, validation=range(16, 24))
    other.resume(states[-1])
    other.run()
    assert other.history == whole.history
    for a, b in zip(weights(whole), weights(other), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


class ChannelsLast(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.contiguous(memory_format=torch.channels_last_3d)


def normed_by_scan() -> nn.Module:
    torch.manual_seed(0)
    first = nn.Conv3d(1, 4, 3, bias=False)
    rest = (ChannelsLast(), nn.ReLU(), nn.Conv3d(4, 4, 3), nn.Flatten(), nn.LazyLinear(2))
    return nn.Sequential(first, nn.InstanceNorm3d(4), *rest)


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("make", [lambda: make_network(norm=False), normed_by_scan])
def test_a_batch_in_parts_is_the_batch(weighed: bool, make: Callable[[], nn.Sequential]) -> None:
    """Without batch norm and dropout, gradients of the parts add up to that of the whole."""
    found = []
    cohort = make_cohort()
    rows = [i for i in range(16) if i % 4]
    for parts in (1, 3, 8):
        network = make()
        for layer in network:
            layer.p = 0.0
        network(torch.zeros(1, 1, *cohort.grid.shape))
        plan = Schedule(
            2,
            8,
            1e-2,
            one_cycle=False,
            mirror=False,
            class_weights=weighed,
            parts=parts,
            precision="exact",
        )
        made = Training(network, cohort, outcome_of(cohort), rows, plan)
        made.run()
        found.append(weights(made))
    for whole, *others in zip(*found, strict=True):
        for other in others:
            torch.testing.assert_close(other, whole, rtol=1e-3, atol=1e-4)


def test_class_weights_are_inverse_shares() -> None:
    cohort = make_cohort()
    rows = [0, 1, 2, 4, 6, 8]
    made = Training(make_network(), cohort, outcome_of(cohort), rows, Schedule(class_weights=True))
    assert made.loss.weight.tolist() == pytest.approx([3 / 5, 3 / 1])


def test_numbers_are_learnt_in_their_own_unit() -> None:
    made = training(Schedule(40, 4, 3e-3, mirror=False), "age")
    made.run()
    ages = made.outcome.values
    assert made.scale == pytest.approx((ages[:16].mean(), ages[:16].std()))
    held_out = (
        predict(made.network, made.cohort, range(16, 24))[:, 0] * made.scale[1] + made.scale[0]
    )
    error = np.abs(held_out - ages[16:]).mean()
    assert error < 0.7 * np.abs(ages[16:] - ages[:16].mean()).mean()
    assert made.history[-1].train_accuracy is None


def test_networks_of_slices_train_too() -> None:
    class Slices(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(9, 4, 3), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.conv(x[:, 0].permute(0, 3, 1, 2)).relu().mean((2, 3)))

    made = training(network=Slices())
    made.run()
    assert len(made.history) == 5


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_small_seeded_and_leave_the_background(name: str) -> None:
    pytest.importorskip("monai")
    image = np.zeros(GRID.shape, dtype=np.float32)
    image[2:5, 2:6, 2:7] = np.random.default_rng(0).uniform(1, 2, (3, 4, 5))
    change = changer([name], Grid(GRID.shape, np.diag([8, 8, 8, 1.0])))
    before = image.copy()
    made = change(image, 5)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(made, change(image, 5))
    assert not np.array_equal(made, change(image, 6))
    assert made.shape == image.shape
    assert made.dtype == np.float32
    assert np.corrcoef(made.ravel(), image.ravel())[0, 1] > 0.5
    if name != "affine":
        assert not made[image == 0].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be 1 or more; 0 was given"),
        ({"patience": 0}, "patience must be 1 or more"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"batch_size": 2, "parts": 3}, "A batch of 2 cannot go in 3 parts"),
    ],
)
def test_schedules_that_cannot_be(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Schedule(**options)


def test_an_unknown_change() -> None:
    with pytest.raises(InputError, match=r"augmentation 'nois'.*noise"):
        changer(["nois"], GRID)


def test_the_schedules_that_are_documented() -> None:
    assert PAPER_SCHEDULE.describe() == (
        "20 epochs of Adam, batches of 45, learning rate 0.0003, a tenth after epochs 5, 15"
    )
    assert PAPER_SCHEDULE.weight_decay == 0
    assert Schedule().describe() == (
        "12 epochs of Adam, batches of 4, learning rate 0.0003, one cosine cycle, mirrored half of "
        "the time"
    )
    assert Schedule().weight_decay == 0.01


def test_a_drop_is_to_a_tenth() -> None:
    schedule = Schedule(4, 8, 1e-2, drops=(2, 3), one_cycle=False)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-2)
    rate, seen = rate_of(optimiser, schedule, batches=5), []
    for _ in range(4 * 5):
        seen.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        rate.step()
    assert seen == pytest.approx([1e-2] * 10 + [1e-3] * 5 + [1e-4] * 5)


def test_numbers_are_learnt_on_the_learners_scale_and_classes_on_none() -> None:
    cohort = make_cohort()
    rows = np.arange(10)
    assert Objective(outcome_of(cohort), rows, False, "cpu").scale == (0.0, 1.0)
    ages = cohort.participants["age"].to_numpy()
    aim = Objective(outcome_of(cohort, "age"), rows, False, "cpu")
    assert aim.scale == pytest.approx((ages[rows].mean(), ages[rows].std()))
    wanted = (ages[10:] - ages[rows].mean()) / ages[rows].std()
    np.testing.assert_allclose(aim.truth(np.arange(10, 24)).numpy(), wanted, rtol=1e-5)
    output = torch.linspace(-1, 1, 14)[:, None]
    loss = float(aim.mean(output, aim.truth(np.arange(10, 24))))
    assert loss == pytest.approx(((output[:, 0].numpy() - wanted) ** 2).mean(), rel=1e-5)
