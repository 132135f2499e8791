"""What a verdict says where networks, maps, time or records do not give what a test needs."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from test_pipeline_seldom import Heard
from test_trust_faults import GRID, Fit, a_map, blobs, brains, case_of, cohort_of, maps_of, run
from test_trust_planned import COSTS, TRAINING, region
from torch import nn

from voxplain.errors import InputError, NetworkError, StudyError
from voxplain.pipeline.trust import run as whole
from voxplain.pipeline.trust.case import Case
from voxplain.pipeline.trust.maps import between, networks
from voxplain.pipeline.trust.opening import TrustOptions
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.pipeline.trust.steps import Budget, own_findings, run_tests
from voxplain.pipeline.trust.training import planted, retrained, trainings
from voxplain.pipeline.trust.training.budget import SpikeSize
from voxplain.pipeline.trust.training.retrained import SPIKE_IN
from voxplain.pipeline.trust.weights import by_layer
from voxplain.pipeline.trust.weights.asked import WeightsCase
from voxplain.progress import Silent
from voxplain.results.trust import Finding, Measurement
from voxplain.study import Study
from voxplain.trust import RemovalTest
from voxplain.trust.rules import RULES


class Deaf(nn.Module):
    """Says the same of every scan."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[2.0, 1.0]]).expand(len(x), 2) + 0 * x.sum()


def asking(folder: Path, values: np.ndarray, network: nn.Module | None = None) -> Case:
    """A case of one map by gradients, of scan 0 for class a."""
    fit = Fit(
        rows=[0, 1, 2, 3], class_names=("a", "b"), outcome="label", scale=(0.0, 1.0),
        load=(network or Deaf()).eval,
    )  # fmt: skip
    one = a_map(0, values)
    one.load = lambda: SimpleNamespace(values=values, unit="logit")
    methods = {"gradient": maps_of("gradient", one)}
    return case_of(folder, cohort_of(brains(4)), fits=[fit], methods=methods)


def test_nothing_is_deleted_from_an_answer_that_does_not_hear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "_REMOVED", RemovalTest(shares=(0.1,), draws=20))
    plan = Plan(settings={"scans": {"gradient": 1}, "title": "Deleted"})
    found = networks.FAITHFULNESS.run(asking(tmp_path, blobs(0)), plan, Silent())
    assert [(one.test, one.value) for one in found] == [("deletion", None), ("faithfulness", None)]
    assert {one.words for one in found} == {
        "Neither the cohort's mean scan nor an empty one takes the answer away."
    }


@pytest.mark.parametrize(
    ("shape", "count", "why"),
    [
        ((3, 3, 3), 1, "The maps have another shape than the scans."),
        (GRID.shape, 0, "The budget has no time for it."),
    ],
)
def test_a_method_that_cannot_be_asked_says_why(
    tmp_path: Path, shape: tuple[int, ...], count: int, why: str
) -> None:
    plan = Plan(settings={"scans": {"gradient": count}, "title": "Asked"})
    found = networks.STABILITY.run(asking(tmp_path, np.ones(shape)), plan, Silent())
    assert [(one.test, one.value, one.words) for one in found] == [
        ("stability", None, why),
        ("repeats", None, why),
    ]


def test_without_time_nothing_is_asked(tmp_path: Path) -> None:
    case = asking(tmp_path, blobs(0))
    assert networks.STABILITY.plan(case, 0.0) == "The budget has no time for it."
    one = a_map(0, blobs(1))
    vars(case)["methods"] = {name: maps_of(name, one) for name in ("lrp", "gradient")}
    found = run(between, case, Plan(settings={"agreement": False}))
    said = found["agreement", "lrp"]
    assert (said.value, said.words) == (None, "The budget has no time for it.")


def test_layers_that_give_no_map_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = asking(tmp_path, blobs(0))
    vars(case)["methods"] = {"grad-cam": maps_of("grad-cam", a_map(0, blobs(0)))}
    with pytest.raises(TypeError, match="without a truth for somebody's weights alone"):
        by_layer.BY_LAYER.run(case, Plan(), Silent())
    given = WeightsCase(**{one.name: getattr(case, one.name) for one in fields(case)})
    monkeypatch.setattr(by_layer, "layers_of", lambda *_: {"first": (4, 4, 4), "last": (2, 2, 2)})

    def refuse(case: Case, method: str, layer: str, count: int) -> Any:
        raise NetworkError(f"{layer} has no gradient.")

    monkeypatch.setattr(by_layer, "explained_here", refuse)
    (found,) = by_layer.BY_LAYER.run(given, Plan(), Silent())
    assert (found.value, found.figures) == (None, {"first": None, "last": None})
    assert found.words.endswith(
        "at first there is no map (first has no gradient); at last there is no map (last has no "
        "gradient)."
    )
    assert by_layer.BY_LAYER.plan(given, 0.0) == "The budget has no time for it."
    # More than a verdict of years may take for a single scan.
    monkeypatch.setattr("voxplain.pipeline.trust.maps.asking.scoring", lambda *_: 1e10)
    assert by_layer.BY_LAYER.plan(given, 1e12) == "The budget has no time for it."


