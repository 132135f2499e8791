"""Typed results keep, in ``summary.json``, the keys that scripts read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from report_results import demo_result, fit_result, reclassify_result
from test_fit_page import fit_of
from test_reclassify_page import part_of

from voxplain.grid import Grid
from voxplain.results.summary import demo_json, fit_json, reclassify_json


def missing(told: Any, found: Any, path: str = "") -> list[str]:
    """Name what is in `told` and not, or not alike, in `found`, which may hold more."""
    if isinstance(told, Mapping):
        return [
            name
            for key, value in told.items()
            for name in (
                missing(value, found[key], f"{path}/{key}")
                if isinstance(found, Mapping) and key in found
                else [f"{path}/{key}"]
            )
        ]
    if isinstance(told, Sequence) and not isinstance(told, str):
        if len(told) != len(found):
            return [path]
        pairs = enumerate(zip(told, found, strict=True))
        return [name for n, (a, b) in pairs for name in missing(a, b, f"{path}/{n}")]
    return [] if told == found or (told != told and found != found) else [path]


def test_every_key_of_a_demo_is_there(summary: dict[str, Any]) -> None:
    grid = Grid((22, 30, 20), np.eye(4))
    told = summary | {"grid": grid.to_dict() | {"text": str(grid)}}
    found = demo_json(demo_result(summary, grid))
    assert missing(told, found) == []
    assert missing({"methods": {"gradient": {"group_fwhm_mm": 1}}}, found) == [
        "/methods/gradient/group_fwhm_mm"
    ]


def test_every_key_of_a_fit_is_there() -> None:
    told = fit_of() | {"failed": {"resnet10": "It failed."}, "ceiling": 0.9}
    told["models"]["mrinet"]["arithmetic"] = {"bfloat16": True, "words": "bfloat16"}
    found = fit_json(fit_result(told))
    assert missing(told, found) == []
    # The scores of the first network stand above as well.
    assert (
        missing(
            {key: value for key, value in told["models"]["mrinet"].items() if key != "name"}, found
        )
        == []
    )
    assert missing(fit_of(()), fit_json(fit_result(fit_of(())))) == []
    alone = fit_of() | {"confounds": {}}
    assert fit_json(fit_result(alone))["confounds"] == {}


def test_every_key_of_masked_scans_is_there() -> None:
    told = part_of() | {"overlap": {"joint": {"precision": 0.1, "sensitivity": 0.9}}}
    assert missing(told, reclassify_json(reclassify_result(told))) == []
