"""Measurements kept in the study, to be found again where nothing has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from voxplain import __version__
from voxplain.pipeline.trust.registry import Plan, Test
from voxplain.results.trust import Measurement
from voxplain.study import Study
from voxplain.trust.rules import MEASURED

__all__ = ["Keeper"]


class Keeper:
    """The measurements of one test on disk: ``trust/<test>-<hash of what it read>.json``.

    Parameters
    ----------
    study : Study
    test : Test
    reads : mapping
        See `Test`.
    """

    def __init__(self, study: Study, test: Test, reads: Mapping[str, Any]) -> None:
        made_by = {"version": __version__, "edition": MEASURED}
        told = json.dumps({**made_by, **reads}, sort_keys=True, default=str)
        mark = hashlib.sha256(told.encode()).hexdigest()[:12]
        self.study, self.place = study, f"trust/{test.name}-{mark}.json"

    def read(self) -> tuple[Plan, list[Measurement]] | None:
        """Return what was measured and how thoroughly; None where nothing was, or it is damaged."""
        told = self.study.read_json(self.place)
        try:
            return Plan(**told["plan"]), [Measurement(**one) for one in told["measurements"]]
        except (KeyError, TypeError):
            return None

    def write(self, plan: Plan, found: Sequence[Measurement]) -> None:
        """Keep what was measured."""
        content = {"plan": asdict(plan), "measurements": [asdict(one) for one in found]}
        self.study.write_json(self.place, content)
