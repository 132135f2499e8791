"""https://github.com/bids-standard/bids-matlab/issues/362"""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from voxplain.study.names import MapName, spelled

CLASSES = [
    ("<50", ">=50"), ("≤ 65", "> 65"), ("M+", "M-"), ("κανονικός", "ασθενής"), ("男", "女"),
    ("😀", "😟"), ("APOE4+", "APOE4-", "APOE4"), ("-1", "1", "+1"), ("1.5T", "15T"),
    ("müde", "mude!"), ("да", "нет"), ("عادي", "مريض"), ("?", "!", "…"),
]  # fmt: skip


@pytest.mark.parametrize("classes", CLASSES)
def test_every_class_has_its_own_name_of_letters_and_digits(classes: tuple[str, ...]) -> None:
    names = [MapName("01", "Gradient", one).start() for one in classes]
    for a, b in combinations(names, 2):
        assert a.lower() != b.lower()
    for name in names:
        assert re.fullmatch(r"maps/sub-01/sub-01_desc-Gradient[0-9A-Za-z]+", name)
        assert name != "maps/sub-01/sub-01_desc-Gradient"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("male", "Male"), ("AD", "AD"), ("class 1", "Class1"), ("MCI converter", "MCIConverter"),
        ("very_mild-AD", "VeryMildAD"), ("output", "Output"), ("case (treated)", "CaseTreated"),
        ("1", "1"), ("M+", "MPlus"),
    ],
)  # fmt: skip
def test_ordinary_names_stay_as_they_were(text: str, name: str) -> None:
    assert spelled(text) == name
