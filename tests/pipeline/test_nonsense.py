"""Predictions that cannot be meant."""

from __future__ import annotations

import pytest

from voxplain.errors import InputError
from voxplain.pipeline.explain.outputs import Outputs
from voxplain.pipeline.explain.scans.networks import Predicted
from voxplain.pipeline.explain.scans.nonsense import require_sense
from voxplain.progress import Silent


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def classes(*logits: list[float]) -> Predicted:
    outputs = Outputs("classification", ("a", "b"), "predicted")
    return Predicted(outputs, [{"logits": one} for one in logits])


def ages(*numbers: float, unit: str = "years") -> Predicted:
    return Predicted(Outputs("regression", (), 0, unit), [{"prediction": n} for n in numbers])


@pytest.mark.parametrize(
    ("predicted", "said"),
    [
        (classes([150.0, 0.0]), "gives the scan saturated logits, up to 150 apart"),
        (classes([150.0, 0.0], [-200.0]), "gives all 2 scans saturated logits, up to 200 apart"),
        (ages(150.0), "gives the scan ages that nobody has, such as 150 years"),
    ],
)
def test_what_cannot_be_meant_is_refused_unless_forced(predicted: Predicted, said: str) -> None:
    with pytest.raises(InputError, match=said):
        require_sense(predicted, Silent())
    heard = Heard()
    require_sense(predicted, heard, forced=True)
    assert "are they prepared as those of the training were?" in heard.said[0]


@pytest.mark.parametrize(
    ("predicted", "remarks"),
    [
        (classes([25.0, 0.0], [1.0, 0.0]), 1),
        (classes([150.0, 0.0], [1.0, 0.0]), 1),
        (classes([3.0, 0.0]), 0),
        (ages(150.0, 40.0), 1),
        (ages(-5.0), 1),
        (ages(40.0), 0),
        (ages(150.0, unit="mL"), 0),
    ],
)
def test_what_may_be_right_is_explained(predicted: Predicted, remarks: int) -> None:
    heard = Heard()
    require_sense(predicted, heard)
    assert len(heard.said) == remarks