def test_a_record_of_an_effect_that_tells_of_none_is_refused(tmp_path: Path) -> None:
    own: Any = SimpleNamespace(
        folder=tmp_path, seed=0, device="cpu", place=lambda name: tmp_path / name,
        request=lambda **told: {"scans": "hash", **told},
    )  # fmt: skip
    study = Study(tmp_path / "spike-1", "voxplain study", "0")
    asked = {"where": "Putamen_L", "kind": "intensity", "seed": 1}
    study.write_json("made.json", {"request": {"scans": "hash", **asked}, "regions": ["Putamen_L"]})
    more = {"split": 5, "folds": 1, "device": "cpu"}
    study.write_json("found.json", {"request": {"scans": "hash", **more, **asked}})
    with pytest.raises(StudyError, match=r"spike-1 is damaged: made.json or found.json says nothi"):
        planted.plant(own, 1, "Putamen_L", "intensity", 2.0, SpikeSize(1, 5, 1), Silent())


def test_a_spike_in_of_some_folds_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrained, "own_of", lambda case: case)
    monkeypatch.setattr(retrained, "read_costs", lambda own: COSTS)
    case: Any = SimpleNamespace(power=())
    one, all_ = (
        SPIKE_IN.plan(case, seconds) for seconds in (region(1) + TRAINING + 0.1, 10 * region(5))
    )
    assert one.words == "1 training on 400 scans with a planted effect, 1 of 5 folds"
    assert all_.words == "15 trainings on 400 scans with a planted effect"


def test_a_verdict_is_no_work_for_several_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    nothing: Any = None
    with pytest.raises(InputError, match=r"runs in one process; start it without torchrun"):
        trainings._learner(nothing, tmp_path, nothing)


def test_a_curve_of_power_is_drawn_beside_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_of(tmp_path, cohort_of(brains(4)))
    aside = Measurement("power", None, None, "From 100 scans on.")
    other = Measurement("power", None, None, "Not tested within the budget: 50, 100.")
    drawn = SimpleNamespace(svg=b"<svg/>")
    monkeypatch.setattr(whole, "asked_tests", lambda _: (case, RULES, []))
    monkeypatch.setattr(whole, "find_trust_run", lambda *_: None)
    monkeypatch.setattr(whole, "run_tests", lambda *_: [other, aside])
    monkeypatch.setattr(whole, "first_line", lambda *_: "It knows.")
    monkeypatch.setattr(whole, "power_figure", lambda one: drawn if one == aside else None)
    found = whole.run_trust(TrustOptions(tmp_path, power=(50, 100)), Silent())
    assert found.asides == (other, aside)
    assert (tmp_path / "figures/trust-power.svg").read_bytes() == drawn.svg


def test_what_no_method_has_is_told_of_those_that_need_it() -> None:
    """Rectifiers of no method, a reference of the method that has it, layers of those with one."""

    def tests(method: str, *measured: Measurement) -> list[str]:
        found = [Finding(RULES[one.test], one, None, "not tested") for one in measured]
        return [one.rule.test for one in own_findings(found, method)]

    names = ("relu", "reference", "layer", "deletion")
    nobody = [Measurement(name, None, None, "It was not there.") for name in names]
    assert tests("gradient", *nobody) == ["deletion"]
    assert tests("grad-cam", *nobody) == ["layer", "deletion"]
    own = Measurement("reference", "gradient", None, "It was not there.")
    assert tests("gradient", own) == ["reference"]
    assert tests("of an earlier version", *nobody) == [*names]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (59, "59 s"), (150, "2 min"), (5400, "1.5 h")]
)
def test_what_tests_take_is_told_in_a_unit_that_fits(
    tmp_path: Path, seconds: float, said: str
) -> None:
    case = case_of(tmp_path, cohort_of(brains(2)))
    done = Measurement("deletion", None, None, "Done.")
    test = Test(
        "one", ("deletion",), "One", lambda *_: [done], lambda _: {}, lambda *_: Plan(1, seconds)
    )
    heard = Heard()
    run_tests(case, [test], Budget("1h", 1e15), False, heard)
    assert heard.said == [f"About {said} of 1h."]
