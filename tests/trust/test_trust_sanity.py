from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from voxplain.errors import InputError
from voxplain.grid import Grid
from voxplain.trust import (
    Comparison,
    Envelope,
    against_pairs,
    against_trainings,
    averaged,
    dice_top,
    encoding_invariance,
    entropy,
    entropy_change,
    inverted,
    learned_layers,
    randomisation,
    randomised,
    spearman,
)

SHAPE = (11, 12, 10)
GRID = Grid(SHAPE, np.diag([6.0, 6, 6, 1]))
BRAIN = np.zeros(SHAPE, dtype=bool)
BRAIN[1:10, 1:11, 1:9] = True


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv3d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm3d(4)
        self.scale = nn.ParameterList([nn.Parameter(torch.arange(4.0))])
        self.last = nn.Linear(4 * int(np.prod(SHAPE)), 2)

    def forward(self, x):
        features = torch.relu(self.norm(self.first(x))) * self.scale[0].view(4, 1, 1, 1)
        return self.last(features.flatten(1))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


def smooth_noise(seed, sigma=0.9):
    return gaussian_filter(np.random.default_rng(seed).standard_normal(SHAPE), sigma)


SCAN = (np.abs(smooth_noise(99)) * BRAIN).astype(np.float32)


def gradient(model, scan=SCAN):
    x = torch.from_numpy(scan)[None, None].requires_grad_()
    with torch.enable_grad():
        (found,) = torch.autograd.grad(model(x)[:, 1].sum(), x)
    return found[0, 0].numpy()


def test_layers_are_thrown_away_from_the_top(net):
    assert learned_layers(net) == ("last", "scale", "norm", "first")
    before = {k: v.clone() for k, v in net.state_dict().items()}
    cascade = list(randomised(net, 0))
    assert [name for name, _ in cascade] == list(learned_layers(net))
    for steps, (_, changed) in enumerate(cascade, 1):
        for number, name in enumerate(learned_layers(net)):
            for key, value in changed.get_submodule(name).state_dict().items():
                same = torch.equal(value, before[f"{name}.{key}"])
                # A fresh batch norm is initialised as it already was.
                assert same == (number >= steps or name == "norm")
    for name, changed in randomised(net, 0, "independent"):
        for key, value in changed.state_dict().items():
            assert torch.equal(value, before[key]) == (not key.startswith(name) or name == "norm")
    _, shuffled = next(iter(randomised(net, 0, layers=["scale"])))
    assert sorted(shuffled.scale[0].tolist()) == [0, 1, 2, 3]
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])


def test_random_layers_are_repeatable_and_leave_the_generator_alone(net):
    state = torch.random.get_rng_state()
    one, two = (list(randomised(net, 3))[-1][1] for _ in range(2))
    other = list(randomised(net, 4))[-1][1]
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(one.first.weight, two.first.weight)
    assert not torch.equal(one.first.weight, other.first.weight)
    with pytest.raises(InputError, match="no layer 'relu' with parameters of its own"):
        list(randomised(net, 0, layers=["relu"]))
    with pytest.raises(InputError, match="'cascade' or 'independent'; 'top' was given"):
        list(randomised(net, 0, "top"))
    with pytest.raises(InputError, match="ReLU has no parameters to randomise"):
        list(randomised(nn.ReLU(), 0))


def test_a_gradient_passes_and_an_edge_filter_fails(net):
    how = Comparison(BRAIN, 0.1, draws=40)
    found = randomisation(gradient, net, how)
    assert found.layers == learned_layers(net)
    assert found.passed
    blind = randomisation(lambda model: SCAN, net, how)
    assert not blind.passed
    assert blind.insensitive_to == found.layers
    assert all(a.spearman == pytest.approx(1) for a in blind.agreements)
    assert not randomisation(lambda model: SCAN, net, how, "independent").passed


def test_the_first_steps_of_a_cascade_are_what_the_hand_makes_of_them(net):
    how = Comparison(BRAIN, 0.1, seed=5, draws=20)
    found = randomisation(gradient, net, how, layers=["last", "norm"])
    changed = list(randomised(net, 5, layers=["last", "norm"]))
    for agreement, (_, model) in zip(found.agreements, changed, strict=True):
        assert agreement.spearman == spearman(gradient(model), gradient(net), BRAIN)
    kept = found.agreements[1].spearman
    assert kept == pytest.approx(found.agreements[0].spearman, abs=1e-6)


def test_input_times_noise_passes_only_where_the_envelope_is_known(net):
    """Unrelated maps that were multiplied by the scan are alike in strength: not evidence."""

    def strong_by_scan(model):
        seed = int(model.first.weight.detach().abs().sum() * 1e4)
        return np.abs(smooth_noise(seed, 0.6)) * (SCAN + 0.02)

    passed = {}
    for name, envelope in (("plain", None), ("scan", Envelope(GRID, (SCAN,)))):
        how = Comparison(BRAIN, 0.1, draws=40, envelope=envelope)
        runs = [randomisation(strong_by_scan, net, how, layers=["first"]) for net in nets(8)]
        passed[name] = sum(run.passed for run in runs)
    assert passed["plain"] <= 1
    assert passed["scan"] >= 5


