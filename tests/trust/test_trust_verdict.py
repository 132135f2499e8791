from __future__ import annotations

import pytest

from voxplain.errors import InputError
from voxplain.trust import say


def judged(ap, chance_95=0.027, edge_ap=0.1, t_map_ap=0.8):
    return say(
        "Grad-CAM", ap, chance_ap=0.011, chance_95=chance_95, edge_ap=edge_ap, t_map_ap=t_map_ap
    )


def flags(verdict):
    return verdict.better_than_chance, verdict.beats_edges, verdict.beats_t_map


def test_no_better_than_chance():
    verdict = judged(0.018)
    assert flags(verdict) == (False, False, False)
    assert verdict.sentence == (
        "Grad-CAM is no better than chance at finding the truth (average precision .018, "
        "chance .011, 95 % of random smooth maps stay below .027)."
    )


def test_better_than_chance_but_not_than_edges():
    verdict = judged(0.05)
    assert flags(verdict) == (True, False, False)
    assert "better than chance, but no better than an edge filter" in verdict.sentence
    assert "average precision .050, edge filter .100, chance .011" in verdict.sentence


def test_better_than_edges_but_not_than_the_t_map():
    verdict = judged(0.5)
    assert flags(verdict) == (True, True, False)
    assert "but no better than the voxel-wise t-map" in verdict.sentence
    assert "t-map .800" in verdict.sentence


def test_better_than_all():
    verdict = judged(1.0)
    assert flags(verdict) == (True, True, True)
    assert "no better" not in verdict.sentence
    assert "average precision 1.000" in verdict.sentence


def test_chance_comes_first_and_a_draw_is_not_a_win():
    verdict = judged(0.02, chance_95=0.02, edge_ap=0.005, t_map_ap=0.01)
    assert flags(verdict) == (False, True, True)
    assert "is no better than chance" in verdict.sentence
    assert flags(judged(0.5, edge_ap=0.5, t_map_ap=0.3)) == (True, False, True)


def test_figures_that_differ_are_printed_apart():
    verdict = judged(0.02702, chance_95=0.02704)
    assert ".02702" in verdict.sentence
    assert ".02704" in verdict.sentence


def test_figures_out_of_range_are_refused():
    with pytest.raises(InputError, match="edge control of Grad-CAM must lie between 0 and 1"):
        judged(0.5, edge_ap=float("nan"))
    with pytest.raises(InputError, match="average precision of Grad-CAM"):
        judged(1.2)
