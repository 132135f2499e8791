"""The first line of a verdict: what the network knows, beside what head size alone knows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from voxplain.pipeline.trust.data.knowledge import first_line

CASE: Any = SimpleNamespace(
    network="mrinet", outcome=SimpleNamespace(class_names=("control", "case"))
)


def found(test: str, outcome: str, **figures: Any) -> Any:
    return SimpleNamespace(
        rule=SimpleNamespace(test=test),
        outcome=outcome,
        measurement=SimpleNamespace(figures=figures, words="AUC 0.52."),
    )


@pytest.mark.parametrize(
    ("outcome", "alone", "without", "said"),
    [
        ("pass", 0.42, 0.92, "it knows more than they do."),
        ("pass", 0.93, 0.59, "it knows more than head size, and maps explain both."),
        ("fail", 0.93, 0.51, "it reads head size, and maps explain head size."),
    ],
)
def test_what_the_network_knows_beside_head_size(
    outcome: str, alone: float, without: float, said: str
) -> None:
    beyond = found(
        *("knowledge-confounds", outcome),
        alone={"head size": alone}, best="head size", confounds="head size", without=without,
    )  # fmt: skip
    line = first_line(CASE, [found("knowledge-chance", "pass", score=0.94), beyond])
    assert line == (
        "mrinet tells control from case in scans that it has not seen (AUC 0.94; head size alone "
        f"{alone:.2f}; the network without head size {without:.2f}): {said}"
    )


def test_a_network_that_knows_nothing() -> None:
    line = first_line(CASE, [found("knowledge-chance", "fail", score=0.52)])
    assert line == "mrinet does not know control from case: AUC 0.52. Its maps explain nothing."
