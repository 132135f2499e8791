"""What a mask is worth, case by case and by hand."""

from __future__ import annotations

import math

import pytest
import torch

from voxplain.attribution import Chosen
from voxplain.attribution.methods.masks.objective import AreaObjective, DeletionObjective
from voxplain.errors import InputError

LOST = math.log(0.05 / 0.95)


def logits(*margins: float) -> torch.Tensor:
    """Outputs of two classes whose log-odds of the second are these."""
    return torch.tensor([[0.0, margin] for margin in margins])


CASES = Chosen(torch.tensor([1, 1, 1, 1]))
IMAGES, REFERENCES = logits(4, -1, 2, -4), logits(-5, -2, 3, -6)


def test_a_target_is_lost_at_tau_or_where_the_reference_is() -> None:
    """Down to 5 %; to the reference, where that or the image itself lies on the other side."""
    made = DeletionObjective(CASES, IMAGES, REFERENCES, "margin", 0.05)
    floors = [LOST, -2, 3, -6]
    assert made.floor.tolist() == pytest.approx(floors)
    assert made.attainable.tolist() == [True, True, False, True]
    for row, (full, floor) in enumerate(zip((4, -1, 2, -4), floors, strict=True)):
        for score in (full, (full + floor) / 2, floor - 1):
            left = made.cost(torch.tensor([[float(score)]]), torch.tensor([row]))
            if full > floor:
                wanted = max(score - floor, 0) / (full - floor)
                assert float(left) == pytest.approx(wanted, abs=1e-6)


def test_a_probability_counts_above_tau_alone() -> None:
    made = DeletionObjective(CASES, IMAGES, REFERENCES, "probability", 0.05)
    assert made.attainable.tolist() == [True, True, True, False]
    for score in (2.0, -2.0, -4.0):
        left = made.cost(torch.tensor([[score]]), torch.tensor([0]))
        assert float(left) == pytest.approx(max(1 / (1 + math.exp(-score)) - 0.05, 0), abs=1e-6)


def test_a_number_is_lost_where_the_reference_is() -> None:
    number = Chosen(None, lambda output: output[:, 1])
    made = DeletionObjective(number, IMAGES, REFERENCES, "margin", 0.05)
    assert made.floor.tolist() == [-5, -2, 3, -6]
    left = made.cost(torch.tensor([[-0.5, -1.5]]), torch.tensor([0, 1]))
    assert left.tolist() == pytest.approx([4.5 / 9, 0.5])
    with pytest.raises(InputError, match="A callable target has no probability"):
        DeletionObjective(number, IMAGES, REFERENCES, "probability", 0.05)


@pytest.mark.parametrize(
    ("kind", "sides", "worth"),
    [
        ("preservation", (True,), -0.75),
        ("deletion", (False,), 0.75),
        ("dual", (True, False), 0.25 - 0.75),
    ],
)
def test_shares_inside_are_wanted_and_outside_not(
    kind: str, sides: tuple[bool, ...], worth: float
) -> None:
    made = AreaObjective(CASES, IMAGES, REFERENCES, kind)  # type: ignore[arg-type]
    assert made.sides == sides
    # Three quarters of the way from -5 to 4, and one quarter.
    scores = torch.tensor([[1.75], [-2.75]])[: len(sides)]
    assert float(made.cost(scores, torch.tensor([0]))) == pytest.approx(worth)


def test_some_samples_of_a_batch_keep_their_own_classes() -> None:
    logits = torch.arange(12.0).reshape(4, 3)
    picked = Chosen(torch.tensor([2, 0, 1, 2]), predicted=True).take(torch.tensor([3, 1]))
    assert picked.score(logits[[3, 1]]).tolist() == [11, 3]
    assert (picked.class_of(0), picked.class_of(1), picked.predicted) == (2, 0, True)
    number = Chosen(None, lambda output: output[:, 1]).take(torch.tensor([2]))
    assert number.score(logits[[2]]).tolist() == [7]
    assert number.class_of(0) is None
