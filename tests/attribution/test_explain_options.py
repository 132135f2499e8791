"""What a method tells of its options."""

from __future__ import annotations

from dataclasses import dataclass, field

from voxplain.attribution import METHODS, Method
from voxplain.attribution.methods.gradients.gradient import Gradient


@dataclass(frozen=True, eq=False)
class Wrapper(Gradient):
    of: Method = field(kw_only=True)
    base: Method = field(default_factory=METHODS["lrp"])
    widths: tuple[float, ...] = (1.0, 2.5)


def test_defaults_are_told_as_one_types_them() -> None:
    assert Wrapper.option_defaults() == {
        "score": "margin",
        "of": "required",
        "base": "lrp",
        "widths": "(1.0, 2.5)",
    }


def test_an_option_beside_the_fields_is_off() -> None:
    told = METHODS["meaningful-perturbation"].option_defaults()
    assert told["preset"] == "None"
    assert told["iterations"] == "40"
