"""The table of rules. Whoever changes one gives the table another edition."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from voxplain.trust.rules.of_methods import METHOD_RULES
from voxplain.trust.rules.of_study import STUDY_RULES

__all__ = ["EDITION", "MEASURED", "RULES"]

EDITION: Final = "4"

MEASURED: Final = "3"
"""The edition since which tests measure what they measure now: what was kept since then holds."""

RULES: Final = MappingProxyType({rule.test: rule for rule in (*STUDY_RULES, *METHOD_RULES)})
"""By the name of the test, in the order in which they are told."""