def nets(count):
    for seed in range(count):
        torch.manual_seed(seed)
        yield Net().eval()


def test_averaging_over_noise_gives_the_map_of_the_smoothed_function(net):
    seen = []

    def explain(model, image):
        seen.append(image)
        return 2 * image

    found = averaged(explain, SCAN, 0.5, repeats=60, seed=1)(net)
    there = SCAN != 0
    assert len(seen) == 60
    assert not np.stack(seen)[:, ~there].any()
    spread = (np.stack(seen) - SCAN)[:, there].std()
    assert spread == pytest.approx(0.5 * SCAN[there].std(), rel=0.02)
    np.testing.assert_allclose(found, 2 * np.mean(seen, axis=0), atol=1e-5)


def test_entropy_is_that_of_the_histogram():
    values = np.zeros(SHAPE)
    values[BRAIN] = np.arange(BRAIN.sum()) % 4
    assert entropy(values, BRAIN, bins=4) == pytest.approx(np.log(4))
    assert entropy(values, BRAIN, bins=2) == pytest.approx(np.log(2))
    assert entropy(np.ones(SHAPE), BRAIN) == 0


def test_a_sparse_map_is_simpler_than_those_of_random_networks(net):
    def explain(model):
        noise = smooth_noise(int(model.last.weight.detach().abs().sum() * 1e3))
        return noise * (noise > 0.5) if model is net else noise

    found = entropy_change(explain, net, BRAIN, 0)
    assert found.entropy == entropy(explain(net), BRAIN)
    assert found.above_chance
    assert found.change > 0.5
    same = entropy_change(lambda model: SCAN, net, BRAIN, 0)
    assert (same.change, same.change_95, same.above_chance) == (0, 0, False)
    with pytest.raises(InputError, match="At least 3 random networks"):
        entropy_change(explain, net, BRAIN, 0, networks=2)
    with pytest.raises(InputError, match="constant inside the brain"):
        entropy_change(lambda model: np.ones(SHAPE), net, BRAIN, 0)


def test_maps_of_other_trainings_agree_where_they_show_the_same():
    how = Comparison(BRAIN, 0.1, draws=40)
    map_ = smooth_noise(0)
    alike = [map_ + 0.5 * smooth_noise(seed) for seed in range(1, 5)]
    apart = [smooth_noise(seed) for seed in range(10, 30)]
    assert against_trainings(map_, alike, how).above == 1
    assert against_trainings(map_, apart, how).above <= 0.2
    with pytest.raises(InputError, match="No map of another training"):
        against_trainings(map_, [], how)


def test_two_methods_are_held_against_themselves_on_other_networks():
    how = Comparison(BRAIN, 0.1)

    def pair(seed, shared):
        common = smooth_noise(seed)
        return tuple(shared * common + smooth_noise(seed + k) * SCAN for k in (100, 200))

    others = [pair(seed, 0.0) for seed in range(1, 20)]
    a, b = pair(0, 1.0)
    found = against_pairs(a, b, others, how)
    assert found.dice == dice_top(a, b, BRAIN, 0.1)
    assert found.spearman == spearman(a, b, BRAIN)
    assert found.spearman_p == found.dice_p == pytest.approx(1 / 20)
    assert found.spearman_others == pytest.approx(
        np.median([spearman(*one, BRAIN) for one in others])
    )
    least = min(others, key=lambda one: spearman(*one, BRAIN))
    assert against_pairs(*least, others, how).spearman_p == 1
    with pytest.raises(InputError, match="No pair of maps"):
        against_pairs(a, b, [], how)


def test_inverting_keeps_the_background_and_what_the_scan_tells():
    turned = inverted(SCAN, BRAIN, 2.0)
    np.testing.assert_allclose(turned[BRAIN], 2 - SCAN[BRAIN])
    assert not turned[~BRAIN].any()
    np.testing.assert_allclose(inverted(turned, BRAIN, 2.0), SCAN * BRAIN, atol=1e-6)


def test_encoding_invariance_is_told_as_a_share_of_what_a_second_training_keeps():
    how = Comparison(BRAIN, 0.1, draws=40)
    map_ = np.abs(smooth_noise(0))
    again = map_ + 0.2 * np.abs(smooth_noise(1))
    other = np.abs(smooth_noise(2))
    assert encoding_invariance(map_, again, how, again).kept == pytest.approx(1)
    assert abs(encoding_invariance(map_, other, how, again).kept) < 0.3
    assert encoding_invariance(map_, again, how).kept is None
    assert encoding_invariance(map_, again, how, other).kept is None
