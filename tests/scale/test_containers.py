"""The descriptor of the BIDS App, and the recipes of its container."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import pytest

from voxplain import __version__
from voxplain.cli.bids import _parser

PLACE = Path(__file__).parents[2] / "containers"
KIND = {int: "Number", Path: "File", None: "String"}


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return json.loads((PLACE / "voxplain-bids.json").read_text())


def test_the_descriptor_has_what_boutiques_asks_for(told: dict[str, Any]) -> None:
    required = {"name", "description", "command-line", "schema-version", "inputs", "tool-version"}
    assert required <= told.keys()
    assert (told["schema-version"], told["tool-version"]) == ("0.5", __version__)
    keys = [one["value-key"] for one in told["inputs"]]
    assert told["command-line"].split() == ["voxplain-bids", *keys]
    assert len({one["id"] for one in told["inputs"]}) == len(keys)
    for one in told["inputs"]:
        assert re.fullmatch(r"\w+", one["id"])
        assert {"id", "name", "type", "value-key", "description"} <= one.keys()
        if one["type"] == "Flag":
            assert one["optional"]
            assert not one.get("list")


def test_the_descriptor_tells_of_the_options_that_there_are(told: dict[str, Any]) -> None:
    there = {one.dest: one for one in _parser()._actions if one.dest not in ("help", "version")}
    assert [one["id"] for one in told["inputs"]] == [*there]
    for one in told["inputs"]:
        action = there[one["id"]]
        assert one["optional"] == (not action.required)
        if action.option_strings:
            assert one["command-line-flag"] == action.option_strings[0]
        if isinstance(action, argparse._StoreTrueAction):
            assert one["type"] == "Flag"
            continue
        # A folder that is made is no file that is there.
        assert one["type"] == ("String" if one["id"] == "output_dir" else KIND[action.type])
        assert one.get("list", False) == (action.nargs == "+")
        if action.choices:
            assert one["value-choices"] == [*action.choices]
        if action.default and action.nargs != "+":
            assert one["default-value"] == action.default


def test_the_descriptor_validates(told: dict[str, Any]) -> None:
    pytest.importorskip("boutiques")
    from boutiques import validate

    validate(str(PLACE / "voxplain-bids.json"))


@pytest.mark.parametrize("recipe", ["Containerfile", "voxplain.def"])
def test_both_recipes_run_the_steps_of_one_script(recipe: str) -> None:
    text = (PLACE / recipe).read_text()
    assert "sh /opt/source/containers/install.sh" in text
    assert "debian:bookworm-slim" in text
    assert "voxplain-bids" in text
    steps = (PLACE / "install.sh").read_text()
    assert 'constraints.txt" "$source[cluster]"' in steps
    assert steps.startswith("#!/bin/sh\n")
