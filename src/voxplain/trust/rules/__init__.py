"""The rules by which a study is judged: declared, applied, and put into words."""

from voxplain.trust.rules.judging import apply, judge_method
from voxplain.trust.rules.level import FEWEST_DELETED
from voxplain.trust.rules.reading import read_rules
from voxplain.trust.rules.table import EDITION, MEASURED, RULES

__all__ = ["EDITION", "FEWEST_DELETED", "MEASURED", "RULES", "apply", "judge_method", "read_rules"]
