"""What a method tells of its options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from explain_nets import paper_like, volumes

from voxplain.attribution import METHODS, Engine, Method, explain
from voxplain.attribution.methods.gradients.gradient import Gradient
from voxplain.attribution.methods.masks.options import JitterOptions
from voxplain.errors import InputError, VoxplainWarning
from voxplain.maps import AttributionMap


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
    assert told["optimiser.iterations"] == "40"
    assert "optimiser" not in told


NAME = "meaningful-perturbation"
NET, ITEM = paper_like(), volumes(4)[3]
EXACT = Engine("cpu", "exact")


def made(method: str = NAME, **options: Any) -> AttributionMap:
    return explain(NET, ITEM, method, 1, engine=EXACT, **options)


def test_an_option_of_a_group_is_given_in_three_ways() -> None:
    ready = METHODS[NAME].with_options({"objective.l1": 0.3, "optimiser": {"iterations": 6}})
    ways = [
        made(objective={"l1": 0.3}, optimiser={"iterations": 6}),
        made(**{"objective.l1": 0.3, "optimiser.iterations": 6}),
        made(objective=ready.objective, optimiser=ready.optimiser),
        explain(NET, ITEM, ready, 1, engine=EXACT),
    ]
    assert ways[0].values.any()
    for way in ways:
        np.testing.assert_array_equal(way.values, ways[0].values)
        assert way.provenance.options == ways[0].provenance.options
    shown = ways[0].provenance.options
    assert (shown["objective"]["l1"], shown["objective"]["tv"]) == (0.3, 1.0)
    assert (shown["optimiser"]["iterations"], shown["jitter"]["passes"]) == (6, 1)


OLD = {
    **{"loss": "probability", "tau": 0.1, "l1": 0.2, "tv": 0.5, "tv_beta": 3.0, "ramp": 2},
    **{"iterations": 6, "lr": 0.3, "lr_factor": 0.7, "lr_every": 2, "betas": (0.8, 0.9)},
    **{"check_every": 2, "best_after": 1, "patience": 1, "jitter": 1, "jitters": 2},
    **{"even": True, "moves": "image", "most": 5, "together": 2, "refine": 4},
}
NEW = {
    "objective": {
        **{"loss": "probability", "tau": 0.1, "l1": 0.2, "tv": 0.5, "tv_beta": 3.0, "ramp": 2},
    },
    "optimiser": {
        **{"iterations": 6, "lr": 0.3, "lr_factor": 0.7, "lr_every": 2, "betas": (0.8, 0.9)},
        **{"check_every": 2, "best_after": 1, "patience": 1},
    },
    "jitter": {"voxels": 1, "passes": 2, "even": True, "moves": "image"},
    "sharing": {"most": 5, "together": 2, "refine": 4},
}  # fmt: skip


def test_the_names_of_the_last_version_still_reach_their_options() -> None:
    with pytest.warns(VoxplainWarning, match=r"old ones go.*jitter is jitter\.voxels, jitters is"):
        old = made(**OLD)
    new = made(**NEW)
    np.testing.assert_array_equal(old.values, new.values)
    for group, options in NEW.items():
        assert {key: old.provenance.options[group][key] for key in options} == options
    defaults = METHODS[NAME]()
    for group, options in NEW.items():
        for key, value in options.items():
            assert getattr(getattr(defaults, group), key) != value
    with pytest.warns(VoxplainWarning, match=r"extremal-perturbation.*: game is objective"):
        old = made("extremal-perturbation", game="deletion", iterations=3)
    new = made("extremal-perturbation", objective="deletion", iterations=3)
    np.testing.assert_array_equal(old.values, new.values)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"objective": 3},
            r"objective is a group of options, such as objective=\{'loss'",
        ),
        ({"jitter": JitterOptions(), "jitters": 2, "jitter.passes": 3}, "are one; give the second"),
        ({"optimiser": {"steps": 3}}, "has no option 'optimiser.steps'; its options are reference"),
        ({"optimiser": {"iterations": 2.5}}, "iterations must be a whole number; 2.5 was given"),
        ({"sharing.refine": "3"}, "refine must be a whole number; '3' was given"),
        ({"optimizer": {}}, "no argument 'optimizer'; did you mean 'optimiser'"),
    ],
)
def test_a_slip_in_a_group_is_a_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        made(**options)


def test_a_method_made_by_hand_takes_groups_as_such() -> None:
    with pytest.raises(InputError, match="objective of a MeaningfulPerturbation must be Objective"):
        METHODS[NAME](objective={"l1": 0.3})
