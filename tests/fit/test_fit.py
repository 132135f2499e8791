"""Training, splits and scores."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from fit_cohorts import make_cohort
from sklearn.metrics import balanced_accuracy_score
from torch import nn

from voxplain.errors import InputError
from voxplain.fit import PAPER_SCHEDULE, Schedule, classification_scores, hold_out, predict, train
from voxplain.fit.training.augment import mirror
from voxplain.grid import Grid


def make_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 5 * 6 * 7, 2)
    )


SHORT = Schedule(epochs=6, batch_size=4, learning_rate=3e-3, mirror=False)


def test_a_network_learns_what_there_is_to_learn() -> None:
    cohort, network, seen = make_cohort(), make_network(), []
    history = train(
        network, cohort, range(16), SHORT, on_batch=lambda done, epoch: seen.append(done)
    )
    logits = predict(network, cohort, range(16, 24))
    assert (logits.argmax(axis=1) == cohort.labels[16:]).all()
    assert [e.epoch for e in history] == [1, 2, 3, 4, 5, 6]
    assert history[-1].train_loss < history[0].train_loss
    assert seen == sorted(seen)
    assert seen[-1] == 6
    assert not network.training


def test_same_seed_same_weights_and_another_seed_others() -> None:
    states = []
    for seed in (0, 0, 1):
        network = make_network()
        train(network, make_cohort(), range(16), SHORT, seed=seed)
        states.append(network[0].weight.detach().clone())
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=0)
    assert not torch.equal(states[0], states[2])


def test_the_paper_s_schedule_is_adam_with_two_drops() -> None:
    """Second derivation: the same steps written out, on one batch per epoch."""
    cohort, network = make_cohort(8), make_network()
    other = copy.deepcopy(network)
    schedule = Schedule(4, 8, 1e-2, drops=(2, 3), one_cycle=False, weight_decay=0.0, mirror=False)
    history = train(network, cohort, range(8), schedule)
    optimiser = torch.optim.Adam(other.parameters(), lr=1e-2)
    x = torch.from_numpy(cohort.stack(range(8)))[:, None]
    expected = []
    for rate in (1e-2, 1e-2, 1e-3, 1e-4):
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(other.train()(x), torch.from_numpy(cohort.labels))
        loss.backward()
        optimiser.step()
        expected.append(loss.item())
    # bfloat16 where the processor has it: three digits.
    assert [e.train_loss for e in history] == pytest.approx(expected, rel=0.02)
    assert PAPER_SCHEDULE.drops == (5, 15)


def test_mirroring_turns_left_and_right_over() -> None:
    images = np.arange(3 * 2, dtype=np.float32).reshape(3, 2, 1, 1)
    turned = images.copy()
    mirror(turned, Grid((2, 1, 1), np.diag([-1, 1, 1, 1.0])), np.array([True, False, True]))
    np.testing.assert_array_equal(turned[[0, 2]], images[[0, 2], ::-1])
    np.testing.assert_array_equal(turned[1], images[1])
    across = np.zeros((1, 4, 5, 6), dtype=np.float32)
    across[0, :, :, 0] = 1
    psr = Grid((4, 5, 6), np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]]))
    mirror(across, psr, np.array([True]))
    assert across[0, :, :, -1].all()
    assert not across[0, :, :, 0].any()


def test_images_are_mirrored_about_half_of_the_time() -> None:
    network, seen = make_network(), []
    network.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach().clone()))
    cohort = make_cohort()
    train(network, cohort, range(16), Schedule(20, 4, 1e-5, precision="exact"))
    shown = torch.cat(seen)[:, 0].numpy()
    whole = cohort.stack(range(16))
    plain = sum(any(np.array_equal(one, image) for image in whole) for one in shown)
    turned = sum(any(np.array_equal(one[::-1], image) for image in whole) for one in shown)
    assert plain + turned == 320
    assert 120 < turned < 200


def test_bad_training_input() -> None:
    cohort = make_cohort()
    with pytest.raises(InputError, match="no subject of class case"):
        train(make_network(), cohort, range(0, 16, 2), SHORT)
    with pytest.raises(InputError, match=r"no longer finite in epoch \d.*learning rate"):
        train(make_network(), cohort, range(16), Schedule(50, 4, 1e25, one_cycle=False))


def test_hold_out_keeps_the_classes_in_proportion() -> None:
    cohort = make_cohort(40)
    inside, outside = hold_out(cohort, 0.3, seed=1)
    assert sorted([*inside, *outside]) == list(range(40))
    assert cohort.labels[outside].tolist().count(1) == 6
    np.testing.assert_array_equal(outside, hold_out(cohort, 0.3, seed=1)[1])
    assert not np.array_equal(outside, hold_out(cohort, 0.3, seed=2)[1])
    with pytest.raises(InputError, match=r"2 subjects \(1 control, 1 case\) are too few"):
        hold_out(make_cohort(2), 0.3)


def test_scores_against_sklearn_and_a_closed_form() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    margin = np.array([-2, -1, 0.5, -3, 1, -0.5])
    logits = np.stack([-margin / 2, margin / 2], axis=1).astype(np.float32)
    scores = classification_scores(logits, labels, draws=200)
    assert scores["accuracy"].value == pytest.approx(4 / 6)
    expected = balanced_accuracy_score(labels, margin > 0)
    assert scores["balanced_accuracy"].value == pytest.approx(expected)
    assert scores["roc_auc"].value == pytest.approx(7 / 8)
    for score in scores.values():
        assert 0 <= score.low <= score.value <= score.high <= 1


def test_bootstrap_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    covered = 0
    for _ in range(60):
        right = rng.random(120) < 0.8
        margin = np.where(right == (labels == 1), 1.0, -1.0)
        logits = np.stack([-margin, margin], axis=1).astype(np.float32)
        score = classification_scores(logits, labels, draws=300)["accuracy"]
        covered += score.low <= 0.8 <= score.high
    assert 50 <= covered <= 60


def test_scores_need_both_classes() -> None:
    with pytest.raises(InputError, match="subjects of both classes"):
        classification_scores(np.zeros((3, 2), dtype=np.float32), np.zeros(3, dtype=np.int64))
